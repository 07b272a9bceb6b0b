"""Detections of one image: a struct of arrays, one row per instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from cairn.arguments import checked
from cairn.errors import CairnError, OutputError, SkeletonError
from cairn.structures import conversions
from cairn.structures.geometry import Affine
from cairn.structures.pose import Pose, bounding_boxes, named_keypoint
from cairn.structures.skeleton import Skeleton
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.visualization.plot import Plot

__all__ = ["Pose", "Poses", "Rows", "gathered"]

Rows = slice | Sequence[int] | Sequence[bool] | NDArray[np.integer[Any]] | NDArray[np.bool_]
"""An index that selects several instances: a slice, integer indices (N,) or a boolean mask (P,)."""


@dataclass(frozen=True, eq=False, repr=False)
class Poses:
    """The instances detected in one image.

    `poses[0]` is a `Pose`; slices, index arrays and boolean masks give `Poses`; `poses["left_wrist"]` is one
    keypoint of all instances, (P, 3) x, y, confidence. Iteration yields `Pose` objects.

    Attributes:
        keypoints: (P, K, 2) float32, (x, y) in pixels; NaN where not detected.
        confidence: (P, K) float32 in [0, 1]; 0 where not detected.
        scores: (P,) float32, overall score of each instance; higher is more confident.
        skeleton: Names and limbs of the K keypoints.
        ids: (P,) int64, track IDs, from 1, unique within a video and never reused; -1 where no ID is assigned (yet);
            None without tracking.
        image: (H, W, 3) uint8 RGB, the image that the instances were detected in, where it is known.
        classes: (P,) int64, index of each instance's class in `class_names`; None where the model has one class.
        class_names: Names of the classes that the model distinguishes; empty where it has one.
        visibility: (P, K) float32, probability from 0 to 1 that a keypoint is visible and not occluded; NaN where it is
            not detected, None where the model does not predict it.

    Raises:
        SkeletonError: If the shapes contradict one another, the skeleton or the names of the classes.
    """

    keypoints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    scores: NDArray[np.float32]
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    image: NDArray[np.uint8] | None = field(default=None, kw_only=True)
    classes: NDArray[np.int64] | None = field(default=None, kw_only=True)
    class_names: tuple[str, ...] = field(default=(), kw_only=True)
    visibility: NDArray[np.float32] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        instances, joints = len(self.scores), len(self.skeleton)
        if self.keypoints.shape != (instances, joints, 2) or self.confidence.shape != (instances, joints):
            raise SkeletonError(
                f"keypoints must be ({instances}, {joints}, 2) and confidence ({instances}, {joints}) for "
                f"{instances} instances of {self.skeleton.name}, got {self.keypoints.shape} and {self.confidence.shape}"
            )
        if self.ids is not None and self.ids.shape != (instances,):
            raise SkeletonError(f"ids must be one track ID for each of {instances} instances, got {self.ids.shape}")
        if (self.classes is None) == bool(self.class_names):
            raise SkeletonError("classes and class_names go together: give both or neither")
        if self.visibility is not None and self.visibility.shape != (instances, joints):
            raise SkeletonError(f"visibility must be ({instances}, {joints}), got {self.visibility.shape}")
        if self.classes is not None:
            _check_classes(self.classes, instances, self.class_names)

    @classmethod
    def empty(cls, skeleton: Skeleton, class_names: tuple[str, ...] = ()) -> Poses:
        """Returns no instances of a skeleton, of a model with these classes."""
        joints = len(skeleton)
        return cls(
            np.zeros((0, joints, 2), np.float32),
            np.zeros((0, joints), np.float32),
            np.zeros(0, np.float32),
            skeleton,
            classes=np.zeros(0, np.int64) if class_names else None,
            class_names=class_names,
        )

    @classmethod
    def concatenate(cls, items: Sequence[Poses], skeleton: Skeleton) -> Poses:
        """Returns the instances of several `Poses` of one image, in order.

        Args:
            items: Poses of the same skeleton; may be empty.
            skeleton: Skeleton of the result.

        Returns:
            The instances with their IDs where all items have IDs, and with the image where all items share it. They
            have classes where all items with instances do, matched by name, and visibility where any item has it.
        """
        if not items:
            return cls.empty(skeleton)
        ids = [item.ids for item in items if item.ids is not None]
        image = items[0].image
        names = tuple(dict.fromkeys(name for item in items for name in item.class_names))
        if any(len(item) and item.classes is None for item in items):
            names = ()
        classes = [item.in_classes(names).classes for item in items if item.classes is not None]
        return cls(
            np.concatenate([item.keypoints for item in items]),
            np.concatenate([item.confidence for item in items]),
            np.concatenate([item.scores for item in items]),
            skeleton,
            np.concatenate(ids) if len(ids) == len(items) else None,
            image=image if all(item.image is image for item in items) else None,
            classes=np.concatenate([each for each in classes if each is not None]) if names else None,
            class_names=names,
            visibility=joined_visibility(items, axis=0),
        )

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Pose: ...
    @overload
    def __getitem__(self, index: str) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: Rows) -> Poses: ...

    def __getitem__(self, index: int | np.integer[Any] | str | Rows) -> Pose | Poses | NDArray[np.float32]:
        """Returns one instance, one keypoint of all instances, or some of the instances.

        Args:
            index: An integer (negative ones count from the end) for a `Pose`, a joint name for (P, 3) x, y,
                confidence, or a slice, integer indices (N,) or a boolean mask (P,) for `Poses`.

        Raises:
            IndexError: If an index is out of range, or a mask has the wrong length.
            SkeletonError: If the skeleton has no joint of this name.
            TypeError: If the index is of another kind.
        """
        if isinstance(index, str):
            return named_keypoint(self.keypoints, self.confidence, self.skeleton, index)
        if isinstance(index, int | np.integer) and not isinstance(index, bool):
            return self._pose(int(index))
        rows = index if isinstance(index, slice) else self._rows(index)
        return replace(
            self,
            keypoints=self.keypoints[rows],
            confidence=self.confidence[rows],
            scores=self.scores[rows],
            ids=None if self.ids is None else self.ids[rows],
            classes=None if self.classes is None else self.classes[rows],
            visibility=None if self.visibility is None else self.visibility[rows],
        )

    def __iter__(self) -> Iterator[Pose]:
        return (self._pose(row) for row in range(len(self)))

    def __repr__(self) -> str:
        instances = f"{counted(len(self), 'instance')} of {self.skeleton.name}"
        if self.classes is not None and len(self):
            counts = np.bincount(self.classes, minlength=len(self.class_names)).tolist()
            named = (f"{count} {name}" for name, count in zip(self.class_names, counts, strict=True) if count)
            instances += f" ({', '.join(named)})"
        return f"Poses({instances}, {int(self.detected.sum())} of {self.detected.size} keypoints)"

    @property
    def detected(self) -> NDArray[np.bool_]:
        """(P, K): which keypoints are detected."""
        return self.confidence > 0

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(P, 4) x, y, width, height of the bounding boxes of the detected keypoints; NaN where none is detected."""
        return bounding_boxes(self.keypoints, self.detected)

    @checked
    def transformed(self, affine: Affine) -> Poses:
        """Returns the instances with keypoints mapped by `affine`, without the image."""
        return replace(self, keypoints=affine.apply(self.keypoints), image=None)

    @checked
    def above(self, threshold: float) -> Poses:
        """Returns the keypoints with at least this confidence, without instances that have none left."""
        return self.where(self.confidence >= threshold)

    def where(self, wanted: NDArray[np.bool_]) -> Poses:
        """Returns the keypoints of a mask (P, K), without instances that have none left."""
        kept = self.detected & wanted
        keypoints = np.where(kept[..., None], self.keypoints, np.float32(np.nan))
        confidence = np.where(kept, self.confidence, np.float32(0))
        visibility = None if self.visibility is None else np.where(kept, self.visibility, np.float32(np.nan))
        poses = replace(self, keypoints=keypoints, confidence=confidence, visibility=visibility)
        return poses[np.flatnonzero(kept.any(axis=1))]

    @checked
    def mapped(self, skeleton: Skeleton) -> Poses:
        """Returns the instances in the joints of another skeleton, matched by name.

        Joints that this skeleton lacks are not detected. A joint that is the mean of others (`Skeleton.means`) is
        detected where all of them are, with the minimum of their confidences and of their visibility.
        """
        parts = skeleton.parts_in(self.skeleton)
        there = np.array([bool(joints) for joints in parts])
        confidence = np.where(there, gathered(self.confidence, parts, np.min), np.float32(0))
        keypoints = gathered(self.keypoints, parts, np.mean)
        keypoints = np.where(confidence[..., None] > 0, keypoints, np.float32(np.nan))
        visibility = self.visibility
        if visibility is not None:
            visibility = np.where(confidence > 0, gathered(visibility, parts, np.min), np.float32(np.nan))
        return replace(self, keypoints=keypoints, confidence=confidence, skeleton=skeleton, visibility=visibility)

    def in_classes(self, names: Sequence[str]) -> Poses:
        """Returns the instances with the classes of `names`, matched by name; without classes where it is empty.

        Raises:
            SkeletonError: An instance has a class that is not among the names, or has none.
        """
        names = tuple(names)
        if names == self.class_names:
            return self
        if not names:
            return replace(self, classes=None, class_names=())
        if self.classes is None:
            if len(self):
                raise SkeletonError(f"these poses have no classes: expected one of {', '.join(names)} for each")
            return replace(self, classes=np.zeros(0, np.int64), class_names=names)
        index = np.array([names.index(name) if name in names else -1 for name in self.class_names], np.int64)
        classes = index[self.classes]
        if (classes < 0).any():
            unknown = self.class_names[int(self.classes[classes < 0][0])]
            raise SkeletonError(f"class {unknown} is none of {', '.join(names)}")
        return replace(self, classes=classes, class_names=names)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain, JSON-serializable values.

        Returns:
            `{"skeleton": {"name", "joints", "limbs"}, "people": [...]}`, the form of Cairn's JSON files. Each entry
            has "id" (with tracking alone; None where unassigned), "class" (of a model with several classes alone),
            "score", "box" ([x, y, width, height] or None) and "keypoints" (name -> [x, y, confidence], None where not
            detected). Of a model with several classes their names are in "classes". Of a model that predicts it, an
            entry has "visibility" (name -> probability, None where not detected).
        """
        return conversions.to_dict(self)

    def to_dataframe(self) -> Any:
        """Returns a pandas DataFrame in long format, one row per keypoint.

        Columns are pose (from 0), id, score, keypoint, x, y and confidence; x and y are NaN where not detected. Of a
        model with several classes, class follows id.

        Raises:
            MissingPackage: If pandas is not installed.
        """
        return conversions.to_dataframe(self)

    def to_supervision(self) -> Any:
        """Returns a `supervision.KeyPoints`; keypoints that are not detected are (0, 0) and not visible.

        Raises:
            MissingPackage: If supervision is not installed.
        """
        return conversions.to_supervision(self)

    def to_coco(self, image_id: int = 0, category_id: int = 1) -> list[dict[str, Any]]:
        """Returns COCO keypoint results, one dict per instance.

        "category_id" is `category_id`, of a model with several classes plus the index of the instance's class.
        "keypoints" is flat: x, y, confidence of each keypoint, 0, 0, 0 where not detected. Of a model that predicts
        visibility, the third value is COCO's v, 2 visible and 1 occluded, and the K confidences are in "confidence",
        the probabilities in "visibility". Instances with a track ID have "track_id" too. A skeleton with COCO's 17
        joints and more, such as coco18, is mapped to these 17.
        """
        return conversions.to_coco(self, image_id, category_id)

    @checked
    def plot(self, image: Any = None, threshold: float = 0.0, by: Literal["limb", "object"] = "limb") -> Plot:
        """Returns the instances drawn on an image.

        Args:
            image: Image to draw on, as `cairn.draw` takes it; default: the image that they were detected in.
            threshold: Minimum keypoint confidence to draw.
            by: "limb": colors of the skeleton; "object": one color per instance.

        Raises:
            CairnError: If no image is given and none is known.
        """
        from cairn.visualization.plot import Plot

        if image is None:
            image = self.image
        if image is None:
            raise CairnError("the image of these poses is unknown: pass it, as in poses.plot('photo.jpg')")
        return Plot.of(image, self, threshold, by)

    @checked
    def save(self, path: str | Path) -> None:
        """Writes the poses to a file; the suffix selects the format.

        Args:
            path: `.json` for `to_dict`, `.csv` for the columns of `to_dataframe`, or an image to draw.

        Raises:
            OutputError: If the suffix is unknown or the file cannot be written.
            CairnError: If an image is to be drawn and none is known.
        """
        from cairn.visualization.plot import SUFFIXES

        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".json":
            conversions.write_json(path, self)
        elif suffix == ".csv":
            conversions.write_csv(path, self)
        elif suffix in SUFFIXES:
            self.plot().save(path)
        else:
            raise OutputError(f"cannot write {path}: the suffix must be one of .json .csv {' '.join(SUFFIXES)}")

    def _repr_png_(self) -> bytes | None:
        return None if self.image is None else self.plot()._repr_png_()

    def _pose(self, row: int) -> Pose:
        if not -len(self) <= row < len(self):
            raise IndexError(f"there are {len(self)} instances, got index {row}")
        number = -1 if self.ids is None else int(self.ids[row])
        return Pose(
            self.keypoints[row],
            self.confidence[row],
            float(self.scores[row]),
            self.skeleton,
            number if number >= 0 else None,
            None if self.classes is None else self.class_names[self.classes[row]],
            None if self.visibility is None else self.visibility[row],
        )

    def _rows(self, index: Any) -> NDArray[Any]:
        """Checks an index array or mask."""
        rows = np.asarray(index)
        if rows.shape == (0,) and not isinstance(index, np.ndarray):
            rows = rows.astype(np.intp)  # an empty list has no type
        if isinstance(index, tuple) or rows.ndim != 1 or rows.dtype.kind not in "biu":
            got = f"{rows.dtype} {rows.shape}" if isinstance(index, np.ndarray) else f"{type(index).__name__} {index!r}"
            raise TypeError(
                "an index is an integer, a joint name, a slice, integer indices (N,) or a boolean mask (P,); "
                f"got {got:.80}"
            )
        if rows.dtype == np.bool_ and len(rows) != len(self):
            raise IndexError(f"a mask of {len(self)} instances must have shape ({len(self)},), got {rows.shape}")
        return rows


def _check_classes(classes: NDArray[np.int64], instances: int, names: tuple[str, ...]) -> None:
    if classes.shape != (instances,) or classes.dtype.kind not in "iu":
        got = f"{classes.dtype} {classes.shape}"
        raise SkeletonError(f"classes must be one integer for each of {instances} instances, got {got}")
    if instances and not 0 <= classes.min() <= classes.max() < len(names):
        got = f"{classes.min()} to {classes.max()}"
        raise SkeletonError(f"classes must be from 0 to {len(names) - 1}, for {', '.join(names)}, got {got}")


def joined_visibility(items: Sequence[Poses], axis: int) -> NDArray[np.float32] | None:
    """Returns the visibility of several `Poses`, joined along an axis; None if none has any, else NaN in those."""
    if all(item.visibility is None for item in items):
        return None
    parts = [np.full_like(item.confidence, np.nan) if item.visibility is None else item.visibility for item in items]
    return np.concatenate(parts, axis=axis)


def gathered(values: NDArray[Any], parts: Sequence[Sequence[int]], reduce: Callable[..., NDArray[Any]]) -> NDArray[Any]:
    """Returns values of K joints (P, K, ...) from those of J joints (P, J, ...).

    Args:
        values: (P, J, ...).
        parts: For each of the K joints the indices of its source joints, as `Skeleton.parts_in` gives them. The
            values of a joint without source joints are meaningless.
        reduce: Reduces several source joints to one value, such as `np.mean`.
    """
    result: NDArray[Any] = values[:, [joints[0] if joints else 0 for joints in parts]]
    for i, joints in enumerate(parts):
        if len(joints) > 1:
            result[:, i] = reduce(values[:, list(joints)], axis=1)
    return result
