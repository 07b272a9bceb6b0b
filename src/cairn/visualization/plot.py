"""A drawing as an object: shown in notebooks, saved to a file, or taken as an array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import OutputError
from cairn.media.images import WRITTEN_SUFFIXES, write_image
from cairn.media.inputs import ImageLike
from cairn.structures.poses import Poses
from cairn.visualization.overlay import By, draw

SUFFIXES = WRITTEN_SUFFIXES
"""Suffixes of the files that `Plot.save` writes."""


@dataclass(frozen=True, eq=False, repr=False)
class Plot:
    """An image with poses drawn on it. Renders by itself in a notebook.

    Attributes:
        image: (H, W, 3) uint8 RGB.
    """

    image: NDArray[np.uint8]

    @classmethod
    def of(cls, image: ImageLike, poses: Poses, threshold: float = 0.0, by: By = "limb") -> Plot:
        """Draws poses on a copy of an image; the arguments are those of `draw`."""
        return cls(draw(image, poses, threshold, by))

    def save(self, path: str | Path) -> None:
        """Writes the image; the suffix selects the format.

        Raises:
            OutputError: If the suffix is unknown or the file cannot be written.
        """
        write_image(path, self.image)

    def _repr_png_(self) -> bytes:
        import cv2

        done, encoded = cv2.imencode(".png", self.image[..., ::-1])
        if not done:
            raise OutputError(f"OpenCV cannot encode {self.image.shape} as PNG")
        return bytes(encoded.tobytes())

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"Plot({width}x{height} pixels)"
