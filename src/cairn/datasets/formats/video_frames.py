"""Frames of a video as images, for label files whose images are in a video."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.containers.text_file import is_file
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.image_files import locate_images
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, VideoError
from cairn.media.images import write_image
from cairn.media.video import open_video

MAX_NAME = 100  # characters of a folder

NUMBER = re.compile(r"(\d{1,18})\D*$", re.ASCII)


def last_number(name: str) -> int | None:
    """Returns the last number in the name of an image without its suffix, which is its frame number by custom."""
    place = name.replace("\\", "/").rsplit("/", 1)[-1]
    digits = NUMBER.search(place.rsplit(".", 1)[0])
    return int(digits[1]) if digits else None


def frames_folder(path: Path, options: ReadOptions, where: str) -> Path:
    """Returns the folder that frames are written to.

    Args:
        path: The label file.
        options: Options of the reader.
        where: What the images are in, for the message.

    Raises:
        LabelError: No folder is given.
    """
    if options.frames is None:
        raise LabelError(
            f"{path}: its images are in {where}: cairn convert {path.name} labels.json writes them beside the labels"
        )
    return options.frames


def folder_name(video: str) -> str:
    """Returns a video's name, of any operating system, as the name of a folder."""
    name = video.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].replace("\0", "").strip()
    return "video" if name in ("", ".", "..") else name[:MAX_NAME]


def find_video(name: str, path: Path, options: ReadOptions) -> Path | None:
    """Returns the file of a video, whose name may be of another machine; None where there is none.

    Unlike images, a video is also searched beside the label file where that has a folder `images/`.

    Args:
        name: Name of the video in the label file.
        path: The label file.
        options: Options of the reader.

    Raises:
        LabelError: The name leaves the folder.
    """
    for folder in (None, path.parent) if options.images is None else (options.images,):
        (file,) = locate_images([name], path, folder, Problems(), missing_ok=True, records=["video"])
        if file is not None and is_file(file):
            return file
    return None


def extract_frames(numbers: Sequence[int], video: Path, path: Path, options: ReadOptions) -> list[str | None]:
    """Writes frames of a video as VIDEO/NUMBER.png and returns their paths; None for a skipped one.

    Args:
        numbers: Frame numbers, from 0.
        video: The video.
        path: The label file.
        options: Options of the reader. Frames are written into its folder `frames`.

    Raises:
        LabelError: No folder is given, the video cannot be read, or it lacks a frame.
    """
    folder = frames_folder(path, options, video.name) / folder_name(video.name)
    wanted, written = set(numbers), dict[int, str]()
    reason = ""
    try:
        with open_video(video) as frames:
            for frame in frames:
                if frame.index in wanted and frame.image is not None:
                    target = folder / f"{frame.index:06d}.png"
                    write_image(target, frame.image)
                    written[frame.index] = str(target.absolute())
                if len(written) == len(wanted):
                    break
    except VideoError as error:
        if not written:
            raise LabelError(f"{path}: {error}") from None
        reason = f" ({error})"
    for number in numbers:
        with options.problems:
            if number not in written:
                raise LabelError(f"{path}: {video.name} has no frame {number}{reason}")
    return [written.get(number) for number in numbers]
