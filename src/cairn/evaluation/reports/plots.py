"""An evaluation in plots: PNGs, drawn by matplotlib. Each raises MissingExtra without it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cairn.errors import MissingExtra
from cairn.evaluation.evaluate import Pck
from cairn.evaluation.metrics.errors import KINDS, Breakdown
from cairn.evaluation.metrics.pck import average, curve
from cairn.evaluation.metrics.sizes import SizeBin

STEPS = 101
MAX_LINES = 20  # more than these nobody can tell apart: then the mean stands alone
MAX_BARS = 80  # likewise

KIND_COLORS = ("#7fb87f", "#f1d56b", "#e08a3c", "#a35bb5", "#c94f4f", "#999999")  # as KINDS


def pck_plot(pck: Pck, parts: Mapping[str, tuple[int, ...]]) -> bytes:
    """PCK against its threshold, as papers plot it: a line for each part (joint indices by name), the mean thick."""
    thresholds = np.linspace(0, pck.threshold, STEPS)
    values = curve(pck.errors, thresholds)
    figure, axes = _figure(8, 5)
    for name, joints in parts.items() if len(parts) <= MAX_LINES else ():
        counted = [joint for joint in joints if pck.counts[joint]]
        if counted:
            axes.plot(thresholds, values[:, counted].mean(axis=1), linewidth=1, label=name)
    axes.plot(thresholds, [average(row, pck.counted, pck.mean) for row in values], "k", linewidth=2.5, label="mean")
    return _pck_png(figure, axes, pck)


def pck_curves(models: Mapping[str, Pck]) -> bytes:
    """The mean over joints of each model, under one protocol."""
    figure, axes = _figure(8, 5)
    for name, pck in models.items():
        thresholds = np.linspace(0, pck.threshold, STEPS)
        values = [average(row, pck.counted, pck.mean) for row in curve(pck.errors, thresholds)]
        axes.plot(thresholds, values, linewidth=2, label=name)
    return _pck_png(figure, axes, next(iter(models.values())))


def joint_bars(models: Mapping[str, Pck], parts: Mapping[str, tuple[int, ...]]) -> bytes | None:
    """PCK of each part, a bar for each model; None where there are more bars than can be read."""
    first = next(iter(models.values()))
    shown = {name: list(joints) for name, joints in parts.items() if first.counts[list(joints)].any()}
    if len(shown) * len(models) > MAX_BARS:
        return None
    figure, axes = _figure(8, 1.2 + 0.24 * len(shown) * (len(models) + 0.5))
    width = 0.8 / len(models)
    for i, (name, pck) in enumerate(models.items()):
        values = [average(pck.per_joint[joints], pck.counts[joints]) for joints in shown.values()]
        axes.barh(np.arange(len(shown)) + (i - (len(models) - 1) / 2) * width, values, width, label=name)
    axes.set_yticks(np.arange(len(shown)), list(shown))
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="PCK, % of keypoints")
    axes.grid(alpha=0.3, axis="x")
    return _png(figure, axes, legend=len(models) > 1)


def size_plot(models: Mapping[str, Sequence[SizeBin]]) -> bytes:
    """NME and PCK against the size of the objects, a line for each model."""
    figure, axes = _figure(8, 4, columns=2)
    for name, bins in models.items():
        places = range(len(bins))
        axes[0].plot(places, [entry.error for entry in bins], "o-", label=name)
        axes[1].plot(places, [entry.pck for entry in bins], "o-", label=name)
    names = [entry.name for entry in next(iter(models.values()))]
    for axis, label in zip(axes, ("NME of what was found, %", "PCK, %"), strict=True):
        axis.set_xticks(range(len(names)), names, rotation=30)
        axis.set(ylabel=label, xlabel="longer side of the object's box, pixels")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    return _png(figure, axes[1], legend=len(models) > 1)


def breakdown_bars(models: Mapping[str, Breakdown]) -> bytes:
    """What became of the labeled keypoints: a bar of 100 % for each model."""
    figure, axes = _figure(8, 1.3 + 0.45 * len(models))
    left = np.zeros(len(models))
    for kind, color in zip(KINDS, KIND_COLORS, strict=True):
        values = np.array([model.shares[kind] for model in models.values()])
        axes.barh(list(models), values, left=left, color=color, label=kind)
        left += values
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="% of labeled keypoints")
    return _png(figure, axes)


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "train") from None

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # drawn into memory: no window, and no state shared with the user's own plots
    return figure, figure.subplots(1, columns)


def _pck_png(figure: Any, axes: Any, pck: Pck) -> bytes:
    axes.set(xlim=(0, pck.threshold), ylim=(0, 100), ylabel="% of keypoints", xlabel=f"share of {pck.protocol.unit}")
    axes.grid(alpha=0.3)
    return _png(figure, axes)


def _png(figure: Any, axes: Any, legend: bool = True) -> bytes:
    if legend:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
