"""Recordings of several cameras: read or detected, in the pixels of the calibration, and aligned in time."""

from __future__ import annotations

import json
import logging
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.datasets.recordings import Recording, read_recording
from cairn.errors import CameraError, CairnError, LabelError
from cairn.structures.camera import Camera
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.inference.predictor import Predictor
    from cairn.structures.skeleton import Skeleton

log = logging.getLogger(__name__)

SAME_RATE = 0.01
"""Relative difference of frame rates up to which they are the same."""

SAME_ASPECT = 0.002
CROPPED = 0.03  # relative difference of sizes up to which an image is a part of the calibrated one
OUTSIDE = 0.05  # share of keypoints outside of the image from which they are in pixels of another one
DEFAULT_RATE = 30.0


@dataclass(frozen=True)
class Aligned:
    """The poses of all cameras in common frames.

    Attributes:
        frames: V sequences of F poses.
        rate: Frames per second.
        start: Number of the first common frame.
        shifts: Camera -> number of its own first frame in the common frames, which may be negative.
    """

    frames: tuple[tuple[Poses, ...], ...]
    rate: float
    start: int
    shifts: Mapping[str, int]


def open_recording(
    given: Any, skeleton: Skeleton | None, predictor: Callable[[], Predictor], report: Callable[[int, int], None]
) -> Recording:
    """Returns the recording of one camera.

    Args:
        given: A file or folder of keypoints, a video, a folder of images, a `Recording`, or poses of each frame.
        skeleton: Skeleton of the keypoints, where a file names none.
        predictor: Loads the model that detects in videos and images.
        report: Gets the number of frames done and their total, of a video.

    Raises:
        CairnError: It cannot be read.
    """
    if isinstance(given, Recording):
        return given
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.exists():
            raise LabelError(f"no keypoints or video at {path}")
        return _detected(path, predictor(), report) if _has_images(path) else read_recording(path, skeleton)
    frames = tuple(given)
    wrong = next((each for each in frames if not isinstance(each, Poses)), None)
    if wrong is not None or not frames:
        raise CairnError(f"expected a path, or the Poses of each frame, got {type(wrong or given).__name__}")
    return Recording(frames, frames[0].skeleton, rate=_rate_of(given))


def in_pixels_of(camera: Camera, recording: Recording) -> Recording:
    """Returns the recording in pixels of the images that a camera was calibrated with.

    Raises:
        CameraError: The images have another aspect ratio, or the keypoints are outside of them.
    """
    if camera.size is None:
        return recording
    height, width = camera.size
    calibrated = f"the calibration of camera {camera.name} is for {width}x{height}"
    if recording.size is None:
        _check_inside(camera, recording)
        return recording
    own_height, own_width = recording.size
    across, down = width / own_width, height / own_height
    if recording.size == camera.size:
        return recording
    images = f"images of {own_width}x{own_height}"
    if abs(across / down - 1) <= SAME_ASPECT:
        log.warning("%s, its %s: the keypoints are scaled by %.4g", calibrated, images, across)
        scaling = Affine.translation(0.5, 0.5).then(Affine.scaling(across)).then(Affine.translation(-0.5, -0.5))
        return replace(recording, frames=tuple(_moved(poses, scaling) for poses in recording.frames))
    if max(abs(across - 1), abs(down - 1)) <= CROPPED:
        log.warning("%s, its %s: rows or columns are missing, taken to be the last ones", calibrated, images)
        return recording
    turned = abs(width / own_height * own_width / height - 1) <= CROPPED
    hint = (
        "rotate them as for the calibration"
        if turned
        else "they have another aspect ratio; detect in images as calibrated"
    )
    raise CameraError(f"{calibrated}, got {images}: {hint}")


def aligned(recordings: Mapping[str, Recording], offsets: Mapping[str, float], rate: float | None) -> Aligned:
    """Returns the poses of all cameras in common frames; a frame that a camera lacks is empty.

    Args:
        recordings: Camera -> recording.
        offsets: Camera -> number of frames by which it started later; 0 where none is given.
        rate: Frames per second; None for that of the recordings.

    Raises:
        CameraError: The rates differ, an offset is of no camera, or the recordings do not overlap.
    """
    if unknown := [name for name in offsets if name not in recordings]:
        raise CameraError(f"an offset is of camera {unknown[0]!r}: expected {', '.join(recordings)}")
    skeletons = {name: recording.skeleton for name, recording in recordings.items()}
    first = next(iter(skeletons.values()))
    rate = _common_rate(recordings) if rate is None else rate
    spans = {}
    for name, recording in recordings.items():
        low = recording.start + round(offsets.get(name, 0.0))
        spans[name] = (low, low + len(recording))
    start, end = min(low for low, _ in spans.values()), max(high for _, high in spans.values())
    together = sorted((low, high) for low, high in spans.values())
    if (
        len(spans) > 1
        and min(high for _, high in together) <= max(low for low, _ in together)
        and not any(a[0] < b[1] and b[0] < a[1] for i, a in enumerate(together) for b in together[i + 1 :])
    ):
        listed = ", ".join(f"{name} {low} to {high - 1}" for name, (low, high) in spans.items())
        raise CameraError(f"no two cameras have a common frame: {listed}; check the offsets")
    _warn_of_lengths(spans, rate)
    empty = Poses.empty(first)
    frames = []
    for name, recording in recordings.items():
        low, high = spans[name]
        own = tuple(_in_skeleton(poses, first) for poses in recording.frames)
        frames.append((empty,) * (low - start) + own + (empty,) * (end - high))
    shifts = {name: low - recordings[name].start for name, (low, _) in spans.items()}
    return Aligned(tuple(frames), rate, start, shifts)


def read_offsets(given: str | Path | Mapping[str, float] | None) -> dict[str, float]:
    """Returns camera -> offset in frames: of "cam2=3,cam3=-1.5", of a .json or .toml file, or of a mapping.

    A file has the offsets by camera under `offsets`, or alone.

    Raises:
        CameraError: An offset is no number, or the file cannot be read.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        pairs: Mapping[str, Any] = given
        source = "offsets"
    elif Path(given).is_file():
        source = str(given)
        pairs = _offsets_in(Path(given))
    else:
        source = f"offsets {str(given)!r}"
        parts = [part.partition("=") for part in str(given).split(",") if part.strip()]
        if not parts or not all(mark for _, mark, _ in parts):
            raise CameraError(
                f"{source}: expected CAMERA=FRAMES,..., such as cam2=3,cam3=-1.5, or a .json or .toml file"
            )
        pairs = {name.strip(): value.strip() for name, _, value in parts}
    offsets = {}
    for name, value in pairs.items():
        try:
            offsets[str(name)] = float(value)
        except (TypeError, ValueError):
            raise CameraError(f"{source}: the offset of {name} must be a number of frames, got {value!r:.40}") from None
        if not math.isfinite(offsets[str(name)]):
            raise CameraError(f"{source}: the offset of {name} must be finite, got {value!r:.40}")
    return offsets


def _offsets_in(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise CameraError(f"cannot read the offsets {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise CameraError(f"{path} is no file of offsets: {error}") from None
    content = content.get("offsets", content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise CameraError(f"{path} needs offsets by camera, in frames")
    return content


def _has_images(path: Path) -> bool:
    """Whether a path is a video, an image, or a folder of images and of no keypoints."""
    from cairn.datasets.frames import is_folder_of_images
    from cairn.media.content import content_of_file

    if path.is_dir():
        return is_folder_of_images(path)
    content = content_of_file(path)
    return content is not None and content.kind in ("video", "image")


def _detected(path: Path, predictor: Predictor, report: Callable[[int, int], None]) -> Recording:
    frames: list[Poses] = []
    rate, size = None, None
    for frame in predictor.stream(str(path), on_error="raise"):
        frames.append(replace(frame.poses, image=None))
        rate, size = frame.rate if frame.time is not None else None, frame.size or size
        report(len(frames), max(frame.count or 0, len(frames)))
    if not frames:
        raise LabelError(f"{path} has no frames")
    return Recording(tuple(frames), predictor.skeleton, 0, rate, size)


def _check_inside(camera: Camera, recording: Recording) -> None:
    """Checks keypoints of images whose size is unknown."""
    assert camera.size is not None
    parts = [poses.keypoints[poses.detected] for poses in recording.frames]
    points = np.concatenate(parts) if parts else np.zeros((0, 2))
    limits = np.array(camera.size[::-1], np.float64)
    margin = CROPPED * limits
    outside = ((points < -margin) | (points > limits + margin)).any(axis=1)
    if len(points) and outside.mean() > OUTSIDE:
        x, y = points.max(axis=0)
        raise CameraError(
            f"camera {camera.name} is calibrated for {camera.size[1]}x{camera.size[0]}, and {outside.mean():.0%} of its "
            f"keypoints are outside of that (up to x = {x:.0f}, y = {y:.0f}): they are in pixels of larger images, or "
            "of another camera"
        )


def _common_rate(recordings: Mapping[str, Recording]) -> float:
    rates = {name: recording.rate for name, recording in recordings.items() if recording.rate}
    if not rates:
        log.warning("the frame rate of the recordings is unknown: %g Hz is assumed; give --rate", DEFAULT_RATE)
        return DEFAULT_RATE
    low, high = min(rates, key=lambda name: rates[name]), max(rates, key=lambda name: rates[name])
    if rates[high] > rates[low] * (1 + SAME_RATE):
        raise CameraError(
            f"the frame rates differ: camera {low} has {rates[low]:g} Hz, {high} {rates[high]:g} Hz: resample the "
            "videos to one rate (or give --rate where the files state it wrongly)"
        )
    return float(np.median(list(rates.values())))


def _warn_of_lengths(spans: Mapping[str, tuple[int, int]], rate: float) -> None:
    """Warns where recordings begin or end at different times."""
    lows, highs = zip(*spans.values(), strict=True)
    tolerance = max(2, round(0.01 * (max(highs) - min(lows))))
    if max(lows) - min(lows) > tolerance or max(highs) - min(highs) > tolerance:
        listed = ", ".join(f"{name} {low} to {high - 1}" for name, (low, high) in spans.items())
        log.warning(
            "the recordings have different lengths (frames %s): frames that a camera lacks are triangulated from the "
            "others; give --offsets if they started at different times",
            listed,
        )


def _in_skeleton(poses: Poses, skeleton: Skeleton) -> Poses:
    """The poses with the joints in another order, where they are the same joints."""
    if poses.skeleton.joints == skeleton.joints or set(poses.skeleton.joints) != set(skeleton.joints):
        return poses
    return poses.mapped(skeleton)


def _moved(poses: Poses, affine: Affine) -> Poses:
    moved = affine.apply(poses.keypoints.reshape(-1, 2)).reshape(poses.keypoints.shape)
    return replace(poses, keypoints=moved.astype(np.float32))


def _rate_of(given: Any) -> float | None:
    """The rate of `cairn.track`'s tracks; None of other sequences."""
    times = [time for time in getattr(given, "times", ()) if time is not None]
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else None
