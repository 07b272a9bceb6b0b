"""PCK against its threshold, as papers plot it."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from cairn.errors import MissingExtra
from cairn.evaluation.pck import average, curve
from cairn.evaluation.run import Pck

STEPS = 101
MOST_LINES = 20  # more than these nobody can tell apart: then the mean stands alone


def pck_plot(pck: Pck, parts: Mapping[str, tuple[int, ...]]) -> bytes:
    """A PNG with a line for each part (joint indices by name) and a thick one for the mean.

    Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "train") from None

    thresholds = np.linspace(0, pck.threshold, STEPS)
    values = curve(pck.errors, thresholds)
    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # drawn into memory: no window, and no state shared with the user's own plots
    axes = figure.add_subplot()
    for name, joints in parts.items() if len(parts) <= MOST_LINES else ():
        counted = [joint for joint in joints if pck.counts[joint]]
        if counted:
            axes.plot(thresholds, values[:, counted].mean(axis=1), linewidth=1, label=name)
    mean = [average(row, pck.counted, pck.mean) for row in values]
    axes.plot(thresholds, mean, "k", linewidth=2.5, label="mean")
    axes.set(xlim=(0, pck.threshold), ylim=(0, 100), ylabel="% of keypoints", xlabel=f"share of {pck.protocol.unit}")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
