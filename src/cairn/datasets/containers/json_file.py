"""JSON files of labels: whole, or only the keys at their start, by which a format is recognized."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.errors import LabelError
from cairn.structures.annotation import MAX_VALUE

HEAD = 1 << 16
"""Bytes at the start of a file that are searched for keys."""

# An unterminated string extends to the end, so that the search takes linear time.
TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"?\s*(:?)|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True)
class JsonStart:
    """What the start of a JSON file tells about it.

    Attributes:
        opening: `{`, `[`, or nothing where it is no JSON.
        keys: Keys of the outer object; none of a list.
        inner: Keys of the first object in the outer object or list.
        head: The first bytes.
    """

    opening: str = ""
    keys: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()
    head: bytes = b""


def json_start(path: Path) -> JsonStart:
    """Returns the keys at the start of a JSON file, without reading all of it; nothing for a folder.

    Raises:
        LabelError: The file cannot be read.
    """
    if path.is_dir():
        return JsonStart()
    try:
        with path.open("rb") as file:
            head = file.read(HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    if head[:1] not in (b"{", b"["):
        return JsonStart()
    found: tuple[set[str], set[str]] = set(), set()
    stack: list[bytes] = []
    is_first = True  # no object in the outer one has ended
    for token in TOKEN.finditer(head):
        text = token[0]
        if text in (b"{", b"["):
            stack.append(text)
        elif text in (b"}", b"]"):
            is_first = is_first and not (len(stack) == 2 and stack[1] == b"{")
            del stack[-1:]
            if not stack:
                break
        elif token[2] and stack and stack[-1] == b"{" and len(stack) <= 2 and (len(stack) == 1 or is_first):
            found[len(stack) - 1].add(token[1].decode("utf-8", "replace"))
    return JsonStart(head[:1].decode(), frozenset(found[0]), frozenset(found[1]), head)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Raises:
        LabelError: The file cannot be read, or is not JSON.
    """
    with json_errors(path):
        return json.loads(path.read_text(encoding="utf-8-sig"))


@contextmanager
def json_errors(path: Path) -> Iterator[None]:
    """Turns what reading and parsing a file raises into a LabelError of one line.

    Args:
        path: The file, for the message.
    """
    try:
        yield
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not valid JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise LabelError(f"{path} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise LabelError(f"{path} is not valid JSON: {error}") from None


def finite(value: Any, what: str) -> float:
    """Returns a number as a float.

    Args:
        value: Value of a file: a number, or a text that is one.
        what: Name of the record and of the value in messages.

    Raises:
        LabelError: It is no finite number in the range of single precision.
    """
    number = value
    if isinstance(number, str):
        try:
            number = float(number)
        except ValueError:
            raise LabelError(f"{what} must be a number, got {value!r:.60}") from None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise LabelError(f"{what} must be a number, got {value!r:.60}")
    if not abs(number) <= MAX_VALUE:  # also false for NaN
        raise LabelError(f"{what} must be a finite number, got {value!r:.60}")
    return float(number)


def pixels(value: Any) -> int | None:
    """Returns the width or height that a file states; None where it states none, so that the image decides."""
    try:
        number = finite(value, "")
    except LabelError:
        return None
    return int(number) if number >= 1 and number.is_integer() else None
