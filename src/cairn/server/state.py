"""What one server shares between its requests."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

from cairn.inference.zoo import DEFAULT_MODEL, path_of
from cairn.server.batching import Batches
from cairn.server.catalog import Catalog
from cairn.server.job_runner import JobRunner
from cairn.server.jobs import JobStore
from cairn.server.metrics import Metrics
from cairn.server.pool import Pool, WorkerDied, WorkerProcess, WorkerTimeout
from cairn.server.problems import FULL_DISK, Problem
from cairn.server.protocol import Message
from cairn.server.settings import ServerSettings

DESCRIBE_SECONDS = 60.0

SPARE_BYTES = 200_000_000
"""Bytes of the disk that uploads leave free."""

log = logging.getLogger(__name__)


class Server:
    """Queue, workers and models of one server.

    Attributes:
        settings: The settings.
        metrics: The metrics.
        batches: The queue of images.
        pool: The workers.
        catalog: The models.
        jobs: The jobs.
        job_runner: Runs them.
        uploads: Number of requests whose body is being read.
        upload_bytes: Bytes of these bodies.
        streams: Number of WebSocket streams.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.batches = Batches(settings, self.metrics)
        self.pool = Pool(settings, self.batches.serve)
        self.catalog = Catalog(settings.model_folders, self._describe)
        self.jobs = JobStore(settings.data)
        self.job_runner = JobRunner(settings, self.jobs)
        self.uploads = 0
        self.upload_bytes = 0
        self.streams = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Starts the workers, and ends them."""
        self.pool.start()
        self.job_runner.start()
        try:
            yield self
        finally:
            await self.job_runner.stop()
            await self.pool.stop()
            self.jobs.close()

    @contextmanager
    def uploading(self, size: int = 0) -> Iterator[None]:
        """Counts a request whose body is read, and its bytes. Raises Problem (429) where there are too many."""
        limits = self.settings.limits
        if self.uploads >= limits.uploads or (self.uploads and self.upload_bytes + size > limits.upload_bytes):
            raise Problem(429, f"{self.uploads} uploads are open already: try again", {"Retry-After": "1"})
        self.uploads += 1
        self.upload_bytes += size
        try:
            yield
        finally:
            self.uploads -= 1
            self.upload_bytes -= size

    def check_disk(self, needed: int) -> None:
        """Raises Problem (507) where the disk of the data folder does not have so many bytes to spare."""
        if shutil.disk_usage(self.settings.data).free < needed + SPARE_BYTES:
            raise Problem(507, FULL_DISK)

    async def _describe(self, files: Sequence[Path]) -> list[dict[str, Any] | None]:
        """Opens models in a process of its own, which a damaged one cannot take the server along with."""
        process = WorkerProcess(self.settings)
        found: list[dict[str, Any] | None] = []
        try:
            await process.start()
            for file in files:
                answer = await process.ask(Message({"do": "describe", "file": str(file)}), DESCRIBE_SECONDS)
                if "error" in answer.values and file.parent != path_of(DEFAULT_MODEL).parent:
                    log.warning("%s is not served: %s", file.name, answer.values["error"])
                found.append(answer.values.get("model"))
        except (WorkerDied, WorkerTimeout):
            raise Problem(503, "the models cannot be opened now: try again", {"Retry-After": "5"}) from None
        finally:
            await process.stop()
        return found


def server_of(connection: HTTPConnection) -> Server:
    """Returns the server that a request or WebSocket came to."""
    server: Server = connection.app.state.server
    return server
