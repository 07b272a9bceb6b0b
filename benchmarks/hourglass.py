"""Stacked Hourglass: training speed and memory, and speed of the bundled model.

    python benchmarks/hourglass.py [--stacks 1 2 8] [--features 256] [--size 256] [--batch 4] [--steps 2]

A training step is forward, loss on every stack, backward and RMSprop, on random images. The textbook loop is the same
network in PyTorch's default memory layout, with nn.MSELoss and a plain optimizer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

import cairn
from cairn.errors import CairnError
from cairn.inference.predictor import CROPS_AT_ONCE

JOINTS = 16


@dataclass(frozen=True)
class Case:
    stacks: int
    features: int
    size: int
    batch: int
    steps: int
    textbook: bool
    bf16: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, nargs="+", default=[1, 2, 8])
    for name, value in (("features", 256), ("size", 256), ("batch", 4), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    print(f"training, {given.features} features, {given.size}×{given.size}, batch {given.batch}: images/s (peak GB)")
    print("stacks   ours fp32      ours bf16      textbook fp32  textbook bf16")
    for stacks in given.stacks:
        row = f"{stacks:<6}"
        for textbook in (False, True):
            for bf16 in (False, True):
                case = Case(stacks, given.features, given.size, given.batch, given.steps, textbook, bf16)
                rate, peak = alone(train, case)
                row += f"{rate:8.2f} ({peak:.1f})"
        print(row, flush=True)
    print()
    detect()


def alone(function: Callable, case: Case) -> tuple[float, float]:
    """Returns the result of a function in a process of its own, so that memory is that of this case only."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, case).result()


def train(case: Case) -> tuple[float, float]:
    """Returns images per second, the best of the steps, and the peak memory of the process in GB."""
    import torch
    from torch import nn

    from cairn.methods.hourglass.losses import squared_error
    from cairn.methods.hourglass.model import Hourglass

    torch.manual_seed(0)
    network = Hourglass(joints=JOINTS, stacks=case.stacks, features=case.features)
    images = torch.rand(case.batch, 3, case.size, case.size) * 255
    targets = torch.rand(case.batch, JOINTS, case.size // 4, case.size // 4)
    weights = torch.ones(case.batch, JOINTS)
    if not case.textbook:
        network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=2.5e-4, alpha=0.99)
    mean_squares = nn.MSELoss()

    def step() -> float:
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=case.bf16):
            maps = network(images)
        if case.textbook:
            loss = sum(mean_squares(each.float(), targets) for each in maps)
        else:
            loss = squared_error(maps, targets, weights)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - started

    step()  # the first one allocates
    seconds = min(step() for _ in range(case.steps))
    return case.batch / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def detect() -> None:
    """Prints milliseconds per crop of the bundled model: the network alone, and from the image to the pose."""
    try:
        model = cairn.load("person-single", threads=1, refine=False)
    except CairnError as error:
        print(f"person-single: {error}")
        return
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (480, 640, 3), np.uint8)
    print(f"person-single, {model.size}×{model.size}, one thread: ms per crop")
    for count in (1, CROPS_AT_ONCE):
        crops = rng.uniform(0, 255, (count, 3, model.size, model.size)).astype(np.float32)
        boxes = np.column_stack([rng.uniform(0, 300, (count, 2)), rng.uniform(100, 200, (count, 2))])
        network, whole = milliseconds(lambda c=crops: model.network(c)), milliseconds(lambda b=boxes: model(image, b))
        print(f"batch {count:<2}  network {network / count:6.2f}   image to pose {whole / count:6.2f}")


def milliseconds(function: Callable[[], object], repetitions: int = 15) -> float:
    function()
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
