"""What images and frames are called, and where their results go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath


@dataclass(frozen=True)
class ImageName:
    """What an image, or a frame of a clip, is called.

    path     as the user named it; of a frame its video, or its file where it has one of its own
    output   where its results go below the output folder, without a suffix; no two images of a run share it
    clip     the same for results of the whole clip; None for an image that is part of none
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
        """The same for what is written once for a clip; of an image that is part of none, `beside`."""
        return _with_ending(folder, self.clip or self.output, ending)


def _with_ending(folder: Path, output: PurePath, ending: str) -> Path:
    return folder / output.with_name(output.name + ending)
