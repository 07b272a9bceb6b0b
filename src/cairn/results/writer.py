"""The interface of writers of results. This module imports nothing heavy, so that format names are cheap to list."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.inference.network import Maps
    from cairn.media.names import ImageName
    from cairn.results.mpii import TestImage
    from cairn.structures.geometry import Affine, Size
    from cairn.structures.poses import Poses

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Detections:
    """The results for one image.

    Attributes:
        name: Path of the image and name of its results.
        size: (height, width) of the image in pixels.
        poses: The poses in pixels of the image.
        maps: Output of the network by name, each (C, h, w), and the affine transform from its cells to pixels of the
            image; None unless a writer needs them.
        drawn: (H, W, 3) uint8 RGB, the image with its poses drawn on it; None where nothing is drawn.
        rate: Frames per second of the clip.
        pixel_aspect: Width of a pixel of the clip divided by its height, as a player shows it.
        damaged: Whether this is a frame of a video that could not be decoded: it has neither poses nor maps.
    """

    name: ImageName
    size: Size
    poses: Poses
    maps: tuple[Maps, Affine] | None = None
    drawn: NDArray[np.uint8] | None = None
    rate: float = 25.0
    pixel_aspect: Fraction = Fraction(1)
    damaged: bool = False


@dataclass(frozen=True)
class LabelIds:
    """What COCO results take from a label file, so that they can be evaluated against it.

    Attributes:
        labels: The label file.
        ids: Image -> its ID, as the file has it.
        sizes: Image -> its (height, width) in pixels, where the file states it.
        categories: ID of the category of each class of the model, or of its one class; None for a class that the file
            lacks, whose detections are skipped.
    """

    labels: Path
    ids: Mapping[Path, int | float | str]
    sizes: Mapping[Path, Size]
    categories: Sequence[int | None]


class MpiiImages(Protocol):
    """MPII's test images, for its benchmark."""

    @property
    def images(self) -> tuple[TestImage, ...]:
        """All test images, in the order of the annotations."""
        ...

    @property
    def multi(self) -> bool:
        """Whether the benchmark is that of several people."""
        ...


@dataclass(frozen=True)
class WriterOptions:
    """Everything that the writers of all formats may need.

    Attributes:
        folder: Folder for the results.
        model: Name of the model.
        images: All images that are not frames of a clip, in their order.
        keypoint_scale: OpenPose's `keypoint_scale`: 0 for pixels, 3 for 0 to 1, 4 for -1 to 1.
        part_candidates: Minimum peak height of OpenPose's `part_candidates`; None writes none.
        single: Whether the run is of one image or clip, whose name its tables get.
        decimals: Decimals of coordinates in json, csv and openpose; None is the default of each format.
        empty: Whether tables have a row for an image without detections.
        label_ids: IDs of a label file for COCO results; None numbers the images.
        notice: Gets one line about results that may be wrong.
        classes: Names of the classes of the model; empty for one class.
        mpii: MPII's test images, for its benchmark; None of other images.
    """

    folder: Path
    model: str
    images: Sequence[Path] = ()
    keypoint_scale: int = 0
    part_candidates: float | None = None
    single: bool = False
    decimals: int | None = None
    empty: bool = False
    label_ids: LabelIds | None = None
    notice: Callable[[str], None] = log.warning
    classes: tuple[str, ...] = ()
    mpii: MpiiImages | None = None


class Writer(ABC):
    """Writes results, one image at a time. Used as a context manager.

    A file that spans several images appears when it is complete: at the end of its clip, or when the context ends
    without an error; it does not appear otherwise.
    """

    def __enter__(self) -> Self:
        return self

    def paths(self, name: ImageName) -> tuple[Path, ...]:
        """Returns the files that the results of an image or frame are written to."""
        return ()

    @abstractmethod
    def write(self, detections: Detections) -> None:
        """Writes the results for the next image. Raises OutputError; the next image may be written nevertheless."""

    def end_clip(self) -> None:
        """Completes the files of the current clip, which has ended. Raises OutputError."""
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def rounding(decimals: int | None, default: int) -> tuple[int, int]:
    """Returns the number of decimals of coordinates, and of scores and confidences, which have at least 4.

    Args:
        decimals: As chosen; None takes the default.
        default: That of the format for coordinates.
    """
    of_pixels = default if decimals is None else decimals
    return of_pixels, max(of_pixels, 4)
