"""Results in files. Each writer is one form, independent of the others, and holds one image at a time.

Every file or folder that a writer makes has `cairn` in its name. Those of an earlier run are replaced;
nothing else is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cairn.inference.network import Maps
from cairn.media.names import ImageName
from cairn.structures.geometry import Affine, Size
from cairn.structures.poses import Poses

__all__ = ["Detections", "Writer"]


@dataclass(frozen=True, eq=False)
class Detections:
    """What there is to write of an image.

    size   (height, width) of the image
    poses  in its pixels
    maps   what the network made of it, each output (C, h, w), and where their cells lie in the image; None
           where nobody asked for them
    """

    name: ImageName
    size: Size
    poses: Poses
    maps: tuple[Maps, Affine] | None = None


class Writer(ABC):
    """Used in a with block: what spans images is there when the block ends well, or else not at all."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def write(self, found: Detections) -> None:
        """The next image's. Raises OutputError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
