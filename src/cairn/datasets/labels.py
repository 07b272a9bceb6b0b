"""Annotated images in memory: every reader returns `Labels`, and training, evaluation and checks take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.instances import Instances
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Size
from cairn.structures.poses import gathered
from cairn.structures.skeleton import Skeleton

SPLITS = ("train", "val", "test")
"""Names of the splits of a data set."""

MAX_NAMES = 20  # joints in an error message


@dataclass(frozen=True, eq=False)
class LabeledImage:
    """One image and its annotated instances.

    Attributes:
        id: Number of the image in the label file.
        path: Path of the image file.
        size: (height, width) in pixels as the label file states it.
        annotation: The annotated instances.
        groups: Names of the groups that the image belongs to, such as `video clip1` or `subject 7`. Images of one
            group stay on one side of a split.
        frame: Frame number in its video; None where the label file has none.
        split: Split that the label file puts it into: train, val or test; None where it states none.
    """

    id: int
    path: Path
    size: Size
    annotation: Annotation
    groups: tuple[str, ...] = ()
    frame: int | None = None
    split: str | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """Annotated images that share a skeleton.

    Attributes:
        skeleton: The skeleton of all instances.
        images: The images, in the order of the label file.
        labeled_joints: (K,) bool, joints that this data set annotates at all. The other joints are unknown rather
            than absent, so they must not contribute to a loss.
        classes: Names of the categories, where several share the skeleton; empty where there is one, whose name is
            that of the skeleton.
    """

    skeleton: Skeleton
    images: tuple[LabeledImage, ...]
    labeled_joints: NDArray[np.bool_]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[LabeledImage]:
        return iter(self.images)

    @cached_property
    def instances(self) -> Instances:
        """All instances in one table, which is a copy."""
        return Instances.of([image.annotation for image in self.images], len(self.skeleton))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that the images belong to, in order; empty where the labels state none."""
        present = {image.split for image in self.images}
        return tuple(name for name in SPLITS if name in present)

    def of_split(self, split: str) -> Labels:
        """Returns the labels of the images of one split."""
        return replace(self, images=tuple(image for image in self.images if image.split == split))

    def of_class(self, name: str) -> Labels:
        """Returns the labels with the instances of one class alone; all images are kept.

        Raises:
            LabelError: There is no such class.
        """
        if name not in self.classes:
            known = ", ".join(self.classes[:MAX_NAMES]) or "no categories"
            raise LabelError(f"there is no category {name!r}: expected one of {known}")
        index = self.classes.index(name)

        def selected(annotation: Annotation) -> Annotation:
            assert annotation.classes is not None
            return replace(annotation[annotation.classes == index], classes=None)

        images = tuple(replace(image, annotation=selected(image.annotation)) for image in self.images)
        return replace(self, images=images, classes=())

    def mapped(self, skeleton: Skeleton) -> Labels:
        """Returns the same labels in the joints of another skeleton, matched by name.

        A joint that is the mean of others (`Skeleton.means`) is labeled where all of them are labeled. Its
        visibility is the minimum of theirs.

        Raises:
            LabelError: The skeletons have no joint in common.
        """
        if skeleton == self.skeleton:
            return self
        parts = skeleton.parts_in(self.skeleton)
        labeled = np.array([bool(joints) and all(self.labeled_joints[joint] for joint in joints) for joints in parts])
        if not labeled.any():
            raise LabelError(
                f"labels with joints {_shortened(self.skeleton)} share none with skeleton {skeleton.name} "
                f"({_shortened(skeleton)})"
            )

        def mapped_annotation(annotation: Annotation) -> Annotation:
            visibility = np.where(labeled, gathered(annotation.visibility, parts, np.min), np.uint8(0))
            keypoints = gathered(annotation.keypoints, parts, np.mean)
            keypoints = np.where(visibility[..., None] > 0, keypoints, np.float32(np.nan))
            return replace(annotation, keypoints=keypoints, visibility=visibility)

        images = tuple(replace(image, annotation=mapped_annotation(image.annotation)) for image in self.images)
        return Labels(skeleton, images, labeled, self.classes)


def _shortened(skeleton: Skeleton) -> str:
    """Joint names for a message, at most MAX_NAMES of them."""
    more = len(skeleton) - MAX_NAMES
    return ", ".join(skeleton.joints[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
