"""The instances of all images of a set in one table: checks compute with arrays instead of image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.structures.annotation import Annotation


@dataclass(frozen=True, eq=False)
class Instances:
    """N instances in the order of their images.

    Attributes:
        annotation: The N instances.
        images: (N,) index of the image of each.
        rows: (N,) row of each in the annotation of its image.
    """

    annotation: Annotation
    images: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, annotations: Sequence[Annotation], joints: int) -> Instances:
        """Returns the instances of several images.

        Args:
            annotations: The annotation of each image; may be empty.
            joints: Number of keypoints.
        """
        counts = np.array([len(annotation) for annotation in annotations], np.int64)
        images = np.repeat(np.arange(len(counts)), counts)
        rows = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(Annotation.concatenate(annotations) if annotations else _none(joints), images, rows)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, selected: NDArray[np.bool_] | NDArray[np.int64]) -> Instances:
        """Returns the instances of an array of indices, or of a boolean mask (N,)."""
        return Instances(self.annotation[selected], self.images[selected], self.rows[selected])


def _none(joints: int) -> Annotation:
    return Annotation(
        np.zeros((0, joints, 2), np.float32),
        np.zeros((0, joints), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, bool),
    )
