"""Names of images and frames, and of their results."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from cairn.media.address import Address

MAX_STEM = 205
"""Maximum length in bytes of a stem: file systems allow 255 for a name, and 50 are left for the number of a frame and
an ending."""

HASHED = re.compile(r"~[0-9a-f]{10}")
"""Ending of a stem that is shortened."""


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


def short_stem(stem: str) -> str:
    """Returns the stem of a result; one of more than `MAX_STEM` bytes is cut at a character and ends with a hash.

    The result depends on the stem alone, and two stems have two results: a stem that already looks shortened gets a
    hash of its own.
    """
    name = os.fsencode(stem)
    if len(name) <= MAX_STEM and not HASHED.fullmatch(stem[-11:]):
        return stem
    ending = f"~{hashlib.sha256(name).hexdigest()[:10]}"
    while len(os.fsencode(stem + ending)) > MAX_STEM:
        stem = stem[:-1]
    return stem + ending


def _with_ending(folder: Path, output: PurePath, ending: str) -> Path:
    return folder / output.with_name(output.name + ending)
