"""`cairn.sync`: time offsets between the cameras of a rig."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.settings import optional_path
from cairn.arguments import checked
from cairn.errors import CameraError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.datasets.recordings import Recording
    from cairn.multiview.synchronization import Offset
    from cairn.structures.camera import Rig

log = logging.getLogger(__name__)

MAX_SHARE = 0.5
"""Default largest offset over the length of the shortest recording."""


@dataclass(frozen=True, repr=False)
class Offsets(Mapping[str, float]):
    """Camera -> number of frames by which it started later than the first; what `cairn.sync` returns.

    Attributes:
        frames: The offsets.
        correlation: Camera -> correlation of the speeds at its offset; empty from timestamps.
        rate: Frames per second; 0 where unknown.
        file: The file that was written; None without one.
    """

    frames: Mapping[str, float]
    correlation: Mapping[str, float]
    rate: float
    file: Path | None = None

    def __getitem__(self, camera: str) -> float:
        return self.frames[camera]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"Offsets({', '.join(f'{name} {value:+.2f}' for name, value in self.frames.items())} frames)"


@checked
def sync(
    inputs: Any,
    *,
    out: str | Path | None = None,
    cameras: str | Path | Rig | None = None,
    timestamps: str | Path | None = None,
    joints: str | Sequence[str] | None = None,
    skeleton: str | Path | None = None,
    max_offset: int | None = None,
    rate: float | None = None,
    overwrite: bool = False,
) -> Offsets:
    """Finds by how many frames each camera started later than the first, from how fast keypoints move vertically.

    Example:
        offsets = cairn.sync({"cam1": "cam1_json/", "cam2": "cam2_json/"})
        cairn.triangulate(inputs, rig, offsets=offsets)

    Args:
        inputs: Camera -> 2D keypoints, or inputs: results or labels in any format that Cairn reads, or the `Poses` of
            each frame. Names of cameras are those of `cameras`, or else of the files or folders.
        out: File of offsets (.toml) to write. Default: nothing is written.
        cameras: The rig, or its file, whose cameras the inputs are matched to by their names.
        timestamps: Timestamps of caliscope (.csv), from which offsets are taken instead of speeds.
        joints: Joints whose speed is compared, such as ["left_wrist", "right_wrist"]. Default: all.
        skeleton: Skeleton of the keypoints, where the files name none.
        max_offset: Largest offset in frames. Default: half of the shortest recording.
        rate: Frames per second. Default: that of the inputs, otherwise 30.
        overwrite: Whether an existing file is overwritten.

    Raises:
        CameraError: There are fewer than two inputs, their rates differ, or the correlation is weak or ambiguous.
        LabelError: Keypoints cannot be read.
        OutputError: The file exists, or cannot be written.
    """
    target = optional_path(out)
    if target is not None and target.exists() and not overwrite:
        raise OutputError(f"{target} already exists: pass --overwrite, or give another file with --out")
    recordings = _recordings(inputs, cameras, skeleton)
    if len(recordings) < 2:
        raise CameraError(f"offsets are between cameras: expected at least 2 inputs, got {len(recordings)}")
    found, common = (
        _from_timestamps(recordings, Path(timestamps), rate)
        if timestamps is not None
        else _from_speeds(recordings, joints, max_offset, rate)
    )
    if target is not None:
        from cairn.files import atomic_write
        from cairn.multiview.synchronization import write_offsets

        with atomic_write(target) as partial:
            write_offsets(found, common, partial)
    correlation = {} if timestamps is not None else {name: each.correlation for name, each in found.items()}
    return Offsets({name: each.frames for name, each in found.items()}, correlation, common, target)


def _recordings(inputs: Any, cameras: str | Path | Rig | None, skeleton: str | Path | None) -> dict[str, Recording]:
    from cairn.api.camera_names import cameras_of
    from cairn.api.camera_recordings import open_recording
    from cairn.multiview.cameras import read_cameras
    from cairn.structures.camera import Rig
    from cairn.structures.skeleton import load_skeleton

    if isinstance(inputs, str | Path):
        inputs = [inputs]
    if cameras is not None:
        rig = cameras if isinstance(cameras, Rig) else read_cameras(cameras)
        named, _ = cameras_of(inputs, rig.names)
    elif isinstance(inputs, Mapping):
        named = dict(inputs)
    else:
        named = {}
        for number, each in enumerate(inputs):
            name, path = _named(each, number)
            if name in named:
                raise CameraError(f"two inputs are of camera {name}: give CAMERA=PATH")
            named[name] = path
    known = None if skeleton is None else load_skeleton(skeleton)

    def predictor() -> Any:
        raise CameraError("cairn sync compares keypoints: run cairn detect on the videos first, and give its results")

    return {name: open_recording(each, known, predictor, lambda done, total: None) for name, each in named.items()}


def _named(given: Any, number: int) -> tuple[str, Any]:
    if not isinstance(given, str | Path):
        return f"cam_{number}", given
    name, mark, path = str(given).partition("=")
    if mark and not Path(given).exists():
        return name, path
    return Path(given).name.split(".")[0], given


def _from_speeds(
    recordings: Mapping[str, Recording], joints: str | Sequence[str] | None, limit: int | None, rate: float | None
) -> tuple[dict[str, Offset], float]:
    from cairn.multiview.synchronization import Offset, offsets_between, speeds

    common = _rate(recordings, rate)
    shortest = min(len(each) for each in recordings.values())
    limit = max(1, int(MAX_SHARE * shortest)) if limit is None else limit
    if limit < 1:
        raise CameraError(f"max_offset must be at least 1 frame, got {limit}")
    wanted = joints.split(",") if isinstance(joints, str) else joints
    if len({each.skeleton.joints for each in recordings.values()}) > 1 and wanted is None:
        raise CameraError("the inputs have different skeletons: name joints that all of them have, with --joints")
    signals = {name: speeds(_keypoints(each, wanted), common) for name, each in recordings.items()}
    found = offsets_between(signals, limit, common)
    start = next(iter(recordings.values())).start  # numbers of frames count from the start of each recording
    return {
        name: Offset(each.frames + start - recordings[name].start, each.correlation) for name, each in found.items()
    }, common


def _from_timestamps(
    recordings: Mapping[str, Recording], path: Path, rate: float | None
) -> tuple[dict[str, Offset], float]:
    from cairn.multiview.synchronization import Offset, moments_from_file, offsets_from_moments

    names = list(recordings)
    moments = moments_from_file(path, names, [len(each) for each in recordings.values()])
    offsets = offsets_from_moments(moments)
    return {name: Offset(value, 1.0) for name, value in zip(names, offsets, strict=True)}, _rate(recordings, rate)


def _rate(recordings: Mapping[str, Recording], rate: float | None) -> float:
    from cairn.api.camera_recordings import DEFAULT_RATE, SAME_RATE

    if rate is not None:
        if not 0 < rate < float("inf"):
            raise CameraError(f"rate must be a positive number of frames per second, got {rate:g}")
        return rate
    rates = {name: each.rate for name, each in recordings.items() if each.rate}
    if rates and max(rates.values()) > min(rates.values()) * (1 + SAME_RATE):
        listed = ", ".join(f"{name} {value:g}" for name, value in rates.items())
        raise CameraError(f"the frame rates differ ({listed} Hz), so no offset in frames holds: resample the videos")
    if not rates:
        log.warning("the frame rate of the inputs is unknown: %g Hz is assumed; give --rate", DEFAULT_RATE)
    return float(next(iter(rates.values()), DEFAULT_RATE))


def _keypoints(recording: Recording, joints: Sequence[str] | None) -> NDArray[np.float64]:
    """(F, K, 2): one instance, in each frame the one nearest to that in the frame before; NaN where not detected."""
    import numpy as np

    skeleton = recording.skeleton
    rows = list(range(len(skeleton))) if joints is None else [skeleton.index(joint) for joint in joints]
    track = np.full((len(recording), len(skeleton), 2), np.nan)
    last = None
    for index, poses in enumerate(recording.frames):
        points = np.where(poses.detected[..., None], poses.keypoints.astype(np.float64), np.nan)
        if not len(points) or not poses.detected.any():
            continue
        if last is not None:
            with np.errstate(all="ignore"):
                distance = np.array(
                    [np.nanmedian(np.append(np.linalg.norm(each - last, axis=1), np.nan)) for each in points]
                )
            row = int(np.argmin(np.nan_to_num(distance, nan=np.inf)))
        else:
            row = int(np.argmax(np.where(poses.detected, poses.confidence, 0).sum(axis=1)))
        track[index] = points[row]
        known = np.isfinite(points[row]).all(axis=1)
        last = points[row] if last is None else np.where(known[:, None], points[row], last)
    return track[:, rows]
