"""Items: the images of large data sets, listed one at a time in an order that every run repeats.

An item is the smallest part that a run reads on its own: an image, a row of a table, or a video or a span of one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from cairn.errors import CairnError, ImageError, VideoError
from cairn.media.address import is_url, parse_address
from cairn.media.folders import SkippedFiles, files_below
from cairn.media.names import ImageName
from cairn.media.path_lists import LIST_SUFFIX, iterate_list
from cairn.media.reading import ReadOptions, SourceFrame, clip_frame, read_frames
from cairn.media.sources import (
    Source,
    absolute_path,
    checked_source,
    is_sequence,
    matched_sources,
    named_source,
    numbered_images,
    source_at,
    source_in_folder,
    webcam_number,
)
from cairn.media.tables import TABLE_SUFFIX, ImageTable, open_table, read_place, read_rows
from cairn.media.video.spans import Span, find_spans, read_span

Order: TypeAlias = tuple[Any, ...]
"""Place of an item among all items of a run: tuples compare as the items follow one another."""

NAMED = -1  # the one file of a source
FILE, FOLDER = 0, 1  # the files of a folder precede its folders

STORES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""Schemes of object stores and file systems that pyarrow opens."""


@dataclass(frozen=True)
class Item:
    """An image, a row of a table, or a video or a span of one.

    Attributes:
        order: Its place.
        source: The file or address.
        weight: Expected number of images.
        table: The table, of a row.
        row: Number of the row in the table.
        span: The span; None of a whole video.
    """

    order: Order
    source: Source
    weight: int = 1
    table: ImageTable | None = None
    row: int = 0
    span: Span | None = None

    @property
    def text(self) -> str:
        """What identifies it in its data set."""
        part = f"#{self.row}" if self.table else f"#{self.span.start}" if self.span else ""
        return f"{self.source.name.text}{part}"


@dataclass(frozen=True)
class ListOptions:
    """How items are listed.

    Attributes:
        longest: Number of frames after which a video is divided at a keyframe; 0 divides none.
        column: The column of images of tables; None chooses it.
        unreadable: Gets a folder that cannot be read, or a table without images, and the reason.
        skipped: Counts the files in folders that are not read.
    """

    longest: int = 0
    column: str | None = None
    unreadable: Callable[[str, str], None] = lambda place, reason: None
    skipped: SkippedFiles | None = None


def list_items(sources: Sequence[str], options: ListOptions) -> Generator[Item, None, None]:
    """Yields the items of sources, in order; each file once, although the folders may overlap.

    Raises:
        ImageError: A source names nothing, or has no end, as a webcam.
    """
    skipped = SkippedFiles() if options.skipped is None else options.skipped
    earlier: list[str] = []  # absolute paths of the sources before
    for index, each in enumerate(sources):
        text = checked_source(each)
        empty = True
        for order, source in _sources_of(text, skipped, options):
            path = "" if source.name.address else absolute_path(source.name.path)
            if path and any(path == place or path.startswith(place.rstrip("/\\") + "/") for place in earlier):
                empty = False
                continue
            for item in _items_of(source, (index, *order), options):
                empty = False
                yield item
        if empty:
            counted = f" ({skipped})" if skipped else ""
            raise ImageError(f"no image, video or table of images in {text}{counted}")
        if not is_url(text) and Path(text).suffix.lower() != LIST_SUFFIX:
            earlier.append(absolute_path(text))


def _sources_of(text: str, skipped: SkippedFiles, options: ListOptions) -> Iterator[tuple[Order, Source]]:
    path = Path(text)
    if is_url(text):
        yield (0,), _at(text)
    elif webcam_number(text) is not None:
        raise ImageError(f"webcam {text} has no end: shards are for images and videos")
    elif path.is_dir():
        for file in files_below(path, unreadable=options.unreadable):
            if file.suffix.lower() == TABLE_SUFFIX:
                source: Source | None = Source(ImageName(file, PurePath(file.name)), "image")
            else:
                source = source_in_folder(file, skipped)
            if source is not None:
                *folders, name = file.relative_to(path).parts
                yield (*((FOLDER, each) for each in folders), (FILE, name)), source
    elif path.suffix.lower() == LIST_SUFFIX and path.is_file():
        for line, place in _distinct_lines(path):
            yield (line,), _at(place) if is_url(place) else named_source(place, closely=False)
    elif not path.exists() and any(each in text for each in "*?["):
        for number, source in enumerate(matched_sources(text, skipped)):
            yield (number,), source
    elif is_sequence(path):
        if not numbered_images(path):
            raise ImageError(f"no image matches the sequence {text}")
        yield (0,), Source(ImageName(path, PurePath(path.name)), "sequence")
    else:
        yield (NAMED,), named_source(text, closely=False)


def _at(text: str) -> Source:
    """Returns an image at an address."""
    scheme = text.partition(":")[0].lower()
    if scheme in STORES:
        from cairn.media.address import Address

        address = Address(text)
        return Source(ImageName(Path(text), PurePath(address.file_name), address=address), "image")
    source = source_at(parse_address(text))
    if source.is_live and source.name.address and source.name.address.scheme not in ("http", "https"):
        raise ImageError(f"the stream {source.name.text} has no end: shards are for images and videos")
    return source


def _distinct_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields number and path of each line of a list; one that is there twice counts once. 8 bytes a line are kept."""
    import numpy as np

    hashes = np.frombuffer(array("q", map(hash, iterate_list(path))), np.int64)
    values, counts = np.unique(hashes, return_counts=True)
    repeated = set(values[counts > 1].tolist())
    seen: set[str] = set()
    for number, line in enumerate(iterate_list(path)):
        if hash(line) in repeated:
            if line in seen:
                continue
            seen.add(line)
        yield number, line


def _items_of(source: Source, order: Order, options: ListOptions) -> Iterator[Item]:
    path = source.name.path
    if source.name.address is None and path.suffix.lower() == TABLE_SUFFIX:
        try:
            table = open_table(path, options.column)
        except ImageError as error:
            if len(order) == 2 and order[1] == NAMED:
                raise
            options.unreadable(str(path), str(error))
            return
        for row in range(table.rows):
            yield Item((*order, row), source, table=table, row=row)
    elif source.kind == "sequence":
        yield Item(order, source, weight=len(numbered_images(path)))
    elif source.kind == "video" and options.longest:
        spans = find_spans(path, options.longest)
        for span in spans:
            yield Item((*order, span.start), source, weight=span.stop - span.start, span=span)
        if not spans:
            yield Item(order, source, weight=_frames_of(path))
    else:
        yield Item(order, source, weight=_frames_of(path) if source.kind == "video" else 1)


def _frames_of(path: Path) -> int:
    """Returns the number of frames that a video states; 1 where it is unknown or cannot be opened."""
    from cairn.media.video import open_video

    try:
        with open_video(path, 1) as video:
            return video.frames or 1
    except CairnError:
        return 1


def read_items(items: Iterable[Item], options: ReadOptions = ReadOptions()) -> Generator[SourceFrame, None, None]:
    """Yields the frames of items, read on demand; what cannot be read is a frame with an error."""
    for (table, whole), some in groupby(items, key=lambda item: (item.table, item.source)):
        if table is not None:
            yield from _read_table(table, [item.row for item in some])
            continue
        for item in some:
            with closing(_read_item(item, options)) as frames:
                for frame in frames:
                    yield replace(frame, name=_name_in(frame.name, whole))
                    del frame


def _name_in(name: ImageName, source: Source) -> ImageName:
    """Returns the name of a frame in a run of millions: its clip is the path of the video, which is unique."""
    return replace(name, clip=PurePath(source.name.text)) if name.clip is not None else name


def _read_table(table: ImageTable, rows: list[int]) -> Iterator[SourceFrame]:
    """Yields the images of rows, which may have gaps."""
    for _, run in groupby(enumerate(rows), key=lambda pair: pair[1] - pair[0]):
        numbers = [row for _, row in run]
        reached = numbers[0]
        try:
            for frame in read_rows(table, numbers[0], numbers[-1] + 1):
                yield frame
                reached += 1
        except CairnError as error:
            for row in range(reached, numbers[-1] + 1):
                yield SourceFrame(ImageName(Path(f"{table.path}#{row}"), PurePath("row")), error=error)


def _read_item(item: Item, options: ReadOptions) -> Generator[SourceFrame, None, None]:
    name = item.source.name
    if item.span is not None:
        yield from _read_span(item, item.span, options)
    elif name.address is not None and name.address.scheme in STORES:
        try:
            image, note = read_place(name.address.url, Path())
            yield SourceFrame(name, image, note=note)
        except CairnError as error:
            yield SourceFrame(name, error=ImageError(str(error)))
    else:
        yield from read_frames(item.source, options)


def _read_span(item: Item, span: Span, options: ReadOptions) -> Iterator[SourceFrame]:
    name, count = item.source.name, 0
    try:
        for each in read_span(name.path, span, options.threads):
            yield SourceFrame(clip_frame(name, each.index, each.seconds), each.image)
            count += 1
            del each
    except VideoError as error:
        yield SourceFrame(clip_frame(name, span.start + count, None), error=error)
