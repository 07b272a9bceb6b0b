"""Time offsets between cameras from how fast keypoints move in each, and files that state offsets or times.

The offset of a camera is the number of frames by which it started later: its frame k is frame k + offset of the first.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import text_of
from cairn.multiview.cameras.toml_text import key, read_toml, table

MIN_CORRELATION = 0.5
"""Correlation of speeds below which an offset is refused."""

MIN_OVERLAP = 30
"""Frames that two cameras must share at an offset."""

MIN_MARGIN = 0.05
"""By how much the best correlation must exceed that of any other offset more than `NEAR` frames away."""

NEAR = 0.25
"""Seconds around the best offset in which correlations are high, too, because motion is smooth."""

OFFSETS = "offsets"


@dataclass(frozen=True)
class Offset:
    """The offset of a camera from the first one.

    Attributes:
        frames: Number of frames by which it started later, with a fraction.
        correlation: Correlation of the speeds at this offset, at most 1.
    """

    frames: float
    correlation: float


def speeds(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean vertical speed of keypoints of one person or animal, (F,) in keypoint scales a frame.

    Each speed is divided by the spread of the keypoints, so that near and far cameras agree. NaN where nothing is seen.

    Args:
        keypoints: (F, K, 2) pixels, NaN where unknown.
    """
    with np.errstate(all="ignore"):
        scale = np.nanmedian(np.nanstd(keypoints, axis=1).max(axis=1))
        moved = np.gradient(keypoints[..., 1], axis=0) / max(float(np.nan_to_num(scale)), 1e-6)
        known = np.isfinite(moved).sum(axis=1) >= max(1, min(3, keypoints.shape[1] // 4))
        mean = np.array([np.nanmean(row) if row_known else np.nan for row, row_known in zip(moved, known, strict=True)])
    return mean


def offset_of(
    reference: NDArray[np.float64], signal: NDArray[np.float64], limit: int, rate: float, name: str
) -> Offset:
    """Returns the offset of a camera: the maximum of the normalized cross-correlation, between frames by a parabola.

    Args:
        reference: (F,) speeds in the first camera, NaN where unknown.
        signal: (G,) speeds in the other.
        limit: Largest offset to try, in frames.
        rate: Frames per second.
        name: Names of the cameras for messages.

    Raises:
        CameraError: The correlation is weak, no better than at other offsets, or too few frames overlap.
    """
    shifts = np.arange(-limit, limit + 1)
    values = np.array([_correlation(reference, signal, int(shift)) for shift in shifts])
    if not np.isfinite(values).any():
        raise CameraError(
            f"{name}: fewer than {MIN_OVERLAP} frames with keypoints overlap at any offset up to {limit} frames: "
            "detect the same person in both"
        )
    best = int(np.nanargmax(values))
    peak = float(values[best])
    far = np.abs(shifts - shifts[best]) > max(2, NEAR * rate)
    rival = float(np.nanmax(values[far])) if np.isfinite(values[far]).any() else -1.0
    if peak < MIN_CORRELATION:
        raise CameraError(
            f"{name}: the speeds correlate weakly (at most {peak:.2f}, at {-shifts[best]} frames; {MIN_CORRELATION} is "
            "needed): record a clap or a jump that all cameras see, or give a timestamps file"
        )
    if peak - rival < MIN_MARGIN:
        other = -int(shifts[far][int(np.nanargmax(values[far]))])
        raise CameraError(
            f"{name}: offsets of {-shifts[best]} and {other} frames fit equally well (correlation {peak:.2f} and "
            f"{rival:.2f}), as in a motion that repeats: record a clap or a jump, or limit the search with --max-offset"
        )
    return Offset(-float(shifts[best]) - _vertex(values, best), peak)


def moments_from_file(path: Path, names: Sequence[str], counts: Sequence[int]) -> list[NDArray[np.int64]]:
    """Returns the moment of each frame of each camera, -1 where it has none.

    Args:
        path: Timestamps of caliscope (.csv with sync_index, cam_id and frame_time), or offsets that `cairn sync`
            writes (.toml).
        names: Names of the cameras.
        counts: Number of frames of each.

    Raises:
        CameraError: The file cannot be read, or lacks a camera or frames.
    """
    if path.suffix.lower() == ".csv":
        return _from_timestamps(path, names, counts)
    offsets = read_offsets(path)
    if missing := [name for name in names if name not in offsets]:
        raise CameraError(f"{path} has no offset of camera {', '.join(missing)}; it has {', '.join(offsets)}")
    shifted = [np.arange(count) + round(offsets[name]) for name, count in zip(names, counts, strict=True)]
    first = min(int(each[0]) for each in shifted if len(each))
    return [(each - first).astype(np.int64) for each in shifted]


def read_offsets(path: Path) -> dict[str, float]:
    """Returns name -> offset in frames from a file that `write_offsets` wrote.

    Raises:
        CameraError: The file is another one.
    """
    offsets = read_toml(path).get(OFFSETS)
    if not isinstance(offsets, dict) or not all(type(value) in (int, float) for value in offsets.values()):
        raise CameraError(f"{path} has no table [{OFFSETS}] with the offset of each camera in frames")
    return {name: float(value) for name, value in offsets.items()}


def write_offsets(offsets: Mapping[str, Offset], rate: float, path: Path) -> None:
    """Writes offsets and correlations to a path that is open for writing."""
    head = "# Frames by which each camera started later: its frame k is frame k + offset of the first camera.\n"
    tables = [
        f"rate = {float(rate)!r}\n",
        table(OFFSETS, {key(name): each.frames for name, each in offsets.items()}),
        table("correlation", {key(name): each.correlation for name, each in offsets.items()}),
    ]
    path.write_text("\n".join([head, *tables]), encoding="utf-8")


def offsets_from_moments(moments: Sequence[NDArray[np.int64]]) -> list[float]:
    """Returns the median offset of each camera from the first, in frames, from the moments of their frames."""
    first = {int(moment): frame for frame, moment in enumerate(moments[0]) if moment >= 0}
    offsets = []
    for each in moments:
        shifts = [first[int(moment)] - frame for frame, moment in enumerate(each) if int(moment) in first]
        if not shifts:
            raise CameraError("a camera shares no moment with the first one")
        offsets.append(float(np.median(shifts)))
    return offsets


def _from_timestamps(path: Path, names: Sequence[str], counts: Sequence[int]) -> list[NDArray[np.int64]]:
    rows = list(csv.DictReader(text_of(path).splitlines()))
    camera_key = next((name for name in ("cam_id", "port") if rows and name in rows[0]), None)
    if camera_key is None or "sync_index" not in rows[0] or "frame_time" not in rows[0]:
        raise CameraError(f"{path}: expected columns sync_index, cam_id and frame_time")
    by_camera: dict[str, list[tuple[float, int]]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            by_camera.setdefault(row[camera_key], []).append((float(row["frame_time"]), int(row["sync_index"])))
        except (TypeError, ValueError):
            raise CameraError(f"{path}: line {number} has no number in sync_index or frame_time") from None
    moments = []
    for name, count in zip(names, counts, strict=True):
        own = by_camera.get(name) or by_camera.get((re.findall(r"\d+", name) or [""])[-1].lstrip("0") or "0")
        if own is None:
            raise CameraError(f"{path} has no camera {name}; it has {', '.join(sorted(by_camera))}")
        if abs(len(own) - count) > 1:
            raise CameraError(f"{path} has {len(own)} frames of camera {name}, and its video has {count}")
        indices = [index for _, index in sorted(own)]
        moments.append(np.array((indices + [-1])[:count], np.int64))
    return moments


def _correlation(reference: NDArray[np.float64], signal: NDArray[np.float64], shift: int) -> float:
    """Pearson correlation of reference[k] and signal[k + shift]; NaN where they overlap too little."""
    start, end = max(0, -shift), min(len(reference), len(signal) - shift)
    if end - start < MIN_OVERLAP:
        return float("nan")
    one, other = reference[start:end], signal[start + shift : end + shift]
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < MIN_OVERLAP:
        return float("nan")
    one, other = one[both] - one[both].mean(), other[both] - other[both].mean()
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norm if norm > 0 else float("nan")


def _vertex(values: NDArray[np.float64], best: int) -> float:
    """Where the parabola through a maximum and its neighbors has its own, in (-0.5, 0.5)."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, peak, after = values[best - 1 : best + 2]
    bend = before - 2 * peak + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if np.isfinite(bend) and bend < 0 else 0.0
