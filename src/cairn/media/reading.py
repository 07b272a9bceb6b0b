"""Frames of sources: files, webcams, image sequences and images in memory, read one at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path, PurePath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, ImageError, VideoError
from cairn.media.images import read_image
from cairn.media.inputs import ImageLike, as_image, describe, is_batch
from cairn.media.names import ImageName, short_stem
from cairn.media.sources import Source, find_sources, numbered_images
from cairn.media.video import Video, open_camera, open_video
from cairn.media.video.frames import DEFAULT_RATE

MEMORY = "frames"
"""Name of the clip that images in memory form."""


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """An image, or one frame of a clip.

    Attributes:
        name: Name of the frame and of its results.
        image: (H, W, 3) uint8 RGB; None where it could not be read.
        error: What is wrong with it, or with the clip from there on.
        rate: Frames per second of the clip.
        count: Approximate number of frames of the clip; None where it is unknown.
    """

    name: ImageName
    image: NDArray[np.uint8] | None = None
    error: CairnError | None = None
    rate: float = DEFAULT_RATE
    count: int | None = None


SourceLike: TypeAlias = int | ImageLike | Iterable[Any]
"""What `open_source` reads: a path, folder, glob, image sequence, webcam number, image, or an iterable of these."""


def open_source(source: SourceLike, threads: int = 0, rate: float = DEFAULT_RATE) -> Iterator[SourceFrame]:
    """Returns the frames of any source.

    A path, or a list of paths, names images and clips as on the command line (`find_sources`). An array (B, H, W, C),
    a list of images or any other iterable of images is one clip.

    Args:
        source: What to read. An iterable of `SourceFrame` is passed through.
        threads: Number of CPU cores for decoding video; 0 uses all.
        rate: Frames per second of image sequences and of images in memory.

    Raises:
        ImageError: The source names nothing, or is something else.
    """
    value: Any = source
    if isinstance(value, str | Path | Integral):
        return read_sources(find_sources([str(value)]), threads, rate)
    if isinstance(value, list | tuple):
        if not value:
            raise ImageError("the list of sources is empty: expected paths or images")
        if all(isinstance(each, str | Path | Integral) for each in value):
            return read_sources(find_sources([str(each) for each in value]), threads, rate)
    if is_batch(value) or (isinstance(value, Iterable) and not isinstance(value, bytes | np.ndarray)):
        return _in_memory(value, rate)
    return _one(as_image(value), describe(value))


def read_sources(
    sources: Iterable[Source], threads: int = 0, rate: float = DEFAULT_RATE
) -> Generator[SourceFrame, None, None]:
    """Yields the frames of several sources, one source after another; see `read_frames`."""
    for source in sources:
        with closing(read_frames(source, threads, rate)) as frames:
            yield from frames


def read_frames(source: Source, threads: int = 0, rate: float = DEFAULT_RATE) -> Generator[SourceFrame, None, None]:
    """Yields the frames of a source, read on demand. An error is yielded as a frame; it ends a video.

    Args:
        source: An image or a clip.
        threads: Number of CPU cores for decoding video; 0 uses all.
        rate: Frames per second of image sequences, whose files do not state it.
    """
    if source.kind == "image":
        yield _read(SourceFrame(source.name))
        return
    if source.kind == "sequence":
        yield from _sequence(source, rate)
        return
    count = 0
    try:
        with _open(source, threads) as video:
            for each in video:
                name = _frame_name(source.name, each.index, each.seconds)
                yield SourceFrame(name, each.image, rate=video.rate, count=video.frames)
                count += 1
    except VideoError as error:
        yield SourceFrame(_frame_name(source.name, count, None), error=error)


def first_name(source: Source) -> ImageName:
    """Returns the name of an image, or of the first frame of a clip, without reading it."""
    if source.kind == "image":
        return source.name
    if source.kind == "sequence" and (numbered := numbered_images(source.name.path)):
        return _numbered_name(source.name, *numbered[0], 0.0)
    return _frame_name(source.name, 0, 0.0)


def _one(image: NDArray[np.uint8], description: str) -> Iterator[SourceFrame]:
    yield SourceFrame(ImageName(Path(description), PurePath("image")), image)


def _in_memory(images: Iterable[Any], rate: float) -> Iterator[SourceFrame]:
    clip = ImageName(Path(MEMORY), PurePath(MEMORY))
    for index, image in enumerate(images):
        if isinstance(image, SourceFrame):
            yield image
            continue
        name = _frame_name(clip, index, index / rate)
        try:
            yield SourceFrame(name, as_image(image), rate=rate)
        except ImageError as error:
            yield SourceFrame(name, error=ImageError(f"image {index}: {error}"), rate=rate)


def _open(source: Source, threads: int) -> Video:
    path = source.name.path
    return open_camera(int(str(path))) if source.kind == "camera" else open_video(path, threads)


def _sequence(source: Source, rate: float) -> Iterator[SourceFrame]:
    numbered = numbered_images(source.name.path)
    for number, path in numbered:
        name = _numbered_name(source.name, number, path, round((number - numbered[0][0]) / rate, 6))
        yield _read(SourceFrame(name, rate=rate, count=len(numbered)))


def _read(frame: SourceFrame) -> SourceFrame:
    try:
        return replace(frame, image=read_image(frame.name.path))
    except ImageError as error:
        return replace(frame, error=error)


def _numbered_name(clip: ImageName, number: int, path: Path, seconds: float) -> ImageName:
    return ImageName(path, clip.output.with_name(short_stem(path.stem)), clip.output, number, seconds)


def _frame_name(clip: ImageName, index: int, seconds: float | None) -> ImageName:
    output = clip.output.with_name(f"{clip.output.name}_{index:012d}")  # as OpenPose
    return ImageName(clip.path, output, clip.output, index, None if seconds is None else round(seconds, 6))
