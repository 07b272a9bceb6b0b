"""Predictions for MPII's test images in the form of its benchmark, as its evaluation kit describes it.

`pred` is a struct array. Of the single-person benchmark it has one entry for each test image, in the order of the
annotations, with image.name and the annorect of the annotations (scale, objpos), to whose evaluated people
annopoints.point is added: x, y in pixels from 1, and id from 0. Of the multi-person benchmark it has one entry for each
group of people, in the order of the evaluation kit, with the predicted people in annorect; their points have a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import MissingExtra
from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.writer import Detections, Writer
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton

FOLDER = "cairn.mpii"
SINGLE, MULTI = "pred_keypoints_mpii.mat", "pred_keypoints_mpii_multi.mat"
"""Names that the benchmark asks for."""

REACH = 100.0
"""Pixels of a person of scale 1, half its height, by which a person may be away from the rectangle of a group."""

JOINTS = "mpii16"


@dataclass(frozen=True)
class TestPerson:
    """A person of a test image, as the annotations state it.

    Attributes:
        position: `objpos`: x, y in pixels from 1; None where it is missing.
        scale: Height in units of 200 pixels; NaN where it is missing.
    """

    position: tuple[float, float] | None
    scale: float


@dataclass(frozen=True)
class TestImage:
    """A test image.

    Attributes:
        name: Its name in the annotations.
        path: Its file; None where it is not evaluated.
        people: All of its `annorect`, in order.
        single: Indices of the people that the single-person benchmark evaluates.
        groups: Groups of indices; the multi-person benchmark evaluates those without people of `single`.
    """

    name: str
    path: Path | None
    people: tuple[TestPerson, ...]
    single: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def multi(self) -> tuple[tuple[int, ...], ...]:
        """The groups that the multi-person benchmark evaluates."""
        return tuple(group for group in self.groups if not set(group) & set(self.single))


class MpiiWriter(Writer):
    """Writes `cairn.mpii/pred_keypoints_mpii.mat`, or `cairn.mpii/pred_keypoints_mpii_multi.mat`.

    The file is written at the end of the run. Test images without results are in it without predictions.

    Args:
        folder: The output folder.
        images: All test images, in the order of the annotations.
        multi: Whether it is the multi-person benchmark.

    Raises:
        MissingExtra: scipy is not installed.
    """

    def __init__(self, folder: Path, images: Sequence[TestImage], multi: bool) -> None:
        try:
            import scipy.io  # noqa: F401
        except ImportError:
            raise MissingExtra("scipy", "train") from None
        self.path = folder / FOLDER / (MULTI if multi else SINGLE)
        self._images = images
        self._multi = multi
        self._poses: dict[Path, Poses] = {}

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the file, which is that of the run."""
        return (self.path,)

    def write(self, detections: Detections) -> None:
        """Takes the results of a test image."""
        if not detections.damaged:
            self._poses[detections.name.path] = detections.poses.mapped(load_skeleton(JOINTS))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes the file, unless the run failed or was stopped before its first image. Raises OutputError."""
        if kind is not None or not self._poses:
            return
        from scipy.io import savemat

        entries = [
            entry for image in self._images for entry in (self._groups(image) if self._multi else [self._all(image)])
        ]
        with atomic_write(self.path) as partial, partial.open("wb") as file:
            savemat(file, {"pred": _structs(entries, ("image", "annorect"))}, do_compression=True)

    def _all(self, image: TestImage) -> dict[str, Any]:
        """The entry of the single-person benchmark."""
        poses = None if image.path is None else self._poses.get(image.path)
        points: dict[int, Any] = {}
        if poses is not None:
            owners = assigned(poses, [image.people[i] for i in image.single])
            points = {image.single[person]: _points(poses, row) for row, person in enumerate(owners) if person >= 0}
        rows = [
            {
                "scale": [] if np.isnan(person.scale) else person.scale,
                "objpos": [] if person.position is None else dict(zip("xy", person.position, strict=True)),
                "annopoints": {"point": points[i]} if i in points else [],
            }
            for i, person in enumerate(image.people)
        ]
        return {"image": {"name": image.name}, "annorect": _structs(rows, ("scale", "objpos", "annopoints"))}

    def _groups(self, image: TestImage) -> list[dict[str, Any]]:
        """The entries of the multi-person benchmark."""
        poses = None if image.path is None else self._poses.get(image.path)
        owners = np.zeros(0, np.int64) if poses is None else nearest_groups(poses, image)
        entries = []
        for number, group in enumerate(image.groups):
            if group in image.multi:
                rows = [] if poses is None else np.flatnonzero(owners == number).tolist()
                people = [
                    {"annopoints": {"point": _points(poses, row, scored=True)}} for row in rows if poses is not None
                ]
                entries.append({"image": {"name": image.name}, "annorect": _structs(people, ("annopoints",))})
        return entries


def assigned(poses: Poses, people: Sequence[TestPerson]) -> NDArray[np.int64]:
    """Returns (P,) the person of each pose: in order, or the nearest where people were not detected; -1 for none."""
    if len(poses) == len(people):
        return np.arange(len(poses))
    positions = np.array([person.position or (np.inf, np.inf) for person in people], np.float64).reshape(-1, 2)
    distances = np.linalg.norm(_centers(poses)[:, None] - positions, axis=2)
    owners = np.full(len(poses), -1)
    for _ in range(min(distances.shape)):
        row, person = np.unravel_index(int(distances.argmin()), distances.shape)
        if not np.isfinite(distances[row, person]):
            break
        owners[row] = person
        distances[row], distances[:, person] = np.inf, np.inf
    return owners


def nearest_groups(poses: Poses, image: TestImage) -> NDArray[np.int64]:
    """Returns (P,) the group of each pose, whose rectangle is the nearest to its center; -1 where none is near.

    The rectangle of a group holds the positions of its people. A pose is near within `REACH` times their mean scale.
    """
    centers = _centers(poses)
    distances = np.full((len(poses), len(image.groups)), np.inf)
    for number, group in enumerate(image.groups):
        people = [image.people[i] for i in group]
        positions = np.array([person.position for person in people if person.position is not None], np.float64)
        scales = [person.scale for person in people if not np.isnan(person.scale)]
        if len(positions) and scales:
            outside = np.maximum(np.maximum(positions.min(axis=0) - centers, centers - positions.max(axis=0)), 0)
            distances[:, number] = np.linalg.norm(outside, axis=1) / (REACH * float(np.mean(scales)))
    if not distances.size:
        return np.full(len(poses), -1)
    return np.where(distances.min(axis=1) <= 1, distances.argmin(axis=1), -1)


def _centers(poses: Poses) -> NDArray[np.float64]:
    """(P, 2) centers of the boxes of the keypoints, in pixels from 1."""
    boxes = poses.boxes.astype(np.float64)
    centers: NDArray[np.float64] = boxes[:, :2] + boxes[:, 2:] / 2 + 1
    return centers


def _points(poses: Poses, row: int, scored: bool = False) -> NDArray[Any]:
    """The detected joints of a pose as a struct array."""
    fields = ("x", "y", "id", *(("score",) if scored else ()))
    points = []
    for joint in np.flatnonzero(poses.detected[row]).tolist():
        x, y = (poses.keypoints[row, joint].astype(np.float64) + 1).tolist()
        points.append({"x": x, "y": y, "id": float(joint), "score": float(poses.confidence[row, joint])})
    return _structs(points, fields)


def _structs(rows: Sequence[dict[str, Any]], fields: Sequence[str]) -> NDArray[Any]:
    """A (1, N) struct array."""
    table = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    for field in fields:
        for i, row in enumerate(rows):
            table[field][0, i] = row[field]
    return table
