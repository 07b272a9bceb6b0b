"""Runs the jobs of a store, one after another, each in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from cairn.server.jobs import Job, JobStore
from cairn.server.protocol import MAX_LINE, Message, receive, send
from cairn.server.settings import ServerSettings

SECONDS_AFTER_FAULT = 5.0

log = logging.getLogger(__name__)


class JobRunner:
    """Takes the oldest job that waits, as long as there is one.

    Attributes:
        running: The job that runs, if one does.
    """

    def __init__(self, settings: ServerSettings, store: JobStore) -> None:
        self.settings = settings
        self.store = store
        self.running: Job | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts in the background."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Tells that a job waits."""
        self._wake.set()

    async def stop(self) -> None:
        """Ends the job that runs; it waits for the next start of the server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.running is not None:
            self.store.again(self.running.id, counts=False)

    async def cancel(self, identity: str) -> Job:
        """Cancels or deletes a job; see `JobStore.cancel`."""
        if self.running is not None and self.running.id == identity and self._process is not None:
            await _end(self._process)
        return self.store.cancel(identity)

    async def _run(self) -> None:
        while True:
            try:
                self._wake.clear()
                job = self.store.begin_next()
                if job is None:
                    await self._wake.wait()
                    continue
                self.running = job
                await self._do(job)
                self.running = None
            except (sqlite3.Error, OSError) as error:  # the disk is full, or the job was deleted meanwhile
                log.warning("a job is put off: %s", error)
                await asyncio.sleep(SECONDS_AFTER_FAULT)
                if self.running is not None:
                    with suppress(Exception):
                        self.store.again(self.running.id, counts=True)
                self.running = None

    async def _do(self, job: Job) -> None:
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cairn.server.job_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.store.folder / job.id,
            limit=MAX_LINE,
            env=_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            await send(process.stdin, Message(self._values(job)))
            while True:
                values = (await receive(process.stdout)).values
                if "done" in values:
                    self.store.progress(job.id, values["done"], values["total"])
                else:
                    self.store.finish(job.id, values.get("error"), values.get("warnings", []))
                    return
        except (EOFError, ConnectionError, ValueError):
            with suppress(Exception):  # it was deleted
                self.store.again(job.id, counts=True)
        finally:
            await _end(process)

    def _values(self, job: Job) -> dict[str, Any]:
        limits = self.settings.limits
        return {
            **job.options,
            "file": job.file,
            "device": self.settings.device,
            "frames": limits.video_frames,
            "pixels": limits.image_pixels,
        }


def _environment() -> dict[str, str]:
    """Returns the environment of a process whose current folder is another one."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    absolute = os.pathsep.join(str(Path(each).absolute()) for each in paths if each)
    return {**os.environ, "PYTHONPATH": absolute}


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    await process.wait()
