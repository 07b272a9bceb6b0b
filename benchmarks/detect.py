"""Latency of the command line: help, one image from the shell to the written result, and the steps in between.

    python benchmarks/detect.py

Each number is the median of several runs: wall time, and the peak memory of the process.
"""

from __future__ import annotations

import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

import cairn
from cairn.media.images import read_image, write_image
from steps import average, resize, run_network

IMAGE = Path(__file__).parents[1] / "examples" / "portraits.jpg"


def shell(*arguments: str, runs: int = 5) -> tuple[float, float]:
    """Returns the median seconds of `cairn ARGUMENTS`, and its peak memory in megabytes."""
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cairn", *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def milliseconds(step, runs: int = 15) -> float:  # type: ignore[no-untyped-def]
    """Returns the median milliseconds of a call."""
    step()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def main() -> None:
    cv2.setNumThreads(1)
    seconds, _ = shell("--help")
    print(f"cairn --help                       {seconds:6.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        image = cv2.resize(read_image(IMAGE), (640, 480))
        write_image(photo, image)
        seconds, megabytes = shell("detect", str(photo), "--out", folder)
        print(f"cairn detect, one 640×480 photo    {seconds:6.2f} s   {megabytes:4.0f} MB")

        model = cairn.load("person", threads=1, refine=False)
        inputs, affines = resize(model, image)
        scales = run_network(model, inputs)
        maps = average(scales, affines)
        poses = model(image)
        sizes = ", ".join(f"{images.shape[3]}×{images.shape[2]}" for images in inputs)
        print(f"\nperson --no-refine on one core, input {sizes}, {len(poses)} people     ms")
        for name, step in (
            ("read", lambda: read_image(photo)),
            ("resize", lambda: resize(model, image)),
            ("network", lambda: run_network(model, inputs)),
            ("average", lambda: average(scales, affines)),
            ("decode", lambda: model.decode(maps)),
            ("draw", lambda: cairn.draw(image, poses)),
            ("write", lambda: write_image(Path(folder) / "drawn.jpg", image)),
        ):
            print(f"  {name:10s} {milliseconds(step):30.1f}")
        print(f"  {'total':10s} {milliseconds(lambda: model(str(photo))):30.1f}")
        print("\ninput size:                      ms per image, total")
        for longest in (256, 320, 384, 448, 512, 640):
            other = cairn.load("person", threads=1, size=longest, refine=False)
            print(f"  {longest:4d} {milliseconds(lambda other=other: other(image)):38.1f}")  # type: ignore[misc]


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
