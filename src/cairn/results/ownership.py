"""Which source the result files of a folder are of, so that no run replaces the results of other sources.

A run claims its files before it starts, in `.cairn.sources.json` in the output folder:

    {"clip.cairn.jsonl": {"sources": ["../videos/clip.mp4"]},
     "cairn.csv": {"sources": ["../images"], "run": "host:812:9f"}}

Paths are relative to the folder, so that both can be moved together. "run" is there until the run ends: host, process
and a random number. A run may replace a file that is its own or that does not exist, and no other.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cairn.errors import OutputError
from cairn.files import atomic_write

RECORD = ".cairn.sources.json"
"""Name of the record in an output folder."""

LOCK = ".cairn.sources.lock"
"""Exists while a run changes the record."""

STALE = 30.0
"""Seconds after which a lock is that of a run that was killed."""


class Claims:
    """The files of one run. Used as a context manager: claims them, and at the end drops those that were not written.

    Args:
        folder: The output folder; it exists.
        files: File -> the sources whose results it holds, as `SourceIds` has them.
        overwrite: Whether to replace the results of other sources too.
    """

    def __init__(self, folder: Path, files: Mapping[Path, Iterable[str]], overwrite: bool = False) -> None:
        self._folder = folder
        self._files = {path.relative_to(folder).as_posix(): sorted(sources) for path, sources in files.items()}
        self._overwrite = overwrite
        self._run = f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}"

    def __enter__(self) -> None:
        """Claims the files.

        Raises:
            OutputError: A file is of other sources, or was not written by Cairn.
        """
        with self._record() as record:
            if not self._overwrite:
                self._check(record)
            for name, sources in self._files.items():
                record[name] = {"sources": sources, "run": self._run}

    def __exit__(self, *ended: object) -> None:
        # On a full disk the record stays as it is; the run is seen to have ended, because its process has.
        with suppress(OutputError), self._record() as record:
            for name, entry in [(name, record.get(name, {})) for name in self._files]:
                if entry.get("run") == self._run:
                    del entry["run"]
                    if not _is_file(self._folder / name):
                        del record[name]

    def _check(self, record: Mapping[str, Any]) -> None:
        foreign = [name for name, sources in self._files.items() if not self._may_write(name, sources, record)]
        if not foreign:
            return
        entry = record.get(foreign[0])
        owner = "is not a result that Cairn wrote here"
        if entry:
            first, *others = entry["sources"]
            owner = f"has the results of {os.path.normpath(self._folder / first) if '/' in first else first}"
            owner += f" and {len(others)} other source{'s' * (len(others) > 1)}" if others else ""
        rest = len(foreign) - 1
        more = f" (and {rest} more file{'s' * (rest > 1)})" if rest else ""
        raise OutputError(
            f"{self._folder / foreign[0]} {owner}{more}: choose another folder with --out, or pass --overwrite"
        )

    def _may_write(self, name: str, sources: list[str], record: Mapping[str, Any]) -> bool:
        entry = record.get(name)
        if entry and set(entry["sources"]) <= set(sources):
            return True
        return not _is_file(self._folder / name) and not (entry and is_running(entry.get("run")))

    @contextmanager
    def _record(self) -> Iterator[dict[str, Any]]:
        """Yields the record, and writes it, while no other run does."""
        path = self._folder / RECORD
        with locked(self._folder / LOCK):
            record = _read(path)
            yield record
            if record:
                with atomic_write(path) as beside:
                    beside.write_text(json.dumps(record), encoding="utf-8")
            else:
                path.unlink(missing_ok=True)


def _is_file(path: Path) -> bool:
    """Returns whether a path is a file; not where that cannot be known, without permission."""
    try:
        return path.is_file()
    except OSError:
        return False


class SourceIds:
    """What a record calls a source: the path of a file relative to the output folder, or its name.

    Args:
        folder: The output folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._places: dict[str, str] = {}

    def of(self, path: str | Path, local: bool = True) -> str:
        """Returns the ID of a source.

        Args:
            path: The source, as the user named it.
            local: Whether it is a file or folder; otherwise it is a webcam or stream.
        """
        if not local:
            return str(path)
        # Links to the folder of a file are followed; a file that is a link itself is another source than its target.
        place, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 (resolve() would follow all links)
        if place not in self._places:
            self._places[place] = self._relative(Path(place).resolve())
        return f"{self._places[place]}/{name}"

    def _relative(self, place: Path) -> str:
        with suppress(ValueError):  # on another drive, on Windows
            return Path(os.path.relpath(place, self._folder)).as_posix()
        return place.as_posix()


def _read(path: Path) -> dict[str, Any]:
    """Returns the record; a file that is missing or damaged has no entries."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: entry for name, entry in record.items() if _is_entry(entry)} if isinstance(record, dict) else {}


def _is_entry(entry: Any) -> bool:
    sources = entry.get("sources") if isinstance(entry, dict) else None
    return isinstance(sources, list) and bool(sources) and all(isinstance(source, str) for source in sources)


def is_running(run: Any) -> bool:
    """Whether a run has not ended; one of another machine is taken to be running."""
    if not isinstance(run, str):
        return False
    host, number = [*run.rsplit(":", 2), ""][:2]
    if host == platform.node() and number.isdigit() and os.name != "nt":  # where signal 0 would be one
        try:
            os.kill(int(number), 0)  # sends no signal
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):  # of another user
            return True
    return True


@contextmanager
def locked(path: Path, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Holds a lock, which is a file: it works on network drives and on every system."""
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink()
            sleep(0.02)
        except OSError as error:
            raise OutputError(f"cannot write into the folder {path.parent}: {error.strerror or error}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
