"""Labeled images in memory: the one form that every reader gives and every user of labels takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Size
from cairn.structures.poses import gathered
from cairn.structures.skeleton import Skeleton

LISTED = 20  # joints that an error names


@dataclass(frozen=True, eq=False)
class LabeledImage:
    """One image and what is labeled in it.

    id      the label file's own number for the image
    path    where the image lies
    size    (height, width) as the label file states it
    kin     names of what it is one of by its labels, such as a video or a subject
    frame   its number in its video, None where the labels have none
    """

    id: int
    path: Path
    size: Size
    annotation: Annotation
    kin: tuple[str, ...] = ()
    frame: int | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """Labeled images that share a skeleton.

    known   (K,) bool: the joints that this source labels at all. A joint that it does not know says
            nothing where it is absent, so it must give no loss.
    """

    skeleton: Skeleton
    images: tuple[LabeledImage, ...]
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[LabeledImage]:
        return iter(self.images)

    def mapped(self, skeleton: Skeleton) -> Labels:
        """The same labels in the joints of another skeleton, matched by name.

        A joint that is the mean of others (`Skeleton.means`) is labeled where all of them are, and visible likewise.
        Raises LabelError where the two have no joint in common.
        """
        if skeleton == self.skeleton:
            return self
        parts = skeleton.parts_in(self.skeleton)
        known = np.array([bool(joints) and all(self.known[joint] for joint in joints) for joints in parts])
        if not known.any():
            raise LabelError(
                f"labels with joints {_shortened(self.skeleton)} share none with skeleton {skeleton.name} "
                f"({_shortened(skeleton)})"
            )

        def move(annotation: Annotation) -> Annotation:
            visibility = np.where(known, gathered(annotation.visibility, parts, np.min), np.uint8(0))
            keypoints = gathered(annotation.keypoints, parts, np.mean)
            keypoints = np.where(visibility[..., None] > 0, keypoints, np.float32(np.nan))
            return replace(annotation, keypoints=keypoints, visibility=visibility)

        images = tuple(replace(image, annotation=move(image.annotation)) for image in self.images)
        return Labels(skeleton, images, known)


def _shortened(skeleton: Skeleton) -> str:
    """Names of joints for a line of text: a face has 68."""
    more = len(skeleton) - LISTED
    return ", ".join(skeleton.joints[:LISTED]) + (f" and {more} more" if more > 0 else "")
