"""Images of all requests, in batches for the workers.

A worker that is free takes the oldest image. On a GPU a batch gains much: it takes its share of what waits for the same
model, and gives others a few milliseconds to arrive. On a CPU a batch takes longer than its images one after another,
because its maps are too large for caches, and each image would wait for all: batches are of one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from cairn.server.metrics import Metrics
from cairn.server.pool import WorkerDied, WorkerProcess, WorkerTimeout
from cairn.server.problems import Problem
from cairn.server.protocol import Message
from cairn.server.settings import ServerSettings

CLOSE = 1e-4
"""Seconds that are not waited for."""

SECONDS_PER_IMAGE = 0.1
"""Estimate for `Retry-After` before the first image."""


@dataclass(frozen=True)
class ModelKey:
    """What a batch has in common: the files of the model, and of the one that refines, or `AUTO`."""

    file: str
    refine: str | None = None


@dataclass(eq=False)
class Item:
    """An image that waits.

    Attributes:
        model: The model.
        values: Name and options, as `cairn.server.worker` takes them.
        data: The encoded image.
        result: Its JSON; an `ImageProblem` where it cannot be read.
        since: When it came.
    """

    model: ModelKey
    values: dict[str, Any]
    data: bytes
    result: asyncio.Future[bytes]
    since: float


class ImageProblem(Problem):
    """An image cannot be decoded. The message starts with a verb."""

    def __init__(self, line: str) -> None:
        super().__init__(422, line)


class Batches:
    """The bounded queue of images.

    Attributes:
        busy: Number of workers that have a batch.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self._waiting: deque[Item] = deque()
        self._changed = asyncio.Condition()
        self._free = self.busy = 0
        self._seconds = SECONDS_PER_IMAGE
        self._on_cpu = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def retry_after(self) -> int:
        """Seconds after which half of the queue will be done."""
        return max(1, round(len(self._waiting) * self._seconds / self.settings.processes / 2))

    def check_room(self, images: int = 1) -> None:
        """Raises Problem (429) where the queue cannot take so many images."""
        if len(self._waiting) + images > self.settings.limits.queue:
            raise Problem(
                429,
                f"{len(self._waiting)} images wait already, and the limit is {self.settings.limits.queue}: try again",
                {"Retry-After": str(self.retry_after)},
            )

    async def detect(self, model: ModelKey, images: list[tuple[dict[str, Any], bytes]]) -> list[bytes | ImageProblem]:
        """Returns the JSON of each image, or why it cannot be read.

        Where this is canceled, images that no worker has taken leave the queue.

        Raises:
            Problem: The queue is full (429), a worker died (503), or there was no result in time (504).
        """
        self.check_room(len(images))
        loop = asyncio.get_running_loop()
        items = [Item(model, values, data, loop.create_future(), time.monotonic()) for values, data in images]
        self._waiting.extend(items)
        results = asyncio.gather(*(item.result for item in items), return_exceptions=True)
        try:
            async with self._changed:
                self._changed.notify_all()
            async with asyncio.timeout(self.settings.limits.request_seconds):
                found = await results
        except TimeoutError:
            raise Problem(504, f"no result within {self.settings.limits.request_seconds:g} seconds") from None
        finally:
            for item in items:
                item.result.cancel()
                if item in self._waiting:
                    self._waiting.remove(item)
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, ImageProblem):
                raise each
        return [each for each in found if isinstance(each, bytes | ImageProblem)]

    async def serve(self, worker: WorkerProcess) -> None:
        """Gives a worker batches until it dies. Raises WorkerDied or WorkerTimeout."""
        while True:
            items = await self._next(worker)
            message = Message(
                {
                    "do": "detect",
                    "file": items[0].model.file,
                    "refine": items[0].model.refine,
                    "images": [item.values for item in items],
                },
                [item.data for item in items],
            )
            began = time.monotonic()
            self.busy += 1
            try:
                answer = await worker.ask(message, self.settings.limits.request_seconds)
            except (WorkerDied, WorkerTimeout) as error:
                lost = (
                    Problem(503, "the worker of this request died; it is restarted: try again", {"Retry-After": "1"})
                    if isinstance(error, WorkerDied)
                    else Problem(504, f"no result within {self.settings.limits.request_seconds:g} seconds")
                )
                for item in items:
                    _fail(item, lost)
                raise
            finally:
                self.busy -= 1
            self._note(items, time.monotonic() - began)
            self._on_cpu = answer.values.get("device", "cpu") == "cpu"
            _deliver(items, answer)

    async def _next(self, worker: WorkerProcess) -> list[Item]:
        """Returns the next batch, of one model; waits for it."""
        self._free += 1
        try:
            async with self._changed:
                while True:
                    while not self._waiting:
                        await self._awaken(worker)
                    first = self._waiting[0]
                    alike = [item for item in self._waiting if item.model == first.model]
                    left = first.since + self.settings.batch_seconds - time.monotonic()
                    if self._on_cpu or len(alike) >= self.settings.batch or left <= CLOSE:
                        share = 1 if self._on_cpu else -(-len(alike) // self._free)
                        taken = alike[: min(share, self.settings.batch)]
                        for item in taken:
                            self._waiting.remove(item)
                        return taken
                    await self._awaken(worker, left)
        finally:
            self._free -= 1

    async def _awaken(self, worker: WorkerProcess, seconds: float = 1.0) -> None:
        """Waits for a change; raises WorkerDied where the worker died while idle."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
        if not worker.alive:
            raise WorkerDied

    def _note(self, items: list[Item], seconds: float) -> None:
        self._seconds += 0.1 * (seconds / len(items) - self._seconds)
        self.metrics.batch_images.observe(len(items))
        self.metrics.batch_seconds.observe(seconds)
        self.metrics.images.inc(len(items))


def _deliver(items: list[Item], answer: Message) -> None:
    if "error" in answer.values:
        for item in items:
            _fail(item, Problem(422, answer.values["error"]))
        return
    for item, line, result in zip(items, answer.values["errors"], answer.parts, strict=True):
        if line is not None:
            _fail(item, ImageProblem(line))
        elif not item.result.done():
            item.result.set_result(result)


def _fail(item: Item, problem: Problem) -> None:
    if not item.result.done():
        item.result.set_exception(problem)
