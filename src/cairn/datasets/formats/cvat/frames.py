"""The images of the frames of a video: in a folder, named frame_000012.png as CVAT does, or read from the video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.stems import locate_stems
from cairn.datasets.formats.video_frames import extract_frames, find_video
from cairn.datasets.problems import Problems
from cairn.errors import LabelError


def frame_images(numbers: Sequence[int], video: str | None, path: Path, options: ReadOptions) -> list[str | None]:
    """Returns the image of each frame; None for a skipped one.

    Args:
        numbers: Frame numbers.
        video: Name of the video; None where the file has none.
        path: The label file.
        options: Options of the reader. Frames of the video are written into the folder `frames`.

    Raises:
        LabelError: There are neither images nor a video, or frames need to be written and no folder is given.
    """
    stems = [f"frame_{number:06d}" for number in numbers]
    found = locate_stems(stems, path, options.images, Problems(skip=True))
    if not any(found) and video is not None and (file := find_video(video, path, options)) is not None:
        return extract_frames(numbers, file, path, options)
    where = f"its images are frames of {video or 'a video'}"
    for i, image in enumerate(found):
        with options.problems:
            if image is None:
                raise LabelError(
                    f"{path}: no image {stems[i]}.png or .jpg, and {where}: give the folder of the images or of the "
                    "video with --images"
                )
    return [None if image is None else str(image.absolute()) for image in found]
