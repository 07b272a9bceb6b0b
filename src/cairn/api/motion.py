"""`cairn detect --boxes motion`: boxes of what moves in the frames of static cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cairn.datasets.motion import check_size, checked_background, folder_background
from cairn.errors import ImageError
from cairn.media.images import image_size
from cairn.media.reading import read_frames
from cairn.media.sources import numbered_images
from cairn.ops.motion import Sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cairn.media.reading import SourceFrame
    from cairn.media.sources import Source
    from cairn.ops.motion import Background
    from cairn.structures.geometry import Size


class MotionBoxes:
    """Boxes of frames: of what moves in front of the background of their clip, or of the folder of their images.

    A frame in which nothing moves has no box.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        """Computes the background of each clip, and of each folder of images.

        Raises:
            LabelError: A camera moves, or there are too few frames.
        """
        self._backgrounds: dict[Path, Background] = {}
        for source in sources:
            path = source.name.path
            if source.is_clip and source.kind != "sequence":
                self._backgrounds[path] = _clip_background(source)
            elif path.parent not in self._backgrounds and (size := _size_of(source)) is not None:
                self._backgrounds[path.parent] = folder_background(path.parent, size)

    def __call__(self, frame: SourceFrame) -> NDArray[np.float64]:
        """Returns the (P, 4) box of a frame, P = 0 or 1.

        Raises:
            LabelError: Its size differs from that of other frames.
        """
        assert frame.image is not None
        path = frame.name.path
        background = self._backgrounds.get(path) or self._backgrounds[path.parent]
        check_size(frame.image.shape[:2], background, frame.name.text)
        box = background.box(frame.image)
        return np.zeros((0, 4)) if box is None else box[None]


def _size_of(source: Source) -> Size | None:
    """The (height, width) of an image, or of the first of a sequence; None where it cannot be read."""
    path = numbered_images(source.name.path)[0][1] if source.kind == "sequence" else source.name.path
    try:
        return image_size(path)
    except ImageError:  # reported where it is read
        return None


def _clip_background(clip: Source) -> Background:
    """Reads all frames of a clip; a sample of them is kept."""
    sampler, size = Sampler(), (0, 0)
    for frame in read_frames(clip):
        if frame.image is not None:
            size = frame.image.shape[0], frame.image.shape[1]
            sampler.add(frame.image)
    return checked_background(sampler.frames, size, str(clip.name.path))
