"""Plots of an evaluation as PNG files, drawn by matplotlib. Each function raises MissingExtra without it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cairn.errors import MissingExtra
from cairn.evaluation.keypoint_metrics import Pck
from cairn.evaluation.landmarks import LandmarkErrors
from cairn.evaluation.metrics.errors import ERROR_TYPES, Breakdown
from cairn.evaluation.metrics.pck import average, curve
from cairn.evaluation.metrics.sizes import SizeBin

NUM_THRESHOLDS = 101
MAX_LINES = 20
"""Maximum number of distinguishable lines; with more parts only the mean is drawn."""

MAX_BARS = 80
"""Maximum number of bars that can be read; with more no bars are drawn."""

ERROR_COLORS = ("#7fb87f", "#f1d56b", "#e08a3c", "#a35bb5", "#c94f4f", "#999999")
"""In the order of ERROR_TYPES."""


def pck_plot(pck: Pck, parts: Mapping[str, tuple[int, ...]]) -> bytes:
    """Returns a plot of PCK over its threshold, as in papers.

    Args:
        pck: The PCK to plot.
        parts: Joint indices by body part; each part is one line, the mean is a thick line.
    """
    thresholds = np.linspace(0, pck.threshold, NUM_THRESHOLDS)
    values = curve(pck.errors, thresholds)
    figure, axes = _figure(8, 5)
    for name, joints in parts.items() if len(parts) <= MAX_LINES else ():
        counted = [joint for joint in joints if pck.counts[joint]]
        if counted:
            axes.plot(thresholds, values[:, counted].mean(axis=1), linewidth=1, label=name)
    axes.plot(thresholds, [average(row, pck.counted, pck.mean) for row in values], "k", linewidth=2.5, label="mean")
    return _pck_png(figure, axes, pck)


def landmark_boxes(errors: LandmarkErrors) -> bytes:
    """Returns boxes of the errors of each landmark over the specimens, the largest median last."""
    columns = [column[np.isfinite(column)] for column in errors.distances.T]
    order = sorted((row for row, column in enumerate(columns) if len(column)), key=lambda row: np.median(columns[row]))
    figure, axes = _figure(8, 1.2 + 0.2 * len(order))
    axes.boxplot([columns[row] for row in order], orientation="horizontal", flierprops={"markersize": 3})
    axes.set_yticks(np.arange(1, len(order) + 1), [errors.landmarks[row] for row in order])
    axes.set(xlabel=f"error, {errors.unit or 'units'}", xlim=(0, None))
    axes.grid(alpha=0.3, axis="x")
    return _png(figure, axes, legend=False)


def pck_curves(models: Mapping[str, Pck]) -> bytes:
    """Returns a plot of the mean PCK of each model over the threshold, under one protocol."""
    figure, axes = _figure(8, 5)
    for name, pck in models.items():
        thresholds = np.linspace(0, pck.threshold, NUM_THRESHOLDS)
        values = [average(row, pck.counted, pck.mean) for row in curve(pck.errors, thresholds)]
        axes.plot(thresholds, values, linewidth=2, label=name)
    return _pck_png(figure, axes, next(iter(models.values())))


def joint_bars(models: Mapping[str, Pck], parts: Mapping[str, tuple[int, ...]]) -> bytes | None:
    """Returns bars of the PCK of each body part and model; None for more than MAX_BARS bars."""
    first = next(iter(models.values()))
    measured = {name: list(joints) for name, joints in parts.items() if first.counts[list(joints)].any()}
    if len(measured) * len(models) > MAX_BARS:
        return None
    figure, axes = _figure(8, 1.2 + 0.24 * len(measured) * (len(models) + 0.5))
    width = 0.8 / len(models)
    for i, (name, pck) in enumerate(models.items()):
        values = [average(pck.per_joint[joints], pck.counts[joints]) for joints in measured.values()]
        axes.barh(np.arange(len(measured)) + (i - (len(models) - 1) / 2) * width, values, width, label=name)
    axes.set_yticks(np.arange(len(measured)), list(measured))
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="PCK, % of keypoints")
    axes.grid(alpha=0.3, axis="x")
    return _png(figure, axes, legend=len(models) > 1)


def size_plot(models: Mapping[str, Sequence[SizeBin]]) -> bytes:
    """Returns plots of NME and PCK over the instance size, a line for each model."""
    figure, axes = _figure(8, 4, columns=2)
    for name, bins in models.items():
        positions = range(len(bins))
        axes[0].plot(positions, [entry.nme for entry in bins], "o-", label=name)
        axes[1].plot(positions, [entry.pck for entry in bins], "o-", label=name)
    names = [entry.name for entry in next(iter(models.values()))]
    for axis, label in zip(axes, ("NME of detected keypoints, %", "PCK, %"), strict=True):
        axis.set_xticks(range(len(names)), names, rotation=30)
        axis.set(ylabel=label, xlabel="longer side of the bounding box, pixels")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    return _png(figure, axes[1], legend=len(models) > 1)


def breakdown_bars(models: Mapping[str, Breakdown]) -> bytes:
    """Returns a bar of 100 % for each model, divided by error type."""
    figure, axes = _figure(8, 1.3 + 0.45 * len(models))
    left = np.zeros(len(models))
    for name, color in zip(ERROR_TYPES, ERROR_COLORS, strict=True):
        values = np.array([model.shares[name] for model in models.values()])
        axes.barh(list(models), values, left=left, color=color, label=name)
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
    FigureCanvasAgg(figure)  # renders into memory: no window, and no state shared with plots of the user
    return figure, figure.subplots(1, columns)


def _pck_png(figure: Any, axes: Any, pck: Pck) -> bytes:
    axes.set(
        xlim=(0, pck.threshold), ylim=(0, 100), ylabel="% of keypoints", xlabel=f"distance over {pck.protocol.unit}"
    )
    axes.grid(alpha=0.3)
    return _png(figure, axes)


def _png(figure: Any, axes: Any, legend: bool = True) -> bytes:
    if legend:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
