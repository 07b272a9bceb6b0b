"""`cairn.track`: tracks instances through a video, webcam stream or image sequence."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from cairn.api.settings import Settings
from cairn.arguments import checked
from cairn.errors import CairnError, OutputError
from cairn.files import atomic_write
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.api.run import Run
    from cairn.inference.predictor import Predictor
    from cairn.structures.poses import Poses

COLUMNS = ("frame", "time", "id", "score", "keypoint", "x", "y", "confidence")
"""Columns of the table: a row for each keypoint of each instance of each frame. With classes, class follows id."""

INTERPOLATED = "interpolated"
"""Column and key that mark what was not detected."""


@dataclass(frozen=True, eq=False, repr=False)
class Tracks(Sequence["Poses"]):
    """Poses of each frame, with track IDs.

    Example:
        tracks = cairn.track("clip.mp4")
        tracks[0].ids
        tracks.save("tracks.csv")

    Attributes:
        frames: Poses of each frame; `Poses.ids` are track IDs, -1 before an instance is confirmed.
        times: Seconds from the first frame, or None where they are unknown.
        indices: Number of each frame in its source, from 0.
        source: The source, as given.
        model: Name of the model.
        added: Of each frame, (P,) which instances were interpolated and not detected; None where none were.
    """

    frames: tuple[Poses, ...]
    times: tuple[float | None, ...]
    indices: tuple[int, ...]
    source: str
    model: str
    added: tuple[NDArray[np.bool_], ...] | None = None

    @overload
    def __getitem__(self, index: int) -> Poses: ...

    @overload
    def __getitem__(self, index: slice) -> Tracks: ...

    def __getitem__(self, index: int | slice) -> Poses | Tracks:
        if isinstance(index, slice):
            added = None if self.added is None else self.added[index]
            return Tracks(self.frames[index], self.times[index], self.indices[index], self.source, self.model, added)
        return self.frames[index]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Poses]:
        return iter(self.frames)

    def __repr__(self) -> str:
        return f"Tracks({self.source}: {counted(len(self), 'frame')}, {counted(len(self.ids), 'track ID')})"

    @property
    def ids(self) -> list[int]:
        """The track IDs of all frames, sorted."""
        return sorted({number for poses in self.frames for number in _ids(poses) if number is not None})

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table."""
        from cairn.structures.conversions import with_class

        columns = with_class(COLUMNS, self.frames[0].class_names if self.frames else ())
        return columns if self.added is None else (*columns, INTERPOLATED)

    def smoothed(self, strength: float = 1.0) -> Tracks:
        """Returns the tracks with keypoints smoothed without delay: forward and backward in time.

        Args:
            strength: 0 for none, 1 for the default strength.

        Raises:
            CairnError: The strength is negative or not finite.
        """
        from cairn.tracking.offline import smooth_offline

        if not 0 <= strength < math.inf:
            raise CairnError(f"strength must be a number from 0, got {strength!r}")
        frames = smooth_offline(self.frames, self._seconds, strength) if strength else self.frames
        return replace(self, frames=tuple(frames))

    def interpolated(self, max_gap: float = 0.5) -> Tracks:
        """Returns the tracks with instances interpolated in short gaps; `added`, and the files, mark them.

        Args:
            max_gap: Maximum seconds between the detections before and after a gap.

        Raises:
            CairnError: The gap is negative or not finite.
        """
        from cairn.tracking.offline import interpolate_gaps

        if not 0 <= max_gap < math.inf:
            raise CairnError(f"max_gap must be a number of seconds from 0, got {max_gap!r}")
        frames, added = interpolate_gaps(self.frames, self._seconds, max_gap)
        if self.added is not None:
            added = [np.concatenate([old, new[len(old) :]]) for old, new in zip(self.added, added, strict=True)]
        return replace(self, frames=tuple(frames), added=tuple(added))

    @property
    def _seconds(self) -> list[float]:
        """Seconds of each frame; 25 frames per second where they are unknown."""
        from cairn.tracking.tracker import DEFAULT_RATE

        return [i / DEFAULT_RATE if time is None else time for i, time in zip(self.indices, self.times, strict=True)]

    def _marks(self, frame: int) -> list[tuple[bool, ...]]:
        """Of each instance of a frame, whether it was interpolated, where any was."""
        return [() if self.added is None else (bool(self.added[frame][i]),) for i in range(len(self.frames[frame]))]

    def rows(self, *, empty: bool = False) -> Iterator[tuple[Any, ...]]:
        """Yields a row for each keypoint, as `columns`; x and y are None where a keypoint was not detected.

        Args:
            empty: Whether a frame without detections has a row, in which all but frame and time are None.
        """
        for i, (index, time, poses) in enumerate(zip(self.indices, self.times, self.frames, strict=True)):
            if empty and not len(poses):
                yield (index, time, *[None] * (len(self.columns) - 2))
            arrays = (poses.scores.tolist(), poses.keypoints.tolist(), poses.confidence.tolist())
            classes = [() if pose.class_name is None else (pose.class_name,) for pose in poses]
            marks = self._marks(i)
            for number, own, score, points, confidence, mark in zip(_ids(poses), classes, *arrays, marks, strict=True):
                for joint, (x, y), c in zip(poses.skeleton.joints, points, confidence, strict=True):
                    place = (round(x, 2), round(y, 2)) if c > 0 else (None, None)
                    yield (index, time, number, *own, round(score, 4), joint, *place, round(c, 4), *mark)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Returns a JSON value for each frame: frame, time, and poses with id, class, score and keypoints by name."""
        frames = []
        for i, (index, time, poses) in enumerate(zip(self.indices, self.times, self.frames, strict=True)):
            rows = _poses_as_dicts(poses)
            for row, mark in zip(rows, self._marks(i), strict=True):
                row |= {INTERPOLATED: True} if any(mark) else {}
            frames.append({"frame": index, "time": time, "poses": rows})
        return frames

    def to_dataframe(self, *, empty: bool = False) -> Any:
        """Returns a pandas DataFrame with the columns `columns`.

        Args:
            empty: Whether a frame without detections has a row; see `rows`.

        Raises:
            CairnError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            message = "to_dataframe needs pandas, which is not installed: pip install pandas"
            raise CairnError(message) from None
        return pandas.DataFrame(list(self.rows(empty=empty)), columns=list(self.columns))

    def save(self, path: str | Path, *, empty: bool = False) -> Path:
        """Writes the tracks to a file, and returns its path.

        Args:
            path: File to write: .csv (a row for each keypoint) or .jsonl (a line for each frame).
            empty: Whether a frame without detections has a row in a .csv; a .jsonl has a line for every frame.

        Raises:
            OutputError: The suffix is another one, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix not in (".csv", ".jsonl"):
            raise OutputError(f"tracks are written as .csv or .jsonl, got {path}")
        with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                table = csv.writer(file)
                table.writerow(self.columns)
                table.writerows(self.rows(empty=empty))
            else:
                file.writelines(json.dumps(frame) + "\n" for frame in self.to_dicts())
        return path


@checked
def track(
    source: Any,
    *,
    model: str | Path | Run | Predictor = "person",
    smooth: float = 0.0,
    min_confidence: float = 0.0,
    device: str = "auto",
    threads: int = 0,
    rate: float = 25.0,
    settings: Settings = None,
) -> Tracks:
    """Tracks instances through a video, webcam stream or image sequence.

    All frames are read before the function returns. For a webcam, or to use poses as they are detected, iterate over
    `model.stream(source, track=True)`.

    Example:
        tracks = cairn.track("clip.mp4", smooth=1)
        tracks.ids

    Args:
        source: A video, a folder, glob or list of numbered images, the number of a webcam, or an address
            (rtsp://, http://).
        model: Name of a bundled model, .onnx file, run, or predictor.
        smooth: Strength of temporal smoothing: 0 for none, 1 for the default strength.
        min_confidence: Minimum keypoint confidence; keypoints below it are dropped.
        device: Device to run on, as of `cairn.load`.
        threads: Number of threads; 0 for all cores.
        rate: Frames per second of image sequences.
        settings: Settings of the decoder by name.

    Raises:
        ModelError: The model cannot be used.
        VideoError: The source cannot be opened.
    """
    from cairn.api.models import open_model
    from cairn.media.address import without_credentials

    predictor: Any = open_model(model, {"device": device, "threads": threads}, settings)
    options = {"smooth": smooth, "min_confidence": min_confidence, "threads": threads, "rate": rate}
    frames, times, indices = [], [], []
    for frame in predictor.stream(source, track=True, **options):
        if frame.poses is None:  # the frame could not be read
            continue
        frames.append(_without_image(frame.poses))
        times.append(frame.time)
        indices.append(frame.index)
    return Tracks(tuple(frames), tuple(times), tuple(indices), without_credentials(source), predictor.spec.name)


def _without_image(poses: Poses) -> Poses:
    """Poses that do not keep the pixels of their frame in memory."""
    return replace(poses, image=None)


def _ids(poses: Poses) -> list[int | None]:
    """Track IDs; None where an instance has none."""
    numbers = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
    return [number if number >= 0 else None for number in numbers]


def _poses_as_dicts(poses: Poses) -> list[dict[str, Any]]:
    from cairn.structures.conversions import VISIBILITY, named_visibility

    arrays = (poses.scores.tolist(), poses.keypoints.tolist(), poses.confidence.tolist())
    return [
        {
            "id": number,
            **({} if pose.class_name is None else {"class": pose.class_name}),
            "score": round(score, 4),
            "keypoints": {
                joint: [round(x, 2), round(y, 2), round(c, 4)] if c > 0 else None
                for joint, (x, y), c in zip(poses.skeleton.joints, points, confidence, strict=True)
            },
            **({} if pose.visibility is None else {VISIBILITY: named_visibility(pose)}),
        }
        for pose, number, score, points, confidence in zip(poses, _ids(poses), *arrays, strict=True)
    ]
