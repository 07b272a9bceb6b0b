"""Damage of label files as mistakes and attacks make it, and what reading them ends in: for benchmarks and tests."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import CairnError
from label_examples import Example

BYTES = b'0919-+eE.,;:"{}[]<>()/&*!\\\x00\x80\xff\r\n\t anul'
MAX_MESSAGE = 2000  # characters

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**31, 2**63, 10**30, 1e308, -1e308, float("nan"), float("inf"), "", "x", "1", "a\nb",
    "\0", "\ud800", "../../../../etc/passwd", "/etc/passwd", "/dev/zero", "..", ".", "/", "C:\\a.png", "a" * 5000,
    [], [1], {},
    {"a": 1}, [[]],
)  # fmt: skip

WORDS = (
    b"", b"-1", b"0", b"1e308", b"-1e999", b"nan", b"inf", b"9" * 400, b"9" * 5000, b"0x1F", b"0x" + b"f" * 5000,
    b"1_0", b"1,5", b"2147483648",
    b"18446744073709551616", b"true", b"null", b"~", b"'", b'"', b"\xff\xfe", b"\xed\xa0\x80", b"\xc3\x28", b"\x00",
    b"a\nb",
    b"../../../../etc/passwd", b"/etc/passwd", b"/dev/zero", b"..", b"/", b"a" * 5000, b"*a", b"&a [*a]", b"!!python/x",
    b"[" * 500, b"[" * 20000, b"{" * 500, b"(" * 200, b"{a: " * 300, b"-" * 5000, b"<a>" * 300, b"&lt;", b"&x;",
    b"&#0;",
    b"9**9**9", b"[0] * 10**12", b"range(10**12)", b"'a' * 10**12", b"__import__('os')",
)  # fmt: skip

BOMB = b"".join(b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9) if i else b"x") for i in range(9))
"""YAML whose last value has 9**8 items, one list that refers to another."""

ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
TOKEN = re.compile(rb"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|\"[^\"\n]*\"|'[^'\n]*'|\w+|[^\s,;:]+")
DEPTHS = (60, 300, 900, 990, 3000, 100000)


def mutate(example: Example, data: bytes, generator: random.Random, structure: bool = False) -> None:
    """Writes a mutated file in place of an example's.

    Args:
        example: The example.
        data: Its valid content.
        generator: Random numbers.
        structure: Whether the structure of HDF5 files is damaged too, for callers that a crash of the library does not
            end; see `hdf5.check_readable`.
    """
    if example.kind == "hdf5" and not (structure and generator.random() < 0.4):
        example.file.write_bytes(data)
        _mutate_arrays(example.file, generator)
    elif example.kind == "mat" and generator.random() < 0.4:
        example.file.write_bytes(_mutated_variables(data, generator))
    else:
        example.file.write_bytes(mutated(data, generator, example.kind))


def mutated(data: bytes, generator: random.Random, kind: str = "text") -> bytes:
    """Returns data with one kind of damage.

    Args:
        data: A valid file.
        generator: Random numbers.
        kind: json takes other values and depths too, text other words, and others are bytes alone.
    """
    ways = [_cut, _flipped, _repeated]
    ways += {"json": [_other_value] * 4 + [_other_word, _broken_text], "text": [_other_word] * 4 + [_broken_text]}.get(
        kind, []
    )
    return generator.choice(ways)(data, generator)


def outcome(example: Example, options: ReadOptions) -> str:
    """Reads an example; returns `result`, or the message of a one-line error.

    Raises:
        AssertionError: The result has infinite points, or the message has several lines or no end.
    """
    try:
        labels = read_labels(example.path, options)
    except CairnError as error:
        message = str(error)
        assert message, "an error without a message"
        assert len(message.splitlines()) == 1, f"a message of {len(message.splitlines())} lines: {message!r}"
        assert len(message) <= MAX_MESSAGE, f"a message of {len(message)} characters: {message[:200]!r}"
        return message
    assert not any(np.isinf(image.annotation.keypoints).any() for image in labels), "infinite points"
    return "result"


def options(frames: Path, skip: bool) -> ReadOptions:
    """Returns options that read as much as possible.

    Args:
        frames: Folder for frames of videos.
        skip: Whether invalid records are skipped.
    """
    return ReadOptions(problems=Problems(skip, log_notes=False), frames=frames)


def run_here(code: str, arguments: Sequence[str], seconds: float) -> tuple[bytes, int | None]:
    """As `trial.run_apart`, in this process: for files that do not end it."""
    sys.argv, status = ["-c", *arguments], 0
    written = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(written, encoding="utf-8", errors="surrogateescape")) as output:
        try:
            exec(_compiled(code), {"__name__": "__main__"})
        except SystemExit as end:
            status = int(end.code or 0)
        output.flush()
        return written.getvalue(), status


@lru_cache
def _compiled(code: str) -> CodeType:
    return compile(code, "trial", "exec")


def _cut(data: bytes, generator: random.Random) -> bytes:
    return data[: generator.randrange(len(data))]


def _flipped(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.choice((1, 2, 3, 20))):
        at = generator.randrange(len(data))
        changed[at] = generator.choice(BYTES) if generator.random() < 0.7 else generator.randrange(256)
    return bytes(changed)


def _repeated(data: bytes, generator: random.Random) -> bytes:
    """A part is missing, or there several times."""
    at, other = sorted(generator.randrange(len(data) + 1) for _ in range(2))
    return data[:at] + data[at:other] * generator.choice((0, 2, 3)) + data[other:]


def _other_word(data: bytes, generator: random.Random) -> bytes:
    """A number, name or text is another one."""
    for _ in range(generator.choice((1, 1, 1, 2, 5))):
        tokens = list(TOKEN.finditer(data))
        if tokens:
            token, word = generator.choice(tokens), generator.choice(WORDS)
            quote = token[0][:1] if token[0][:1] in (b'"', b"'") and generator.random() < 0.7 else b""
            data = data[: token.start()] + quote + word + quote + data[token.end() :]
    return data


def _broken_text(data: bytes, generator: random.Random) -> bytes:
    """Another encoding, other line ends, bombs at the start or at the end, or another value for a whole line."""
    text, lines = data.decode("utf-8", "replace"), data.split(b"\n")
    line = generator.randrange(len(lines))
    key = lines[line].partition(b":")[0]
    ways = (
        text.encode("utf-16"), text.encode("utf-16-le"), text.encode("latin-1", "replace"), data.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\0"), BOMB + data, data + b"\n" + BOMB, ENTITIES + data,
        BOMB + b"\n".join([*lines[:line], key + b": *a8", *lines[line + 1 :]]),
        b"\n".join([*lines[:line], key + b": " + b"[" * generator.choice(DEPTHS), *lines[line + 1 :]]),
        b"\n".join(generator.sample(lines, len(lines))), data * generator.choice((2, 50)), b"\n" * 100000 + data,
        data.replace(b" ", b"," * 1000, 1), b" ".join(lines),
    )  # fmt: skip
    return generator.choice(ways)


def _other_value(data: bytes, generator: random.Random) -> bytes:
    """Another value, another key or deep nesting at a place of a JSON file."""
    content = json.loads(data)
    deep = "deep nesting goes here"
    place: Any = [content]
    whole, key = place, 0
    while True:
        own = place[key]
        if not (isinstance(own, dict | list) and own) or (place is not whole and generator.random() < 0.2):
            break
        place, key = own, generator.choice(list(own)) if isinstance(own, dict) else generator.randrange(len(own))
    way = generator.randrange(8)
    if way == 0 and place is not whole:
        del place[key]
    elif way == 1 and isinstance(place, dict):
        place[generator.choice(("x", "../x", "", "id"))] = place.pop(key)
    elif way == 2:
        place[key] = deep
    elif way == 3:
        place[key] = [place[key]] * generator.choice((0, 1, 2, 300))
    else:
        place[key] = generator.choice(VALUES)
    depth = generator.choice(DEPTHS)
    opening, closing = generator.choice((("[", "]"), ('{"a":', "}")))
    nested = opening * depth + "1" + closing * depth
    return json.dumps(whole[0]).replace(f'"{deep}"', nested).encode()


def _mutated_variables(data: bytes, generator: random.Random) -> bytes:
    """A MATLAB file with other variables."""
    from scipy.io import loadmat, savemat

    content = {name: value for name, value in loadmat(io.BytesIO(data)).items() if name[0] != "_"}
    place, key = content, generator.choice(list(content))
    while isinstance(place[key], np.ndarray) and place[key].dtype.names and generator.random() < 0.9:
        struct = place[key].copy()
        place[key] = struct
        place, key = struct[0, 0], generator.choice(struct.dtype.names)
    others: list[Any] = [
        7, "text", "../../etc/passwd", "/dev/zero", np.zeros((0, 0)), np.full((2, 2), np.nan), np.inf, -1e300, 1 + 2j,
        np.zeros((3, 14)), np.zeros((14, 3, 1)), {"a": 1}, np.array([[1, "b"]], object), np.uint64(2**63), True,
        np.full((1, 3000), 1), np.full((5, 5, 5, 5), 2.0), "a" * 5000, "a\nb",
    ]  # fmt: skip
    place[key] = generator.choice(others)
    file = io.BytesIO()
    savemat(file, content, do_compression=generator.random() < 0.5)
    saved = file.getvalue()
    return saved if generator.random() < 0.8 else _flipped(saved, generator)


def _mutate_arrays(path: Path, generator: random.Random) -> None:
    """Cuts an HDF5 file, removes an array or an attribute, or gives it other values."""
    import h5py

    if generator.random() < 0.1:
        path.write_bytes(_cut(path.read_bytes(), generator))
        return
    with h5py.File(path, "a") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        owner = generator.choice(items)
        if len(owner.attrs) and generator.random() < 0.5:
            key = generator.choice(sorted(owner.attrs))
            value = owner.attrs[key]
            cut = value[:-3] if isinstance(value, bytes) else -1
            owner.attrs[key] = generator.choice([7, "", "text", "[" * 5000, "../..", cut, [1.5, 2], 10.0**300])
        elif isinstance(owner, h5py.Dataset):
            name, values = owner.name, np.asarray(owner[()])
            del file[name]
            others: list[Any] = [None, 3, "text", values[:-1] if np.ndim(values) else 0, np.arange(4)]
            others += [np.full((2, 2), 9e9), "[" * 5000]
            if values.dtype.names:
                values[generator.choice(values.dtype.names)][:1] = generator.choice([0, 1, 5, 2**7])
                others += [values] * 5
            if (value := generator.choice(others)) is not None:
                file[name] = value
            if generator.random() < 0.05:
                file.create_dataset("bomb", (20000, 20000), compression="gzip", chunks=(20000, 200))
