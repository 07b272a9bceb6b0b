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

from cairn.geometry import Size
from cairn.poses import Poses

__all__ = ["PictureName", "Writer"]


@dataclass(frozen=True)
class PictureName:
    """What a picture is called.

    path    as the user named it
    output  where its results go below the output folder, without a suffix; no two pictures of a run share it
    """

    path: Path
    output: PurePath

    def beside(self, folder: Path, ending: str) -> Path:
        """`folder`/`output` with `ending` after its last part, dots in the name kept."""
        return folder / self.output.with_name(self.output.name + ending)


class Writer(ABC):
    """Used in a with block: what spans pictures is there when the block ends well, or else not at all."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def write(self, picture: PictureName, size: Size, poses: Poses) -> None:
        """Poses in pixels of a picture of this (height, width). Raises OutputError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
