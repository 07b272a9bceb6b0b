"""The interface of writers of results. This module imports nothing heavy, so that format names are cheap to list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cairn.inference.network import Maps
    from cairn.media.names import ImageName
    from cairn.structures.geometry import Affine, Size
    from cairn.structures.poses import Poses


@dataclass(frozen=True, eq=False)
class Detections:
    """The results for one image.

    Attributes:
        name: Path of the image and name of its results.
        size: (height, width) of the image in pixels.
        poses: The poses in pixels of the image.
        maps: Output of the network by name, each (C, h, w), and the affine transform from its cells to pixels of the
            image; None unless a writer needs them.
    """

    name: ImageName
    size: Size
    poses: Poses
    maps: tuple[Maps, Affine] | None = None


@dataclass(frozen=True)
class WriterOptions:
    """Everything that the writers of all formats may need.

    Attributes:
        folder: Folder for the results.
        model: Name of the model.
        images: All images that are not frames of a clip, in their order.
        keypoint_scale: OpenPose's `keypoint_scale`: 0 for pixels, 3 for 0 to 1, 4 for -1 to 1.
        part_candidates: Minimum peak height of OpenPose's `part_candidates`; None writes none.
        classes: Names of the classes of the model; empty for one class.
    """

    folder: Path
    model: str
    images: Sequence[Path] = ()
    keypoint_scale: int = 0
    part_candidates: float | None = None
    classes: tuple[str, ...] = ()


class Writer(ABC):
    """Writes results, one image at a time. Used as a context manager.

    A file that spans several images appears when the context ends without an error, and does not appear otherwise.
    """

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def write(self, detections: Detections) -> None:
        """Writes the results for the next image. Raises OutputError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
