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

SMOOTHING = 0.05
"""Standard deviation in seconds of the Gaussian that keypoints are smoothed with."""

CLIP = 0.98
"""Quantile of speeds at which they are clipped."""

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


def speeds(keypoints: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Returns the vertical speed of each keypoint of one person or animal, (F, K), relative to the fastest ones.

    Jitter is smoothed over `SMOOTHING` seconds, and jumps of the detector are clipped. NaN where unknown.

    Args:
        keypoints: (F, K, 2) pixels, NaN where unknown.
        rate: Frames per second.
    """
    radius = max(1, round(SMOOTHING * rate))
    kernel = np.exp(-0.5 * (np.arange(-2 * radius, 2 * radius + 1) / radius) ** 2)
    height = keypoints[..., 1]
    known = np.isfinite(height)
    count = min(len(kernel), len(height))
    kernel = kernel[(len(kernel) - count) // 2 :][:count] if count < len(kernel) else kernel
    smooth = np.full(height.shape, np.nan)
    for joint in range(height.shape[1]):
        weight = np.convolve(known[:, joint], kernel, mode="same")
        total = np.convolve(np.where(known[:, joint], height[:, joint], 0), kernel, mode="same")
        fit = known[:, joint] & (weight > 0)
        smooth[fit, joint] = total[fit] / weight[fit]
    moved = np.gradient(smooth, axis=0) if len(smooth) > 1 else np.full(smooth.shape, np.nan)
    speed = np.abs(moved[np.isfinite(moved)])
    if not len(speed) or not speed.any():
        return moved
    limit = float(np.quantile(speed, CLIP))
    scaled: NDArray[np.float64] = np.clip(moved, -limit, limit) / max(limit, 1e-9)
    return scaled


def offset_of(
    reference: NDArray[np.float64], signal: NDArray[np.float64], limit: int, rate: float, name: str
) -> Offset:
    """Returns the offset of a camera: the maximum of the normalized cross-correlation, between frames by a parabola.

    Args:
        reference: (F, K) speeds in the first camera, NaN where unknown.
        signal: (G, K) speeds of the same keypoints in the other.
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


def offsets_between(signals: Mapping[str, NDArray[np.float64]], limit: int, rate: float) -> dict[str, Offset]:
    """Returns the offset of each camera from the first, along the pairs of cameras that correlate best.

    Cameras on opposite sides see one motion differently: each pair is compared, and offsets add up along the maximum
    spanning tree of correlations. The correlation of a camera is the weakest on its way to the first.

    Args:
        signals: Camera -> (F, K) speeds.
        limit: Largest offset between two cameras to try, in frames.
        rate: Frames per second.

    Raises:
        CameraError: A camera correlates weakly or ambiguously with all others.
    """
    names = list(signals)
    found: dict[tuple[str, str], Offset] = {}
    reasons: dict[tuple[str, str], CameraError] = {}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            try:
                found[one, other] = offset_of(signals[one], signals[other], limit, rate, f"{one} and {other}")
            except CameraError as error:
                reasons[one, other] = error
    offsets = {names[0]: Offset(0.0, 1.0)}
    while len(offsets) < len(names):
        edges = [pair for pair in found if (pair[0] in offsets) != (pair[1] in offsets)]
        if not edges:
            raise next(error for pair, error in reasons.items() if (pair[0] in offsets) != (pair[1] in offsets))
        one, other = max(edges, key=lambda pair: found[pair].correlation)
        step = found[one, other]
        known, new, sign = (one, other, 1.0) if one in offsets else (other, one, -1.0)
        total = offsets[known].frames + sign * step.frames
        offsets[new] = Offset(total, min(offsets[known].correlation, step.correlation))
    return {name: offsets[name] for name in names}


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
        moments.append(np.array([*indices, -1][:count], np.int64))
    return moments


def _correlation(reference: NDArray[np.float64], signal: NDArray[np.float64], shift: int) -> float:
    """Pearson correlation of reference[k] and signal[k + shift]; NaN where they overlap too little."""
    start, end = max(0, -shift), min(len(reference), len(signal) - shift)
    if end - start < MIN_OVERLAP:
        return float("nan")
    one, other = reference[start:end], signal[start + shift : end + shift]
    both = np.isfinite(one) & np.isfinite(other)
    if both.any(axis=1).sum() < MIN_OVERLAP:
        return float("nan")
    number = np.maximum(both.sum(axis=0), 1)  # each keypoint has a mean of its own
    one = np.where(both, one, 0) - np.where(both, np.where(both, one, 0).sum(axis=0) / number, 0)
    other = np.where(both, other, 0) - np.where(both, np.where(both, other, 0).sum(axis=0) / number, 0)
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / norm if norm > 0 else float("nan")


def _vertex(values: NDArray[np.float64], best: int) -> float:
    """Where the parabola through a maximum and its neighbors has its own, in (-0.5, 0.5)."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, peak, after = values[best - 1 : best + 2]
    bend = before - 2 * peak + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if np.isfinite(bend) and bend < 0 else 0.0
