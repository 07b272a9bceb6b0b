"""Bodies of requests: multipart forms that are read piece by piece, each piece against its limit.

Files are kept in memory, or written where the caller says; nothing is written elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from cairn.server.problems import Problem

MAX_NAME = 120
"""Characters of a file name that are kept."""

MAX_STEM = 60
"""Characters of a file name without its suffix, where a file is stored under it."""

MAX_FIELD = 4096
"""Bytes of a part that is no file."""

DRAINED_BYTES, DRAINED_SECONDS, SILENT_SECONDS = 64_000_000, 5.0, 0.5
"""How much of a body is read and thrown away before an early answer: a client that still writes may not read it."""


def upload(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Returns what OpenAPI says of a request with a form that has one required field."""
    form = {"type": "object", "required": [name], "properties": {name: schema}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


@dataclass(frozen=True)
class BodyLimits:
    """Limits of a form.

    Attributes:
        files: Number of files.
        bytes: Bytes of each file.
        stall: Seconds in which some bytes must arrive.
        seconds: Seconds for the whole body; None has no limit.
    """

    files: int
    bytes: int
    stall: float
    seconds: float | None = None


@dataclass
class FormFile:
    """A file of a form.

    Attributes:
        name: Its name, without folders.
        size: Bytes.
        data: Its content, where it is kept in memory.
    """

    name: str
    size: int = 0
    data: bytearray = field(default_factory=bytearray)


@dataclass
class _Part:
    """The part that is being read."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    header: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])
    file: FormFile | None = None
    field_bytes: int = 0


async def read_files(request: Request, limits: BodyLimits, target: Path | None = None) -> list[FormFile]:
    """Returns the files of a multipart form, whatever their fields are called.

    Args:
        request: The request.
        limits: Limits.
        target: File that the only file is written to; None keeps all in memory.

    Raises:
        Problem: The body is no form (415, 400), too large (413) or too slow (408), or has no file (422).
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Problem(415, "expected a multipart form (Content-Type: multipart/form-data; boundary=...) with a file")
    if declared_bytes(request) > limits.files * limits.bytes + (1 << 20):
        raise Problem(413, _too_large(limits))
    form = _Form(limits, None if target is None else target.open("wb"))
    try:
        try:
            parser = MultipartParser(options[b"boundary"], form.callbacks())  # type: ignore[arg-type]
            async for chunk in chunks(request, limits):
                parser.write(chunk)
            parser.finalize()
        except FormParserError as error:
            raise Problem(400, f"the multipart form is damaged ({' '.join(str(error).split())[:200]})") from None
    finally:
        form.close()
    if not form.complete:
        raise Problem(400, "the multipart form is truncated: its last boundary is missing")
    if not form.files:
        raise Problem(422, 'the form has no file: send one, as by curl -F "image=@photo.jpg"')
    return form.files


def declared_bytes(request: Request) -> int:
    """Returns the length of a body that the client declares; 0 where it declares none."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


async def chunks(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """Yields the body of a request. Raises Problem (408) where it is too slow."""
    began = time.monotonic()
    stream = request.stream()
    while True:
        left = limits.stall
        if limits.seconds is not None:
            left = min(left, began + limits.seconds - time.monotonic())
        try:
            async with asyncio.timeout(left):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Problem(
                408,
                f"the body is too slow: some bytes must arrive every {limits.stall:g} seconds"
                + ("" if limits.seconds is None else f", and all within {limits.seconds:g}"),
                {"Connection": "close"},
            ) from None
        yield chunk


async def drain(request: Request) -> None:
    """Reads the rest of a body and throws it away, within bounds."""
    left = DRAINED_BYTES
    try:
        async for chunk in chunks(request, BodyLimits(0, 0, SILENT_SECONDS, DRAINED_SECONDS)):
            left -= len(chunk)
            if left < 0:
                return
    except (Problem, ClientDisconnect, RuntimeError):  # RuntimeError: the body was read already
        return


def clean_name(name: str, default: str) -> str:
    """Returns the name of a file without folders and control characters, which is only ever shown."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(char for char in last if char.isprintable())
    return kept if 0 < len(kept) <= MAX_NAME else (kept[-MAX_NAME:] or default)


def plain_stem(name: str, default: str) -> str:
    """Returns the name of a file without its suffix, as plain letters that name no other file and no pattern."""
    stem = PurePosixPath(clean_name(name, default)).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:MAX_STEM] or default


class _Form:
    """Callbacks of the parser."""

    def __init__(self, limits: BodyLimits, target: BinaryIO | None) -> None:
        self.files: list[FormFile] = []
        self.complete = False
        self._limits = limits
        self._target = target
        self._part = _Part()

    def close(self) -> None:
        """Closes the file that was written. Raises OSError where the disk is full."""
        if self._target is not None:
            self._target.close()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._part.header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._part.header[1].extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._opened,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _header(self) -> None:
        name, value = self._part.header
        self._part.headers.append((bytes(name).lower(), bytes(value)))
        self._part.header = [bytearray(), bytearray()]

    def _opened(self) -> None:
        disposition = dict(self._part.headers).get(b"content-disposition", b"")
        options = parse_options_header(disposition)[1]
        if b"filename" not in options:
            return
        if len(self.files) == self._limits.files:
            raise Problem(413, f"the request has more than {self._limits.files} files: send several requests")
        name = clean_name(options[b"filename"].decode("utf-8", "replace"), f"file {len(self.files)}")
        self._part.file = FormFile(name)
        self.files.append(self._part.file)

    def _data(self, data: bytes, start: int, end: int) -> None:
        file = self._part.file
        if file is None:
            self._part.field_bytes += end - start
            if self._part.field_bytes > MAX_FIELD:
                raise Problem(413, f"a field of the form has more than {MAX_FIELD} bytes")
            return
        file.size += end - start
        if file.size > self._limits.bytes:
            raise Problem(413, f"{file.name}: {_too_large(self._limits)}")
        if self._target is None:
            file.data += data[start:end]
        else:
            self._target.write(data[start:end])

    def _end(self) -> None:
        self.complete = True


def _too_large(limits: BodyLimits) -> str:
    return f"a file may have {limits.bytes / 1e6:g} MB at most" + (
        "" if limits.files == 1 else f", and a request {limits.files} files"
    )
