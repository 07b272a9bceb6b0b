"""Jobs: long work that survives a restart, one row in SQLite and one folder each."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from cairn.errors import CairnError
from cairn.server.problems import Problem

State = Literal["queued", "running", "done", "failed", "canceled"]

RESULTS = "results"
"""Folder of the results in the folder of a job."""

MAX_ATTEMPTS = 3
"""Times that a job is started: one whose process dies again and again is given up."""

OPEN = "state IN ('queued', 'running')"

COLUMNS = {
    "id": "TEXT PRIMARY KEY",
    "state": "TEXT NOT NULL",
    "file": "TEXT NOT NULL",
    "options": "TEXT NOT NULL",
    "created": "REAL NOT NULL",
    "started": "REAL",
    "finished": "REAL",
    "done": "INTEGER NOT NULL DEFAULT 0",
    "total": "INTEGER",
    "attempts": "INTEGER NOT NULL DEFAULT 0",
    "error": "TEXT",
    "warnings": "TEXT NOT NULL DEFAULT '[]'",
}


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        id: Random, so that no client guesses it.
        state: What has become of it.
        file: Name of the file that the client sent, in the folder of the job.
        options: Options of the job.
        created: Time in seconds since 1970; likewise `started` and `finished`.
        started: When it was started the last time.
        finished: When it ended.
        done: Frames that are done.
        total: Frames, where the video states their number.
        attempts: How often it was started.
        error: Why it failed, in one line.
        warnings: What could not be read, in one line each.
    """

    id: str
    state: State
    file: str
    options: dict[str, Any]
    created: float
    started: float | None = None
    finished: float | None = None
    done: int = 0
    total: int | None = None
    attempts: int = 0
    error: str | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")


class JobStore:
    """The jobs of a data folder, which one server at a time uses.

    Args:
        data: The folder.

    Raises:
        CairnError: Another server uses the folder, or it cannot be used.
    """

    def __init__(self, data: Path) -> None:
        self.folder = data / "jobs"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(data)
            self._db = sqlite3.connect(data / "jobs.sqlite", isolation_level=None, timeout=5, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            self._db.execute(f"CREATE TABLE IF NOT EXISTS jobs ({columns})")
            self._recover()
        except (OSError, sqlite3.Error) as error:
            raise CairnError(
                f"cannot use the data folder {data}: {getattr(error, 'strerror', None) or error}; give another --data"
            ) from None

    def close(self) -> None:
        """Closes the database, and frees the folder for another server."""
        self._db.close()
        self._lock.close()

    def new_folder(self) -> tuple[str, Path]:
        """Returns the ID and the folder of a job to be; `add` or `discard` follows."""
        identity = secrets.token_hex(12)
        folder = self.folder / identity
        folder.mkdir()
        return identity, folder

    def add(self, identity: str, file: str, options: dict[str, Any]) -> Job:
        """Adds a job whose file is in its folder."""
        values = identity, "queued", file, json.dumps(options), time.time()
        self._db.execute("INSERT INTO jobs (id, state, file, options, created) VALUES (?, ?, ?, ?, ?)", values)
        return self.get(identity)

    def get(self, identity: str) -> Job:
        """Returns a job. Raises Problem (404) where there is none."""
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", [identity]).fetchone()
        if row is None:
            raise Problem(404, f"no job {identity[:80]!r}: it was deleted, or is of another server")
        return _job(row)

    def newest(self, limit: int) -> list[Job]:
        """Returns the newest jobs, the newest one first."""
        rows = self._db.execute("SELECT * FROM jobs ORDER BY created DESC, rowid DESC LIMIT ?", [limit])
        return [_job(row) for row in rows]

    def count(self, only_open: bool) -> int:
        """Returns the number of jobs."""
        row = self._db.execute(f"SELECT count(*) FROM jobs WHERE {OPEN if only_open else 1}").fetchone()
        return int(row[0])

    def counts(self) -> dict[str, int]:
        """Returns the number of jobs by state."""
        rows = self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state")
        return dict.fromkeys(get_args(State), 0) | {row[0]: row[1] for row in rows}

    def begin_next(self) -> Job | None:
        """Marks the oldest job that waits as running, and returns it; None where none waits."""
        row = self._db.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created, rowid LIMIT 1").fetchone()
        if row is None:
            return None
        self._db.execute(
            "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1, done = 0 WHERE id = ?",
            [time.time(), row["id"]],
        )
        return self.get(row["id"])

    def progress(self, identity: str, done: int, total: int | None) -> None:
        """Notes the progress of a running job."""
        self._db.execute("UPDATE jobs SET done = ?, total = ? WHERE id = ?", [done, total, identity])

    def finish(self, identity: str, error: str | None, warnings: list[str]) -> None:
        """Notes the end of a running job; of one that was canceled or deleted, nothing."""
        values = ["done" if error is None else "failed", time.time(), error, json.dumps(warnings), identity]
        self._db.execute(
            "UPDATE jobs SET state = ?, finished = ?, error = ?, warnings = ? WHERE id = ? AND state = 'running'",
            values,
        )

    def again(self, identity: str, counts: bool) -> None:
        """Lets a job whose process ended wait once more; one that was started too often has failed.

        Args:
            identity: The job.
            counts: Whether this was an attempt; not where the server was stopped.
        """
        attempts = self.get(identity).attempts
        if counts and attempts >= MAX_ATTEMPTS:
            self.finish(identity, f"its process died {attempts} times; the video may be damaged, or too large", [])
            return
        self._db.execute(
            "UPDATE jobs SET state = 'queued', attempts = ? WHERE id = ? AND state = 'running'",
            [attempts if counts else attempts - 1, identity],
        )

    def cancel(self, identity: str) -> Job:
        """Cancels a job that waits or runs, and deletes its files; deletes one that has ended altogether."""
        job = self.get(identity)
        if job.is_open:
            self._db.execute("UPDATE jobs SET state = 'canceled', finished = ? WHERE id = ?", [time.time(), identity])
        else:
            self._db.execute("DELETE FROM jobs WHERE id = ?", [identity])
        self.discard(identity)
        return self.get(identity) if job.is_open else job

    def discard(self, identity: str) -> None:
        """Deletes the folder of a job."""
        shutil.rmtree(self.folder / identity, ignore_errors=True)

    def results(self, job: Job) -> dict[str, Path]:
        """Returns the results of a job by name."""
        folder = self.folder / job.id / RESULTS
        if job.state != "done" or not folder.is_dir():
            return {}
        return {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."}

    def _recover(self) -> None:
        """Lets jobs wait once more that ran when the server ended, and deletes uploads that did not end."""
        for row in self._db.execute("SELECT id FROM jobs WHERE state = 'running'").fetchall():
            self.again(row["id"], counts=True)
        known = {row["id"] for row in self._db.execute("SELECT id FROM jobs WHERE state != 'canceled'")}
        for folder in self.folder.iterdir():
            if folder.name not in known:
                self.discard(folder.name)


def lock_folder(data: Path) -> sqlite3.Connection:
    """Locks a data folder until the connection is closed or the process ends, however it does.

    Raises:
        CairnError: Another server has locked it.
    """
    lock = sqlite3.connect(data / "server.lock", isolation_level=None, timeout=0, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise CairnError(
            f"another server uses the data folder {data}: stop that one, or give another folder with --data"
        ) from None
    return lock


def timestamp(seconds: float | None) -> str | None:
    """Returns a time as clients get it, such as 2026-01-31T12:00:00Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in COLUMNS}
    values["options"], values["warnings"] = json.loads(values["options"]), json.loads(values["warnings"])
    return Job(**values)
