"""Keeps the reading of what clients sent in its folders: no others are opened, whatever paths a file names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

EVENTS = ("open", "os.listdir", "os.scandir")

_allowed: list[tuple[str, ...]] = []


@contextmanager
def confined(*folders: Path) -> Iterator[None]:
    """Refuses files outside of some folders in the block, of all threads, as if there was no permission.

    Modules of Python can still be imported.
    """
    _install()
    own: list[str] = [sys.prefix, sys.base_prefix, *filter(None, sys.path), *map(str, folders)]
    _allowed.append(tuple(os.path.join(os.path.realpath(each), "") for each in own))  # noqa: PTH118
    try:
        yield
    finally:
        _allowed.pop()


@cache
def _install() -> None:
    sys.addaudithook(_check)


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in EVENTS or not _allowed or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.fsdecode(arguments[0])
    parent, name = os.path.split(os.path.abspath(path))  # noqa: PTH100
    # The folder is resolved, the file is not: the images of a project may be links.
    if not os.path.join(os.path.realpath(parent), name, "").startswith(_allowed[-1]):  # noqa: PTH118
        raise PermissionError(13, "is outside of the folders of the request", path)
