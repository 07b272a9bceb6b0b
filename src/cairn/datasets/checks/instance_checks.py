"""Checks of instances: duplicates, and areas and bounding boxes that do not fit their keypoints.

OKS divides distances by the root of the area, crops follow the box, and a copy of an instance can never be detected:
all three change metrics without an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.findings import Finding, examples
from cairn.datasets.instances import Instances
from cairn.datasets.labels import Labels
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.wording import counted

ROUNDING = 0.5
"""Maximum distance in pixels between the keypoints of an instance and those of its copy."""

MIN_SHARE_IN_BOX = 0.5
"""Minimum share of the labeled keypoints that lie in a bounding box that fits them."""

BOX_MARGIN = 0.1
"""Margin around a box, as a share of its longer side: labels of box and keypoints are drawn by hand."""

MIN_AREA, MAX_AREA = 0.02, 1.5
"""Bounds of the area over that of the bounding box. A thin object that lies diagonally covers a fiftieth of its box."""

MIN_ASPECT = 0.25
"""Minimum shorter over longer side of a reference box: keypoints on a line, too, belong to an object with a width."""

MIN_SHARE_OF_CORNERS = 0.9
"""Minimum share of the boxes that fit only as corners, to state that all of them are corners."""

MIN_OVERHANG = 0.1
"""Minimum share of a box that lies beyond its image, for a box that cannot be one."""


def check_instances(name: str, labels: Labels) -> list[Finding]:
    """Returns findings about duplicate instances, and about areas and boxes that do not fit their keypoints.

    Args:
        name: Name of the set.
        labels: The set.
    """
    table = _Table(name, labels)
    return [*_duplicates(table), *_boxes(table), *_areas(table)] if len(table.rows) else []


def keypoint_boxes(annotation: Annotation) -> NDArray[np.float64]:
    """Returns (P, 4) the bounding boxes x, y, width, height of the labeled keypoints; NaN without any."""
    points = np.where(annotation.visibility[..., None] > 0, annotation.keypoints, np.nan).astype(np.float64)
    low = np.where(np.isnan(points), np.inf, points).min(axis=1, initial=np.inf)
    high = np.where(np.isnan(points), -np.inf, points).max(axis=1, initial=-np.inf)
    boxes: NDArray[np.float64] = np.concatenate([low, np.subtract(high, low)], axis=1)
    boxes[~np.isfinite(boxes).all(axis=1)] = np.nan
    return boxes


def boxes_fit(annotation: Annotation, boxes: NDArray[np.floating] | None = None) -> NDArray[np.bool_]:
    """Returns (P,) whether most labeled keypoints of an instance lie in its bounding box.

    Args:
        annotation: P instances.
        boxes: (P, 4) x, y, width, height; None takes the annotated boxes.
    """
    boxes = (annotation.boxes if boxes is None else boxes).astype(np.float64)
    margin = BOX_MARGIN * boxes[:, 2:].max(axis=1, initial=0)[:, None, None] + 1
    low, high = boxes[:, None, :2] - margin, boxes[:, None, :2] + boxes[:, None, 2:] + margin
    labeled = annotation.visibility > 0
    with np.errstate(invalid="ignore"):
        inside = ((annotation.keypoints >= low) & (annotation.keypoints <= high)).all(axis=2) & labeled
    fit: NDArray[np.bool_] = inside.sum(axis=1) >= MIN_SHARE_IN_BOX * labeled.sum(axis=1)
    return fit


def reference_boxes(annotation: Annotation) -> NDArray[np.float64]:
    """Returns (P, 4) the bounding boxes where they fit their keypoints, otherwise those of the labeled keypoints."""
    return np.where(boxes_fit(annotation)[:, None], annotation.boxes.astype(np.float64), keypoint_boxes(annotation))


def reference_areas(annotation: Annotation) -> NDArray[np.float64]:
    """Returns (P,) the areas that instances have by their reference boxes, in square pixels, whatever is annotated."""
    sides = reference_boxes(annotation)[:, 2:]
    sides = np.maximum(sides, MIN_ASPECT * sides.max(axis=1, initial=0)[:, None])
    areas: NDArray[np.float64] = AREA_PER_BOX * sides.prod(axis=1)
    return areas


def areas_fit(annotation: Annotation) -> NDArray[np.bool_]:
    """Returns (P,) whether instances of this box and these keypoints can have their annotated area."""
    areas, own = annotation.areas.astype(np.float64), reference_areas(annotation) / AREA_PER_BOX
    largest = np.maximum(own, annotation.boxes[:, 2:].astype(np.float64).prod(axis=1))
    fit: NDArray[np.bool_] = (areas > 0) & (areas >= MIN_AREA * own) & (areas <= MAX_AREA * largest)
    return fit


@dataclass(frozen=True, eq=False)
class _Table:
    """The instances of a set with a labeled keypoint.

    Attributes:
        name: Name of the set.
        labels: The set.
    """

    name: str
    labels: Labels

    @cached_property
    def _instances(self) -> Instances:
        return self.labels.instances[self.labels.instances.annotation.labeled]

    @property
    def rows(self) -> Annotation:
        """The N instances."""
        return self._instances.annotation

    @property
    def images(self) -> NDArray[np.int64]:
        """(N,) index of the image of each instance."""
        return self._instances.images

    def number(self, row: int) -> int:
        """Returns the number of an instance in its image, from 1."""
        return int(self._instances.rows[row]) + 1

    def where(self, row: int) -> str:
        """Returns the image of an instance, and its number in there."""
        return f"{self.labels.images[self.images[row]].path.name} (instance {self.number(row)})"

    def case(self, row: int) -> dict[str, object]:
        """Returns the place of an instance for JSON."""
        return {"image": str(self.labels.images[self.images[row]].path), "instance": self.number(row) - 1}

    def finding(self, kind: str, what: str, rows: Iterable[int], lines: list[str]) -> Finding:
        """Returns a warning about instances, with one text for each."""
        cases = tuple({**self.case(row), "reason": line} for row, line in zip(rows, lines, strict=True))
        return Finding("warning", kind, f"{self.name}: {what}: {examples(lines, '; ')}", cases)


def _duplicates(table: _Table) -> list[Finding]:
    copies = duplicate_instances(table.rows, table.images)
    if not copies:
        return []
    lines = [f"{table.where(row)} = instance {table.number(first)}" for row, first in copies.items()]
    verb = "occurs" if len(copies) == 1 else "occur"
    what = f"{counted(len(copies), 'instance')} {verb} twice; a copy is never detected, and counts as missed"
    return [table.finding("duplicate_instances", what, copies, lines)]


def duplicate_instances(annotation: Annotation, images: NDArray[np.int64]) -> dict[int, int]:
    """Returns copy -> first instance, for instances with the keypoints and the class of another one of their image.

    A single keypoint may be at the place of another one by chance, so that its box must be the same, too. Neighbors in
    the order of their mean keypoints are compared, which takes linear time.

    Args:
        annotation: N instances with labeled keypoints.
        images: (N,) the image of each.
    """
    labeled = annotation.visibility > 0
    points = np.where(labeled[..., None], annotation.keypoints, 0).astype(np.float64)
    number = labeled.sum(axis=1)
    x = points[..., 0].sum(axis=1) / np.maximum(number, 1)
    order = np.lexsort((x, images))
    first: dict[int, int] = {}
    for lag in count(1):
        a, b = order[:-lag], order[lag:]
        near = (images[a] == images[b]) & (x[b] - x[a] <= ROUNDING)
        if not near.any():
            return dict(sorted(first.items()))
        a, b = a[near], b[near]
        same = (labeled[a] == labeled[b]).all(axis=1)
        same &= (np.abs(points[a] - points[b]) <= ROUNDING).all(axis=(1, 2))
        same_box = (np.abs(annotation.boxes[a] - annotation.boxes[b]) <= 2 * ROUNDING).all(axis=1)
        same &= same_box | (number[a] > 1)
        if annotation.classes is not None:
            same &= annotation.classes[a] == annotation.classes[b]
        for pair in zip(a[same].tolist(), b[same].tolist(), strict=True):
            early, late = sorted(pair)
            first[late] = min(early, first.get(late, early))
    raise AssertionError("unreachable: a lag beyond the last instance has no pairs")


def _boxes(table: _Table) -> list[Finding]:
    """Boxes that are corners, and boxes without most of their keypoints."""
    annotation = table.rows
    boxes = annotation.boxes.astype(np.float64)
    if len(corners := _corner_boxes(table)):
        what = (
            f"{len(corners)} of {counted(len(boxes), 'bounding box').replace('boxs', 'boxes')} extend beyond the image "
            "and fit only as x1, y1, x2, y2: expected x, y, width, height"
        )
        lines = [f"{table.where(row)} {_numbers(boxes[row])}" for row in corners]
        return [table.finding("box", what, corners, lines)]
    wrong = np.flatnonzero(~boxes_fit(annotation)).tolist()
    if not wrong:
        return []
    extents = keypoint_boxes(annotation)
    what = f"{len(wrong)} of {len(boxes)} bounding boxes do not contain most of their keypoints"
    lines = [f"{table.where(row)} {_numbers(boxes[row])}, the keypoints {_numbers(extents[row])}" for row in wrong]
    return [table.finding("box", what, wrong, lines)]


def _corner_boxes(table: _Table) -> list[int]:
    """The rows of boxes x1, y1, x2, y2 that lie beyond their image as x, y, width, height; if the set has such boxes.

    A tight box that is right contains no keypoint in the role of corners, unless it begins at the origin.
    """
    annotation = table.rows
    boxes = annotation.boxes.astype(np.float64)
    as_corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    positive: NDArray[np.bool_] = np.all(as_corners[:, 2:] > 0, axis=1)
    fit = positive & boxes_fit(annotation, np.where(positive[:, None], as_corners, 0))
    sizes = np.array([image.size[::-1] for image in table.labels], np.float64)[table.images]
    overhang = boxes[:, :2] + boxes[:, 2:] - sizes
    far: NDArray[np.bool_] = np.any(overhang > MIN_OVERHANG * boxes[:, 2:], axis=1)
    beyond = far & np.all(boxes[:, :2] >= 0, axis=1)
    if not beyond.any() or fit.mean() < MIN_SHARE_OF_CORNERS or fit[beyond].mean() < MIN_SHARE_OF_CORNERS:
        return []
    return np.flatnonzero(beyond & fit).tolist()


def _areas(table: _Table) -> list[Finding]:
    """Areas that an instance of this box cannot have."""
    annotation = table.rows
    areas, boxes = annotation.areas, reference_boxes(annotation)
    wrong = np.flatnonzero(~areas_fit(annotation)).tolist()
    if not wrong:
        return []
    what = f"{len(wrong)} of {counted(len(areas), 'area')} do not fit their instance, and OKS depends on them"
    lines = [
        f"{table.where(row)} has {areas[row]:g} square pixels, its box is {boxes[row, 2]:.0f}×{boxes[row, 3]:.0f}"
        for row in wrong
    ]
    return [table.finding("area", what, wrong, lines)]


def _numbers(box: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.4g}" for value in box)
