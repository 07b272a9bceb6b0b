"""The published ground truth of MPII's validation people, by which PCKh is measured.

It is the file gt_valid.mat of HRNet, mpii_gt_val.mat of mmpose, and detections_our_format.mat of pytorch-pose:

    headboxes_src   (2, 2, N), two corners of each head box: corner, x and y, person
    pos_gt_src      (16, 2, N), joints in pixels from 1
    jnt_missing     (16, N), 1 where a joint is not labeled
    dataset_joints  names of the joints

Labels state the same people, in an order of their own and partly with rounded joints. They are recognized by their
joints, so that the order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.matlab import read_mat
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import load_skeleton

NAMES = (
    *("rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head"),
    *("rwri", "relb", "rsho", "lsho", "lelb", "lwri"),
)
"""Joints in the order of the files; `thrx` is another name of the thorax."""

NEAR = 3.0
"""Distance in pixels of the same joint in two files: some ports drop the fraction, and some the shift by 1."""

MIN_COMMON = 0.5
"""Least share of the joints labeled in either file that both label, for the same person."""


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """N people of validation.

    Attributes:
        path: The file.
        heads: (N,) diagonals of the head boxes in pixels.
        points: (N, 16, 2) joints in pixels from 0, NaN where not labeled; None where the file has no joints.
    """

    path: Path
    heads: NDArray[np.float64]
    points: NDArray[np.float64] | None


def read_ground_truth(path: Path) -> GroundTruth:
    """Reads the file.

    Raises:
        LabelError: It has another structure.
        MissingExtra: scipy is not installed.
    """
    content = read_mat(path)
    if "headboxes_src" not in content:
        names = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise LabelError(
            f"{path} has {names}: expected headboxes_src, as in gt_valid.mat, mpii_gt_val.mat or "
            "detections_our_format.mat of MPII"
        )
    corners = _array(content, "headboxes_src", (2, 2), path)
    heads = np.linalg.norm(corners[1] - corners[0], axis=0)
    if "pos_gt_src" not in content:
        return GroundTruth(path, heads, None)
    joints = [str(name) for name in np.ravel(content.get("dataset_joints", NAMES))]
    if tuple(name.replace("thrx", "thor") for name in joints) != NAMES:
        raise LabelError(f"{path}: dataset_joints must be {' '.join(NAMES)}, got {' '.join(joints)[:100]}")
    points = _array(content, "pos_gt_src", (16, 2), path).transpose(2, 0, 1) - 1
    missing = _array(content, "jnt_missing", (16,), path).T > 0
    if not len(points) == len(missing) == len(heads):
        raise LabelError(
            f"{path}: headboxes_src, pos_gt_src and jnt_missing must be of as many people, got {len(heads)}, "
            f"{len(points)} and {len(missing)}"
        )
    return GroundTruth(path, heads, np.where(missing[..., None], np.nan, points))


def with_ground_truth(labels: Labels, truth: GroundTruth, source: Path) -> Labels:
    """Returns labels whose people have the joints and head sizes of the ground truth; others have no head size.

    Args:
        labels: Labels in the joints of MPII.
        truth: The ground truth, with joints.
        source: The label file, for messages.

    Raises:
        LabelError: The labels have other joints, or people of the ground truth are not among them.
    """
    skeleton = load_skeleton("mpii16")
    if labels.skeleton.joints != skeleton.joints:
        raise LabelError(f"{source} has the joints of {labels.skeleton.name}: {truth.path} is of MPII's 16 joints")
    if truth.points is None:
        raise LabelError(f"{truth.path} has no pos_gt_src, by which the people of {source} are recognized")
    index, found = _Index(truth.points), np.zeros(len(truth.heads), bool)
    images = []
    for image in labels:
        numbers = np.array([index.find(points) for points in image.annotation.keypoints], np.int64)
        found[numbers[numbers >= 0]] = True
        images.append(replace(image, annotation=_replaced(image.annotation, truth, numbers)))
    if 2 * found.sum() < len(found):
        raise LabelError(
            f"{source}: {found.sum()} of the {len(found)} people of {truth.path} are in the labels: the files are not "
            "of the same people"
        )
    return replace(labels, images=tuple(images))


def paired_file(path: Path) -> Path | None:
    """Returns the ground truth beside a label file: gt_NAME.mat, or mpii_gt_NAME.mat for mpii_NAME.json."""
    names = [f"gt_{path.stem}.mat"]
    if path.stem.startswith("mpii_"):
        names.append(f"mpii_gt_{path.stem.removeprefix('mpii_')}.mat")
    return next((file for name in names if (file := path.with_name(name)).is_file()), None)


class _Index:
    """Finds people by their joints, of which two files may place some apart."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        self._points = points
        self._labeled = np.asarray(np.isfinite(points).all(axis=2))
        self._order = points[..., 0].argsort(axis=0)  # (N, 16), those without the joint last
        self._sorted = np.take_along_axis(points[..., 0], self._order, axis=0)

    def find(self, points: NDArray[Any]) -> int:
        """The number of the person with the nearest joints (16, 2); -1 where none is near."""
        labeled = np.isfinite(points).all(axis=1)
        near = [self._near(joint, points[joint, 0]) for joint in np.flatnonzero(labeled).tolist()]
        some = np.unique(np.concatenate([np.zeros(0, np.int64), *near]))
        both = np.logical_and(self._labeled[some], labeled)
        some = some[both.sum(axis=1) >= MIN_COMMON * np.logical_or(self._labeled[some], labeled).sum(axis=1)]
        if not len(some):
            return -1
        both = np.logical_and(self._labeled[some], labeled)
        distances = np.where(both, np.linalg.norm(self._points[some] - points, axis=2), np.nan)
        middle = np.nanmedian(distances, axis=1)
        best = int(middle.argmin())
        return int(some[best]) if middle[best] <= NEAR else -1

    def _near(self, joint: int, x: float) -> NDArray[np.int64]:
        """The numbers of the people who have a joint within `NEAR` of x."""
        low, high = np.searchsorted(self._sorted[:, joint], [x - NEAR, x + NEAR])
        return self._order[low:high, joint]


def _replaced(rows: Annotation, truth: GroundTruth, numbers: NDArray[np.int64]) -> Annotation:
    """Instances with the joints and head sizes of people of the ground truth, by number; -1 for none."""
    assert truth.points is not None
    known = numbers >= 0
    points = np.where(known[:, None, None], truth.points[numbers], rows.keypoints).astype(np.float32)
    labeled = np.isfinite(points).all(axis=2)
    visibility = np.where(labeled, np.where(rows.visibility > 0, rows.visibility, 2), 0).astype(np.uint8)
    heads = np.where(known, truth.heads[numbers], np.nan).astype(np.float32)
    return replace(rows, keypoints=points, visibility=visibility, heads=heads)


def _array(content: dict[str, Any], name: str, shape: tuple[int, ...], path: Path) -> NDArray[np.float64]:
    """An array (*shape, N); of one person the file has no last axis."""
    values = np.asarray(content.get(name))
    if values.dtype.kind in "iufb" and values.shape == shape:
        values = values[..., None]
    if values.dtype.kind not in "iufb" or values.shape[:-1] != shape:
        raise LabelError(f"{path}: {name} must be {(*shape, 'N')} numbers, got {values.shape} of {values.dtype}")
    return values.astype(np.float64)
