"""Results in files. Each writer is one form, independent of the others, and holds one picture at a time.

Every file or folder that a writer makes has `cairn` in its name. Those of an earlier run are replaced;
nothing else is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

from cairn.structures.geometry import Affine, Size
from cairn.inference.network import Maps
from cairn.structures.poses import Poses

__all__ = ["Found", "PictureName", "Writer"]


@dataclass(frozen=True)
class PictureName:
    """What a picture, or a frame of a clip, is called.

    path     as the user named it; of a frame its video, or its file where it has one of its own
    output   where its results go below the output folder, without a suffix; no two pictures of a run share it
    clip     the same for results of the whole clip; None for a picture that is part of none
    frame    which one of its clip, from 0
    seconds  since the clip's first frame
    """

    path: Path
    output: PurePath
    clip: PurePath | None = None
    frame: int | None = None
    seconds: float | None = None

    def beside(self, folder: Path, ending: str) -> Path:
        """`folder`/`output` with `ending` after its last part, dots in the name kept."""
        return _with_ending(folder, self.output, ending)

    def beside_clip(self, folder: Path, ending: str) -> Path:
        """The same for what is written once for a clip; of a picture that is part of none, `beside`."""
        return _with_ending(folder, self.clip or self.output, ending)


@dataclass(frozen=True, eq=False)
class Found:
    """What there is to write of a picture.

    size   (height, width) of the picture
    poses  in its pixels
    maps   what the network made of it, each output (C, h, w), and where their cells lie in the picture; None
           where nobody asked for them
    """

    name: PictureName
    size: Size
    poses: Poses
    maps: tuple[Maps, Affine] | None = None


class Writer(ABC):
    """Used in a with block: what spans pictures is there when the block ends well, or else not at all."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def write(self, found: Found) -> None:
        """The next picture's. Raises OutputError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def _with_ending(folder: Path, output: PurePath, ending: str) -> Path:
    return folder / output.with_name(output.name + ending)
