"""Labelled pictures in memory: the one form that every reader gives and every user of labels takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.geometry import Size
from cairn.poses import Annotation
from cairn.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """One picture and what is labelled in it.

    id      the label file's own number for the picture
    path    where the picture lies
    size    (height, width) as the label file states it
    """

    id: int
    path: Path
    size: Size
    annotation: Annotation


@dataclass(frozen=True, eq=False)
class Labels:
    """Labelled pictures that share a skeleton.

    known   (K,) bool: the joints that this source labels at all. A joint that it does not know says
            nothing where it is absent, so it must give no loss.
    """

    skeleton: Skeleton
    pictures: tuple[LabelledPicture, ...]
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[LabelledPicture]:
        return iter(self.pictures)

    def mapped(self, skeleton: Skeleton) -> Labels:
        """The same labels in the joints of another skeleton, matched by name.

        Raises LabelError where the two have no joint in common.
        """
        if skeleton == self.skeleton:
            return self
        source = {joint: i for i, joint in enumerate(self.skeleton.joints)}
        known = np.array([joint in source and bool(self.known[source[joint]]) for joint in skeleton.joints])
        if not known.any():
            raise LabelError(
                f"labels with joints {', '.join(self.skeleton.joints)} share none with skeleton {skeleton.name} "
                f"({', '.join(skeleton.joints)})"
            )
        order = [source.get(joint, 0) for joint in skeleton.joints]

        def move(annotation: Annotation) -> Annotation:
            visibility = np.where(known, annotation.visibility[:, order], 0).astype(np.uint8)
            keypoints = np.where(visibility[..., None] > 0, annotation.keypoints[:, order], np.nan).astype(np.float32)
            return replace(annotation, keypoints=keypoints, visibility=visibility)

        pictures = tuple(replace(picture, annotation=move(picture.annotation)) for picture in self.pictures)
        return Labels(skeleton, pictures, known)
