"""Tables of images: Parquet files with a column of encoded images, or of paths and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cairn.errors import ImageError
from cairn.extras import require
from cairn.media.address import Address, download, is_url
from cairn.media.images import EncodedImage, open_image
from cairn.media.names import ImageName
from cairn.media.reading import SourceFrame

TABLE_SUFFIX = ".parquet"

IMAGE_COLUMNS = ("image", "bytes", "image_bytes", "data", "content", "jpg", "jpeg", "png", "webp")
"""Names of columns of encoded images, the likeliest first; a table with one binary column needs none of them."""

NAME_COLUMNS = ("path", "uri", "url", "image_path", "image_url", "file", "file_name", "filename", "image", "key", "id")
"""Names of columns of paths and addresses; beside encoded images they name the image."""

ROWS_AT_ONCE = 16
"""Rows of encoded images that are in memory at a time."""


@dataclass(frozen=True)
class ImageTable:
    """A table of images.

    Attributes:
        path: The file.
        column: The column of images.
        kind: What it has: encoded images, paths and addresses, or a struct with the fields bytes and path.
        name: The column with the names of encoded images; None where the table has none.
        rows: Number of rows.
    """

    path: Path
    column: str
    kind: Literal["bytes", "paths", "struct"]
    name: str | None
    rows: int


def open_table(path: Path, column: str | None = None) -> ImageTable:
    """Returns the columns of a table, without reading its rows.

    Args:
        path: The file.
        column: The column of images; None chooses it by its type and name.

    Raises:
        ImageError: The file cannot be read, or no column has images.
        MissingExtra: pyarrow is not installed.
    """
    require("pyarrow", extra="parquet", purpose=f"the table {path}")
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except FileNotFoundError:
        raise ImageError(f"no table at {path}") from None
    except (OSError, pyarrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, truncated or no Parquet file"
        raise ImageError(f"cannot read the table {path}: {reason}") from None
    kinds = {each.name: _kind(each.type) for each in schema}
    if column is not None and kinds.get(column) is None:
        named = ", ".join(kinds)
        raise ImageError(
            f"{path} has no images in the column {column!r}: expected one of binary, string or struct<bytes, path>; "
            f"its columns are {named}"
        )
    chosen = column or _choice(kinds)
    if chosen is None:
        raise ImageError(
            f"{path}: which column has the images is not clear ({', '.join(kinds)}): choose it with --column"
        )
    kind = kinds[chosen]
    assert kind is not None
    names = (each for each in NAME_COLUMNS if kinds.get(each) == "paths" and each != chosen)
    return ImageTable(path, chosen, kind, next(names, None) if kind == "bytes" else None, rows)


def _kind(kind: Any) -> Literal["bytes", "paths", "struct"] | None:
    """Returns what a column of this type may have."""
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind):
        return "bytes"
    if types.is_string(kind) or types.is_large_string(kind):
        return "paths"
    fields = {each.name for each in kind} if types.is_struct(kind) else set()
    return "struct" if {"bytes", "path"} <= fields else None


def _choice(kinds: dict[str, Literal["bytes", "paths", "struct"] | None]) -> str | None:
    """Returns the column of images: encoded ones come first, then paths under a known name."""
    for wanted in ("struct", "bytes"):
        columns = [name for name, kind in kinds.items() if kind == wanted]
        known = [name for name in IMAGE_COLUMNS if name in columns]
        if known or len(columns) == 1:
            return [*known, *columns][0]
    paths = [name for name, kind in kinds.items() if kind == "paths"]
    known = [name for name in NAME_COLUMNS[:-2] if name in paths]
    return known[0] if known else paths[0] if len(paths) == len(kinds) == 1 else None


def read_rows(table: ImageTable, start: int, stop: int) -> Iterator[SourceFrame]:
    """Yields the images of the rows from `start` to `stop`, exclusive; one that cannot be read has an error.

    Raises:
        ImageError: The table cannot be read any more.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    columns = [table.column, *([table.name] if table.name else [])]
    try:
        with ParquetFile(table.path, pre_buffer=False) as file:
            groups: list[int] = []
            first = at = 0
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if at < stop and at + rows > start:
                    first = first if groups else at
                    groups.append(group)
                at += rows
            row = first
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=columns, use_threads=False):
                if row + len(batch) > start and row < stop:
                    for i, values in enumerate(batch.to_pylist()):
                        if start <= row + i < stop:
                            yield _frame(table, row + i, values)
                row += len(batch)
                if row >= stop:
                    return
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"cannot read the rows {start} to {stop - 1} of {table.path}: {reason}") from None


def _frame(table: ImageTable, row: int, values: dict[str, Any]) -> SourceFrame:
    """Reads the image of a row."""
    value = values[table.column]
    data, place = value if table.kind == "bytes" else None, value if table.kind == "paths" else None
    if table.kind == "struct" and value is not None:
        data, place = value["bytes"], value["path"]
    label = values[table.name] if table.name else place
    name = _name(label or f"{table.path}#{row}")
    try:
        if data is not None:
            image, note = _decoded(name.text, bytes(data))
        elif place:
            image, note = read_place(place, table.path.parent)
        else:
            raise ImageError(f"row {row} of {table.path} has no image in the column {table.column}")
    except ImageError as error:
        return SourceFrame(name, error=error)
    return SourceFrame(name, image, note=note)


def _name(label: str) -> ImageName:
    address = Address(label) if is_url(label) else None
    return ImageName(Path(label), PurePath("row"), address=address)


def read_place(place: str, folder: Path) -> Any:
    """Reads the image at a path, relative to a folder, or at an address; returns it with a note.

    `http://` and `https://` are downloaded; `s3://`, `gs://`, `hdfs://` and other file systems of pyarrow are opened.

    Raises:
        ImageError: It cannot be read.
    """
    if not is_url(place):
        path = url2pathname(urlsplit(place).path) if place.lower().startswith("file:") else place
        try:
            encoded = open_image(folder / path)
            return encoded.decode()
        except ImageError as error:
            message = str(error)
            raise ImageError(message if str(path) in message else f"{folder / path} {message}") from None
    address = Address(place)
    if address.scheme == "file":
        return read_place(url2pathname(urlsplit(place).path), folder)
    data = download(address) if address.scheme in ("http", "https") else _from_store(place, address)
    return _decoded(str(address), data)


def _from_store(place: str, address: Address) -> bytes:
    """Reads a file of an object store."""
    require("pyarrow", extra="parquet", purpose=f"the address {address}")
    import pyarrow
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(place)
        with system.open_input_file(path) as file:
            data: bytes = file.read()
        return data
    except (OSError, pyarrow.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"cannot open {address}: {reason}") from None


def _decoded(name: str, data: bytes) -> Any:
    try:
        return EncodedImage.parse(data).decode()
    except ImageError as error:
        raise ImageError(f"{name} {error}") from None
