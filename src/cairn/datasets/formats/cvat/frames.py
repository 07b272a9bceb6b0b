"""The images of the frames of a video: in a folder, named frame_000012.png as CVAT does, or read from the video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.stems import locate_stems
from cairn.datasets.image_files import locate_images
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, VideoError
from cairn.media.images import write_image
from cairn.media.video import open_video


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
    if not any(found) and video is not None and (file := _video(video, path, options)) is not None:
        return _extracted(numbers, file, path, options)
    where = f"its images are frames of {video or 'a video'}"
    for i, image in enumerate(found):
        with options.problems:
            if image is None:
                raise LabelError(
                    f"{path}: no image {stems[i]}.png or .jpg, and {where}: give the folder of the images or of the "
                    "video with --images"
                )
    return [None if image is None else str(image.absolute()) for image in found]


def _video(name: str, path: Path, options: ReadOptions) -> Path | None:
    (file,) = locate_images([name], path, options.images, Problems(skip=True), missing_ok=True, records=["video"])
    return file if file is not None and file.is_file() else None


def _extracted(numbers: Sequence[int], video: Path, path: Path, options: ReadOptions) -> list[str | None]:
    if options.frames is None:
        raise LabelError(
            f"{path}: its images are in {video.name}: cairn convert {path.name} labels.json writes them beside the "
            "labels"
        )
    wanted, written = set(numbers), dict[int, str]()
    try:
        with open_video(video) as frames:
            for frame in frames:
                if frame.index in wanted and frame.image is not None:
                    target = options.frames / video.name / f"{frame.index:06d}.png"
                    write_image(target, frame.image)
                    written[frame.index] = str(target.absolute())
                if len(written) == len(wanted):
                    break
    except VideoError as error:
        if not written:
            raise LabelError(f"{path}: {error}") from None
    for number in numbers:
        with options.problems:
            if number not in written:
                raise LabelError(f"{path}: {video.name} has no frame {number}")
    return [written.get(number) for number in numbers]
