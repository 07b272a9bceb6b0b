"""Reads a large JSON object list by list, so that what is not needed of its records never fills the memory.

A list is parsed in chunks that end between two records. Text that is valid between brackets is a part of the list;
any other cut, inside a record or a string, is no valid JSON and is made again further on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from pydantic_core import from_json

from cairn.datasets.containers.json_file import json_errors
from cairn.errors import LabelError

Parse = Callable[[Any], Any]

CHUNK = 1 << 16  # bytes; the objects of a larger one leave the cache of the processor

FIRST_KEY = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*("(?:[^"\\]|\\.)*")')
DECODER = json.JSONDecoder()
AFTER = tuple(" \t\r\n,:]}")
SPACE = b"[ \t\r\n]*"


@dataclass(frozen=True)
class Records:
    """How the records of a list are read.

    Attributes:
        fields: Keys that are read and the types that their values have as a rule, for which parsing is fastest; others
            may be missing from what `reduce` gets.
        reduce: Returns what is kept of some records. Its second argument returns the value of a field of `large`.
        large: Those of `fields` whose values take long to build, and are needed of few records.
    """

    fields: Mapping[str, Any]
    reduce: Callable[[list[Any], Callable[[Any], Any]], list[Any]]
    large: tuple[str, ...] = ()

    def parsers(self) -> tuple[tuple[Parse, Parse], ...]:
        """Functions that parse a list and a field of `large`; the fastest first, which refuses some that others read.

        The last one accepts surrogates, for bytes of names that are not UTF-8.
        """
        others = (from_json, _as_it_is), (json.loads, _as_it_is)
        try:
            from msgspec import Raw
            from msgspec.json import Decoder, decode
        except ImportError:
            return others
        kinds = {key: Raw if key in self.large else kind for key, kind in self.fields.items()}
        typed = Decoder(list[TypedDict("Row", kinds, total=False)])  # type: ignore[misc, operator]

        def parse(text: bytes) -> Any:
            _ = text.isascii() or text.decode()  # msgspec reads other bytes where it builds no value
            return typed.decode(text)

        def build(value: Any) -> Any:
            return None if value is None else decode(value)

        return (parse, build), *others


def _as_it_is(value: Any) -> Any:
    return value


def read_object(path: Path, lists: Mapping[str, Records], chunk: int = CHUNK) -> Any:
    """Returns the content of a file; of an object, the records of some of its lists are reduced as they are read.

    Args:
        path: The file, in UTF-8.
        lists: Key of a list -> how its records are read.
        chunk: Bytes to parse at a time.

    Raises:
        LabelError: The file cannot be read, is empty, or is not valid JSON.
    """
    with json_errors(path):
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if not data or data.isspace():
            raise LabelError(f"{path} is empty")
        return _Parser(data, chunk).content(lists)


class _Parser:
    """Parses the values of a text one after another. Raises ValueError, UnicodeDecodeError and RecursionError."""

    def __init__(self, data: bytes, chunk: int) -> None:
        self.data = data
        self._view = memoryview(data)
        self.chunk = chunk
        self.at = 0  # of the next byte

    def content(self, lists: Mapping[str, Records]) -> Any:
        """The whole content."""
        content = self._object(lists) if self._next() == b"{" else self._value()
        if self._next():
            raise self._error("expected nothing more")
        return content

    def _object(self, lists: Mapping[str, Records]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        self.at += 1
        while self._next() != b"}":
            if content:
                self._expect(b",")
            key = self._value() if self._next() == b'"' else None
            if key is None:
                raise self._error("expected a key in double quotes")
            self._expect(b":")
            content[key] = self._records(lists[key]) if self._next() == b"[" and key in lists else self._value()
        self.at += 1
        return content

    def _records(self, kind: Records) -> list[Any]:
        """A list whose records are reduced."""
        self.at += 1
        kept: list[Any] = []
        parsers = kind.parsers()
        first = FIRST_KEY.match(self.data, self.at)
        between = re.compile(SPACE + b"," + SPACE + b"(?=[{]" + SPACE + re.escape(first[1]) + b")") if first else None
        while between and (cut := self._last_cut(between)):
            part = _reduced(b"".join((b"[", self._view[self.at : cut[0]], b"]")), kind.reduce, parsers)
            if part is None:  # the list ends before, or the cut is inside a record
                break
            kept += part
            self.at = cut[1]
        if kept or self._next() != b"]":
            kept += kind.reduce(self._value("["), _as_it_is)
        else:
            self.at += 1
        return kept

    def _last_cut(self, between: re.Pattern[bytes]) -> tuple[int, int] | None:
        """End of a record and start of the next, the last ones in a chunk."""
        end = self.at + self.chunk
        while (end := self.data.rfind(b"}", self.at, end)) >= 0:
            if match := between.match(self.data, end + 1):
                return end + 1, match.end()
        return None

    def _value(self, opened: str = "") -> Any:
        """The next value; the rest of a list after `opened`."""
        self._next()
        size = self.chunk
        while True:
            whole = self.at + size >= len(self.data)
            text = opened + self._text(size)
            try:
                value, end = DECODER.raw_decode(text)
            except json.JSONDecodeError as error:
                if whole:
                    self.at += len(text[: error.pos].encode()) - len(opened)
                    raise self._error(error.msg) from None
            else:
                if whole or text[end : end + 1] in AFTER:  # else a number goes on
                    self.at += len(text[:end].encode()) - len(opened)
                    return value
            size *= 4

    def _text(self, size: int) -> str:
        """The next bytes, whole characters."""
        end = min(self.at + size, len(self.data))
        while end < len(self.data) and self.data[end] & 0xC0 == 0x80:
            end += 1
        return self.data[self.at : end].decode()

    def _next(self) -> bytes:
        """Skips white space, and returns the next byte; nothing at the end."""
        while self.data[self.at : self.at + 1] in (b" ", b"\t", b"\r", b"\n"):
            self.at += 1
        return self.data[self.at : self.at + 1]

    def _expect(self, byte: bytes) -> None:
        if self._next() != byte:
            raise self._error(f"Expecting {byte.decode()!r}")
        self.at += 1
        self._next()

    def _error(self, reason: str) -> ValueError:
        line = self.data.count(b"\n", 0, self.at) + 1
        column = self.at - self.data.rfind(b"\n", 0, self.at)
        return ValueError(f"{reason}: line {line} column {column}")


def _reduced(text: bytes, reduce: Callable[..., list[Any]], parsers: Sequence[tuple[Parse, Parse]]) -> list[Any] | None:
    """The reduced records of a list; None where the text is no valid JSON."""
    for parse, build in parsers:
        try:
            return reduce(parse(text), build)
        except (ValueError, RecursionError):
            continue
    return None
