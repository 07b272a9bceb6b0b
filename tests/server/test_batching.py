"""Laws of the queue, in a time of its own: service and arrivals take no real time."""

import asyncio
import random
import selectors

import numpy as np
import pytest

from cairn.server import batching
from cairn.server.batching import Batches, ModelKey
from cairn.server.metrics import Metrics
from cairn.server.protocol import Message
from cairn.server.settings import Limits, ServerSettings

SERVICE = 0.1
"""Seconds of one image; a batch takes as long as its images one after another."""


class Clock(selectors.DefaultSelector):
    """A time that a task waits for has come at once."""

    now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


class Worker:
    """Takes `SERVICE` for each image, and keeps the sizes of its batches."""

    alive = True

    def __init__(self, device):
        self.device = device
        self.batches = []

    async def ask(self, message, seconds):
        self.batches.append([part.decode() for part in message.parts])
        await asyncio.sleep(SERVICE * len(message.parts))
        parts = [part + message.values["file"].encode() for part in message.parts]
        return Message({"errors": [None] * len(parts), "device": self.device}, parts)


def simulated(monkeypatch, drive, workers=2, device="cpu", **values):
    """Runs `drive(batches)` beside workers; returns its result, the workers, and the seconds."""
    clock = Clock()
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now
    monkeypatch.setattr(batching.time, "monotonic", lambda: clock.now)
    settings = ServerSettings(workers=workers, limits=Limits(queue=values.pop("queue", 10_000)), **values)
    own = [Worker(device) for _ in range(workers)]

    async def main():
        batches = Batches(settings, Metrics())
        serving = [asyncio.create_task(batches.serve(worker)) for worker in own]
        try:
            return await drive(batches)
        finally:
            for task in serving:
                task.cancel()

    try:
        return loop.run_until_complete(main()), own, clock.now
    finally:
        monkeypatch.undo()
        loop.close()


async def ask(batches, name="a", model="m"):
    return await batches.detect(ModelKey(model), [({}, name.encode())])


def latencies(monkeypatch, load, number=4000, **values):
    """Returns the seconds of requests that arrive at random, at a share of what the workers can do."""
    chance = random.Random(0)

    async def drive(batches):
        loop, found = asyncio.get_running_loop(), []

        async def one():
            began = loop.time()
            await ask(batches)
            found.append(loop.time() - began)

        tasks = []
        for _ in range(number):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(chance.expovariate(load * 2 / SERVICE))
        await asyncio.gather(*tasks)
        return found

    return simulated(monkeypatch, drive, **values)[0]


def test_a_request_alone_waits_for_others_for_a_moment_only(monkeypatch):
    (_, _, seconds) = simulated(monkeypatch, ask)
    assert SERVICE <= seconds <= SERVICE + ServerSettings().batch_seconds + 1e-6


def test_at_80_percent_load_the_95th_percentile_is_at_most_4_times_the_service(monkeypatch):
    assert np.percentile(latencies(monkeypatch, 0.8), 95) <= 4 * SERVICE


def test_with_work_for_all_no_worker_rests(monkeypatch):
    async def drive(batches):
        await asyncio.gather(*(ask(batches) for _ in range(320)))

    _, workers, seconds = simulated(monkeypatch, drive)
    assert seconds <= 320 * SERVICE / 2 + 8 * SERVICE
    sizes = [len(batch) for worker in workers for batch in worker.batches]
    assert set(sizes[1:-1]) <= {1, ServerSettings().batch}
    assert sizes.count(ServerSettings().batch) <= len(workers)  # before the first answer says that it is a CPU


def test_batches_are_of_one_model_and_each_request_gets_its_own_result(monkeypatch):
    names = [(f"{i}", "xyz"[i % 3]) for i in range(60)]

    async def drive(batches):
        return await asyncio.gather(*(ask(batches, *name) for name in names))

    found, workers, _ = simulated(monkeypatch, drive)
    assert found == [[f"{name}{model}".encode()] for name, model in names]
    for worker in workers:
        assert all(len({int(name) % 3 for name in batch}) == 1 for batch in worker.batches)


def test_a_gpu_gets_what_waits_at_once(monkeypatch):
    async def drive(batches):
        await ask(batches)
        await asyncio.gather(*(ask(batches) for _ in range(6)))

    _, (worker,), _ = simulated(monkeypatch, drive, workers=1, device="cuda:0")
    assert [len(batch) for batch in worker.batches] == [1, 6]


def test_no_model_starves_another(monkeypatch):
    """The oldest image is always in the next batch."""

    async def drive(batches):
        loop, done = asyncio.get_running_loop(), {}

        async def one(i, model):
            await ask(batches, str(i), model)
            done[i] = loop.time()

        await asyncio.gather(*(one(i, "rare" if i == 5 else "frequent") for i in range(100)))
        return done

    done, _, _ = simulated(monkeypatch, drive, workers=1)
    assert done[5] <= 3 * 8 * SERVICE


@pytest.mark.parametrize("queue", [1, 5])
def test_the_queue_is_bounded_and_its_length_is_told(monkeypatch, queue):
    async def drive(batches):
        return await asyncio.gather(*(ask(batches) for _ in range(20)), return_exceptions=True)

    found, _, _ = simulated(monkeypatch, drive, workers=1, queue=queue)
    refused = [each for each in found if isinstance(each, Exception)]
    assert len(refused) == 20 - queue  # no worker has come to take any yet
    assert {each.status for each in refused} == {429}
    assert all(int(each.headers["Retry-After"]) >= 1 for each in refused)
