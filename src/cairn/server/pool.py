"""Workers: processes that are started, and started again when they die."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from cairn.server.protocol import MAX_LINE, Message, receive, send
from cairn.server.settings import ServerSettings

log = logging.getLogger(__name__)

START_SECONDS = 120.0
"""Seconds in which a worker must start: a busy machine takes some to import everything."""

COMMAND = (sys.executable, "-P", "-m", "cairn.server.worker")
"""Starts a worker; a module in the current folder does not replace one of Python's (-P)."""

PAUSE, MAX_PAUSE = 0.25, 60.0
"""Seconds before a worker is started once more that died within `SHORT_LIFE`; doubled with each such death."""

SHORT_LIFE = 5.0


class WorkerDied(Exception):
    """A worker has ended amid its work; what it worked on is lost."""


class WorkerTimeout(Exception):
    """A worker took too long, and was ended."""


class WorkerProcess:
    """One process, which does one thing at a time.

    Args:
        settings: The settings of the server.
        command: Command that starts it; None for a worker.
    """

    def __init__(self, settings: ServerSettings, command: Sequence[str] | None = None) -> None:
        self.settings = settings
        self.command = command
        self.process: asyncio.subprocess.Process | None = None
        self._started = False

    @property
    def alive(self) -> bool:
        """Whether the process runs, and has answered that it is ready."""
        return self._started and self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Starts the process. Raises WorkerDied or WorkerTimeout if it does not answer."""
        self._started = False
        self.process = await asyncio.create_subprocess_exec(
            *(self.command or COMMAND),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
        )
        settings = self.settings
        options = {
            "device": settings.device,
            "threads": settings.threads,
            "pixels": settings.limits.image_pixels,
        }
        await self.ask(Message(options), START_SECONDS)
        self._started = True

    async def ask(self, message: Message, seconds: float) -> Message:
        """Returns the answer to a message.

        Raises:
            WorkerDied: The process has ended.
            WorkerTimeout: There was no answer in time; the process is ended.
        """
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerDied
        done = False
        try:
            async with asyncio.timeout(seconds):
                await send(process.stdin, message)
                answer = await receive(process.stdout)
            done = True
            return answer
        except TimeoutError:
            raise WorkerTimeout from None
        except (EOFError, ConnectionError, ValueError):
            raise WorkerDied from None
        finally:
            if not done:  # canceled, too: the next answer would be that of this message
                await self.stop()

    async def stop(self) -> None:
        """Ends the process."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class Pool:
    """Keeps a number of workers alive, each of which does what `work` takes from a queue.

    Attributes:
        workers: The workers.
        idle: Number of those that wait for work.
        restarts: Number of workers that were started in place of dead ones.
    """

    def __init__(self, settings: ServerSettings, work: Callable[[WorkerProcess], Awaitable[None]]) -> None:
        self.settings = settings
        self.workers = [WorkerProcess(settings) for _ in range(settings.processes)]
        self.restarts = 0
        self._work = work
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> int:
        """Number of workers that run."""
        return sum(worker.alive for worker in self.workers)

    def start(self) -> None:
        """Starts all workers, in the background."""
        self._tasks = [asyncio.create_task(self._keep(worker)) for worker in self.workers]

    async def stop(self) -> None:
        """Ends all workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self.workers))

    async def _keep(self, worker: WorkerProcess) -> None:
        pause = 0.0
        while True:
            began = time.monotonic()
            try:
                await worker.start()
                await self._work(worker)
            except (WorkerDied, WorkerTimeout, OSError) as error:
                log.warning("a worker has ended (%s) and is started again", type(error).__name__)
            self.restarts += 1
            short = time.monotonic() - began < SHORT_LIFE
            pause = min(MAX_PAUSE, max(PAUSE, 2 * pause)) if short else 0.0
            await asyncio.sleep(pause)
