"""Names of images and frames, and of their results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from cairn.media.address import Address


@dataclass(frozen=True)
class ImageName:
    """Name of an image, or of a frame of a clip.

    Attributes:
        path: The path as the user named it; of a frame that of its video, or its own file in an image sequence. Of an
            address its text, without credentials.
        output: Path of its results relative to the output folder, without a suffix; unique in a run.
        clip: The same for results of the whole clip; None for an image that is not part of a clip.
        frame: Number of the frame in its clip, from 0.
        seconds: Time since the first frame of the clip, in seconds.
        address: The address of a stream, or of a video or image on a server; None for a file.
    """

    path: Path
    output: PurePath
    clip: PurePath | None = None
    frame: int | None = None
    seconds: float | None = None
    address: Address | None = None

    @property
    def text(self) -> str:
        """The path with forward slashes, or the address without credentials."""
        return self.path.as_posix() if self.address is None else str(self.address)

    def beside(self, folder: Path, ending: str) -> Path:
        """Returns `folder`/`output` with `ending` appended; dots in the name are kept."""
        return _with_ending(folder, self.output, ending)

    def beside_clip(self, folder: Path, ending: str) -> Path:
        """Returns the path of a result of the whole clip; of an image that is not part of a clip, as `beside`."""
        return _with_ending(folder, self.clip or self.output, ending)


def _with_ending(folder: Path, output: PurePath, ending: str) -> Path:
    return folder / output.with_name(output.name + ending)
