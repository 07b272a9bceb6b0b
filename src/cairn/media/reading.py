"""Frames of sources: files, webcams, image sequences and images in memory, read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from numbers import Integral
from pathlib import Path, PurePath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, ImageError, MissingExtra, VideoError
from cairn.media.content import content_of_file
from cairn.media.images import open_image, read_with_note
from cairn.media.inputs import ImageLike, as_image, describe, is_batch, read_address
from cairn.media.names import ImageName, short_stem
from cairn.media.sources import Source, find_sources, numbered_images
from cairn.media.stacks import Stack
from cairn.media.video import Video, open_address, open_camera, open_video
from cairn.media.video.frames import DEFAULT_RATE, SQUARE
from cairn.media.video.live import Reconnecting
from cairn.structures.geometry import Size

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
        size: (height, width) of a damaged frame of a video, which has no image and no error, as the frames before it.
        pixel_aspect: Width of a pixel divided by its height, as a player shows the clip.
        note: What was done to the range or pages of an image, in words that start with a verb; or "".
    """

    name: ImageName
    image: NDArray[np.uint8] | None = None
    error: CairnError | None = None
    rate: float = DEFAULT_RATE
    count: int | None = None
    size: Size | None = None
    pixel_aspect: Fraction = SQUARE
    note: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether it is a frame of a video that could not be decoded; the next ones can."""
        return self.image is None and self.error is None


@dataclass(frozen=True)
class ReadOptions:
    """How sources are read.

    Attributes:
        threads: Number of CPU cores for decoding video; 0 uses all.
        rate: Frames per second of image sequences, of pages, and of images in memory, which do not state it.
        reconnect: Number of attempts to open a stream or webcam again that broke off.
    """

    threads: int = 0
    rate: float = DEFAULT_RATE
    reconnect: int = 0


SourceLike: TypeAlias = int | ImageLike | Iterable[Any]
"""What `open_source` reads: a path, folder, glob, image sequence, webcam, address, image, or an iterable of these."""


def open_source(source: SourceLike, options: ReadOptions) -> Iterator[SourceFrame]:
    """Returns the frames of any source.

    A path, or a list of paths, names images and clips as on the command line (`find_sources`). An array (B, H, W, C),
    a list of images or any other iterable of images is one clip.

    Args:
        source: What to read. An iterable of `SourceFrame` is passed through.
        options: How to read it.

    Raises:
        ImageError: The source names nothing, or is something else.
    """
    value: Any = source
    if isinstance(value, str | Path | Integral):
        return read_sources(find_sources([str(value)]), options)
    if isinstance(value, list | tuple):
        if not value:
            raise ImageError("the list of sources is empty: expected paths or images")
        if all(isinstance(each, str | Path | Integral) for each in value):
            return read_sources(find_sources([str(each) for each in value]), options)
    if is_batch(value) or (isinstance(value, Iterable) and not isinstance(value, bytes | np.ndarray)):
        return _in_memory(value, options.rate)
    return _one(as_image(value), describe(value))


def read_sources(sources: Iterable[Source], options: ReadOptions = ReadOptions()) -> Generator[SourceFrame, None, None]:
    """Yields the frames of several sources, one source after another; see `read_frames`."""
    for source in sources:
        with closing(read_frames(source, options)) as frames:
            yield from frames


def read_frames(source: Source, options: ReadOptions = ReadOptions()) -> Generator[SourceFrame, None, None]:
    """Yields the frames of a source, read on demand. An error is yielded as a frame; it ends a video.

    A file is read as what it is by its content, whatever its name.
    """
    path = source.name.path
    if source.name.address is not None:
        yield from _at_address(source, options)
    elif source.kind == "sequence":
        yield from _sequence(source, options.rate)
    elif source.kind == "camera":
        yield from _clip(source.name, _opener(partial(open_camera, int(str(path))), options))
    else:
        content = content_of_file(path) if source.kind == "video" else None
        if source.kind == "video" and (content is None or content.kind != "image"):
            yield from _clip(source.name, partial(open_video, path, options.threads))
        else:
            yield from _image_file(source.name, options)


def _image_file(name: ImageName, options: ReadOptions) -> Iterator[SourceFrame]:
    """Yields the image or the frames of a file that should be an image."""
    try:
        encoded = open_image(name.path)
    except ImageError as error:
        content = content_of_file(name.path)
        if content is not None and content.kind == "video":
            yield from _clip(name, partial(open_video, name.path, options.threads))
        else:
            yield SourceFrame(name, error=error)
        return
    if encoded.header.frames == "video":
        yield from _clip(name, partial(open_video, name.path, options.threads))
    elif encoded.header.frames == "pages":
        yield from _pages(name, Stack(name.path, encoded, options.rate), options.rate)
    else:
        try:
            image, note = encoded.decode()
            yield SourceFrame(name, image, note=note)
        except ImageError as error:
            yield SourceFrame(name, error=ImageError(f"{name.path} {error}"))


def _pages(name: ImageName, stack: Stack, rate: float) -> Iterator[SourceFrame]:
    count = 0
    try:
        for each in stack:
            frame = clip_frame(name, each.index, each.seconds)
            yield SourceFrame(frame, each.image, rate=rate, count=stack.frames, note=stack.note)
            count += 1
    except (ImageError, VideoError) as error:
        message = str(error) if isinstance(error, VideoError) else f"{name.path} {error}"
        yield SourceFrame(clip_frame(name, count, None), error=VideoError(message))


def _at_address(source: Source, options: ReadOptions) -> Iterator[SourceFrame]:
    address = source.name.address
    assert address is not None
    if source.kind == "address":
        yield from _clip(source.name, _opener(partial(open_address, address, options.threads), options))
        return
    try:
        image, note = read_address(address)
        yield SourceFrame(source.name, image, note=note)
    except ImageError as error:
        yield SourceFrame(source.name, error=error)


def _opener(opener: Callable[[], Video], options: ReadOptions) -> Callable[[], Video]:
    if not options.reconnect:
        return opener
    return lambda: Reconnecting(opener, options.reconnect)


def _clip(name: ImageName, opener: Callable[[], Video]) -> Iterator[SourceFrame]:
    count = 0
    try:
        with opener() as video:
            for each in video:
                frame = SourceFrame(
                    clip_frame(name, each.index, each.seconds),
                    each.image,
                    rate=video.rate,
                    count=video.frames,
                    size=video.size if each.image is None else None,
                    pixel_aspect=video.pixel_aspect,
                )
                yield frame
                count += 1
                del frame, each
    except (VideoError, MissingExtra) as error:
        yield SourceFrame(clip_frame(name, count, None), error=error)


def first_name(source: Source) -> ImageName:
    """Returns the name of an image, or of the first frame of a clip, without reading it."""
    if source.kind == "image":
        return source.name
    if source.kind == "sequence" and (numbered := numbered_images(source.name.path)):
        return _numbered_name(source.name, *numbered[0], 0.0)
    return clip_frame(source.name, 0, 0.0)


def _one(image: NDArray[np.uint8], description: str) -> Iterator[SourceFrame]:
    yield SourceFrame(ImageName(Path(description), PurePath("image")), image)


def _in_memory(images: Iterable[Any], rate: float) -> Iterator[SourceFrame]:
    clip = ImageName(Path(MEMORY), PurePath(MEMORY))
    for index, image in enumerate(images):
        if isinstance(image, SourceFrame):
            yield image
            continue
        name = clip_frame(clip, index, index / rate)
        try:
            yield SourceFrame(name, as_image(image), rate=rate)
        except ImageError as error:
            yield SourceFrame(name, error=ImageError(f"image {index}: {error}"), rate=rate)


def _sequence(source: Source, rate: float) -> Iterator[SourceFrame]:
    numbered = numbered_images(source.name.path)
    for number, path in numbered:
        name = _numbered_name(source.name, number, path, round((number - numbered[0][0]) / rate, 6))
        yield _read(SourceFrame(name, rate=rate, count=len(numbered)))


def _read(frame: SourceFrame) -> SourceFrame:
    try:
        image, note = read_with_note(frame.name.path)
        return replace(frame, image=image, note=note)
    except ImageError as error:
        return replace(frame, error=error)


def _numbered_name(clip: ImageName, number: int, path: Path, seconds: float) -> ImageName:
    return ImageName(path, clip.output.with_name(short_stem(path.stem)), clip.output, number, seconds)


def clip_frame(clip: ImageName, index: int, seconds: float | None) -> ImageName:
    """Returns the name of a frame of a clip."""
    output = clip.output.with_name(f"{clip.output.name}_{index:012d}")  # as OpenPose
    time = None if seconds is None else round(seconds, 6)
    return ImageName(clip.path, output, clip.output, index, time, clip.address)
