"""Load on `cairn serve`, beside the throughput of the library on the same machine.

    python benchmarks/serve.py IMAGES [--seconds 60] [--clients 32] [--requests 1000] [--parts memory,overload]

IMAGES is a folder of photos, which are scaled to 640x480 and encoded as JPEG. Prints, a line or more each:

- throughput: images per second of `model.stream` on the files with all cores, and of the server with so many clients,
  in turns; their ratio. Then the same per second of processor time, that of the server and its workers: which
  other processes do not change much.
- latency: seconds of one request alone; the 95th percentile at 80 % of the server's throughput, with random arrivals.
- memory: that of the server and its workers after each tenth of the requests.
- overload: answers by status, from 4 times as many clients as the queue takes, and the memory after each tenth of it.
- worker: answers by status while a worker is killed under load.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import httpx
import numpy as np

import cairn

QUEUE, TURNS = 64, 5
PARTS = ("throughput", "latency", "memory", "overload", "worker")


@dataclass(frozen=True)
class Load:
    """What is sent, and where. Requests are made ready before, because clients use the same cores as the server."""

    url: str
    model: str
    images: list[bytes]

    @cached_property
    def requests(self) -> list[bytes]:
        address = f"{self.url}/v1/detect"
        with httpx.Client(params={"model": self.model}) as client:
            made = [client.build_request("POST", address, files={"image": ("a.jpg", image)}) for image in self.images]
        return [
            b"".join(
                [
                    f"POST {each.url.raw_path.decode()} HTTP/1.1\r\n".encode(),
                    *(name + b": " + value + b"\r\n" for name, value in each.headers.raw),
                    b"\r\n",
                    each.read(),
                ]
            )
            for each in made
        ]


class Connections:
    """Connections to the server that stay open."""

    def __init__(self, url: str) -> None:
        self._host, self._port = httpx.URL(url).host, httpx.URL(url).port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _, writer in self._free:
            writer.close()

    async def post(self, request: bytes) -> int | str:
        """Returns the status of the answer, or the name of the error where there is none."""
        writer = None
        try:
            reader, writer = await self._connection()
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        except (OSError, EOFError) as error:
            if writer is not None:
                writer.close()
            return type(error).__name__
        if b"connection: close" in head:
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(head.split(maxsplit=2)[1])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():  # the server closes connections that rest
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)


def encoded(folder: Path, number: int = 32) -> list[bytes]:
    """Returns photos of 640x480 pixels as JPEG."""
    images = [cv2.imread(str(path)) for path in sorted(folder.rglob("*.jpg"))[:number]]
    return [cv2.imencode(".jpg", cv2.resize(image, (640, 480)), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            for image in images]  # fmt: skip


def library(name: str, folder: Path, seconds: float) -> np.ndarray:
    """Returns images per second of the library, from files to poses, with all cores; and per processor time."""
    from cairn.inference.stream import share_cores

    model = cairn.load(name, threads=share_cores(0)[1])
    list(model.stream(folder))
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        count += sum(1 for _ in model.stream(folder))
    return count / np.array([time.perf_counter() - began, time.process_time() - used])


async def closed_loop(load: Load, clients: int, end) -> tuple[Counter[int | str], float]:
    """Each client sends its next request after the answer to the last one."""
    statuses: Counter[int | str] = Counter()
    async with Connections(load.url) as server:
        began = time.perf_counter()

        async def one(start: int) -> None:
            at = start
            while not end(statuses, time.perf_counter() - began):
                statuses[await server.post(load.requests[at % len(load.requests)])] += 1
                at += 1

        await asyncio.gather(*(one(i) for i in range(clients)))
        return statuses, time.perf_counter() - began


async def open_loop(load: Load, rate: float, seconds: float) -> list[float]:
    """Requests at random times, whatever the answers; returns the seconds of each."""
    times: list[float] = []
    chance = random.Random(0)
    async with Connections(load.url) as server:

        async def one(request: bytes) -> None:
            began = time.perf_counter()
            assert await server.post(request) == 200
            times.append(time.perf_counter() - began)

        tasks, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            tasks.append(asyncio.create_task(one(chance.choice(load.requests))))
            await asyncio.sleep(chance.expovariate(rate))
        await asyncio.gather(*tasks)
    return times


async def alone(load: Load) -> list[float]:
    async with Connections(load.url) as server:
        times = []
        for request in load.requests:
            began = time.perf_counter()
            await server.post(request)
            times.append(time.perf_counter() - began)
    return times


def processes(root: int) -> list[int]:
    """Returns a process and its children."""
    children = Path(f"/proc/{root}/task/{root}/children").read_text(encoding="ascii").split()
    return [root, *map(int, children)]


def processor_time(root: int) -> float:
    """Returns the seconds of processor time of the server and its workers."""
    fields = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split() for pid in processes(root)]
    return sum(int(each[13]) + int(each[14]) for each in fields) / os.sysconf("SC_CLK_TCK")


def memory(root: int) -> list[float]:
    """Returns the resident MB of the server and of its workers."""
    found = []
    for pid in processes(root):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        found.append(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")))
    return [round(each) for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--model", default="person")
    parser.add_argument("--port", type=int, default=8791)
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure, by commas: %(default)s")
    options = parser.parse_args()
    options.parts = options.parts.split(",")
    if set(options.parts) - set(PARTS):
        parser.error(f"--parts takes {', '.join(PARTS)}")
    load = Load(f"http://127.0.0.1:{options.port}", options.model, encoded(options.images))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for i, image in enumerate(load.images):
            (photos / f"{i:03d}.jpg").write_bytes(image)
        command = [sys.executable, "-m", "cairn", "serve", "--port", str(options.port), "--data", f"{folder}/data"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while not ready(load.url):
                time.sleep(0.2)
            measure(load, photos, server.pid, options)
        finally:
            server.terminate()
            server.wait()


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").json().get("workers") == len(os.sched_getaffinity(0))
    except httpx.HTTPError:
        return False


def measure(load: Load, photos: Path, pid: int, options: argparse.Namespace) -> None:
    asyncio.run(closed_loop(load, 4, lambda found, seconds: seconds > 5))  # the models are loaded
    rate = 0.0
    if {"throughput", "latency"} & set(options.parts):
        rate = throughput(load, photos, pid, options)
    if "latency" in options.parts:
        latency(load, 0.8 * rate, options.seconds)
    if "memory" in options.parts:
        requests(load, pid, options)
    if "overload" in options.parts:
        overload(load, pid, options.seconds)
    if "worker" in options.parts:
        answers = asyncio.run(killed(load, pid, options.clients))
        print(f"worker: {dict(answers)}, then {httpx.get(f'{load.url}/ready').json()}", flush=True)


def throughput(load: Load, photos: Path, pid: int, options: argparse.Namespace) -> float:
    """Returns the requests per second of the server."""
    rates = []
    for turn in range(TURNS):
        own, used = library(load.model, photos, options.seconds / TURNS / 2), processor_time(pid)
        found, seconds = asyncio.run(
            closed_loop(load, options.clients, lambda _, seconds: seconds > options.seconds / TURNS / 2)
        )
        assert set(found) == {200}, found
        served = found[200] / np.array([seconds, processor_time(pid) - used])
        rates.append((own, served))
        print(f"throughput {turn + 1}: library {own.round(2)}, server {served.round(2)}", flush=True)
    ratios = np.median([served / own for own, served in rates], axis=0)
    print(f"throughput: ratio {ratios[0]:.2f} by the clock, {ratios[1]:.2f} by processor time", flush=True)
    return float(np.median([served[0] for _, served in rates]))


def latency(load: Load, rate: float, seconds: float) -> None:
    service = float(np.median(asyncio.run(alone(load))))
    times = asyncio.run(open_loop(load, rate, seconds))
    p50, p95 = np.percentile(times, [50, 95])
    print(f"latency: alone {service:.3f} s; at 80 % load p50 {p50:.3f} s, p95 {p95:.3f} s, {p95 / service:.1f} times, "
          f"{len(times)} requests", flush=True)  # fmt: skip


def requests(load: Load, pid: int, options: argparse.Namespace) -> None:
    print(f"memory: before: {memory(pid)} MB", flush=True)
    share = options.requests // 10
    for done in range(1, 11):
        found, _ = asyncio.run(closed_loop(load, options.clients, lambda found, _: found.total() >= share))
        print(f"memory: {done * share} requests: {memory(pid)} MB, {dict(found)}", flush=True)


def overload(load: Load, pid: int, seconds: float) -> None:
    answers: Counter[int | str] = Counter()
    for tenth in range(1, 11):
        found, _ = asyncio.run(closed_loop(load, 4 * QUEUE, lambda _, passed: passed > seconds / 10))
        answers += found
        print(f"overload: {tenth * seconds / 10:.0f} s: {dict(answers)}, {memory(pid)} MB", flush=True)


async def killed(load: Load, pid: int, clients: int) -> Counter[int | str]:
    task = asyncio.create_task(closed_loop(load, clients, lambda _, seconds: seconds > 15))
    await asyncio.sleep(5)
    os.kill(processes(pid)[1], signal.SIGKILL)
    return (await task)[0]


if __name__ == "__main__":
    main()
