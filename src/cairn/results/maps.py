"""The raw output of the network for each image, before decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.writer import Detections, Writer

FOLDER = "cairn.maps"


class MapsWriter(Writer):
    """Writes `cairn.maps/photo.npz` for each photo.

    A file has each output of the network by name as float16 (for OpenPose `heatmaps` (K or K + 1, h, w) and `pafs`
    (2L, h, w)), and `affine` (2, 3) as float64: the cell (x, y) lies at affine @ (x, y, 1) in pixels of the image.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the file of an image or frame."""
        return (name.beside(self.folder, ".npz"),)

    def write(self, detections: Detections) -> None:
        """Writes the file of an image, none for a damaged frame. Raises OutputError without `Detections.maps`."""
        if detections.damaged:
            return
        if detections.maps is None:
            raise OutputError("this model has no network output for the whole image: remove maps from --write")
        maps, to_image = detections.maps
        # Sums over stages may exceed the range of float16; they are clipped, so that no value is infinite.
        arrays: dict[str, Any] = {name: np.clip(m, -65504, 65504).astype(np.float16) for name, m in maps.items()}
        with atomic_write(*self.paths(detections.name)) as beside:
            np.savez_compressed(beside, affine=to_image.matrix, **arrays)
