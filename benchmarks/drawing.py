"""Speed of drawing by number of people: milliseconds on one core, the median of several runs.

python benchmarks/drawing.py
"""

from __future__ import annotations

import signal
import statistics
import time

import cv2
import numpy as np

import cairn
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton

SIZES = ((480, 640), (1080, 1920), (3000, 4000))
PEOPLE = (1, 5, 20, 50)
RUNS = 15


def crowd(people: int, size: tuple[int, int], seed: int = 0) -> Poses:
    """Returns people of a third of the image's height, spread over it, with joints at random."""
    rng = np.random.default_rng(seed)
    skeleton = load_skeleton("body25")
    shape = rng.uniform(-0.5, 0.5, (len(skeleton), 2)) * (size[0] / 8, size[0] / 3)
    middles = rng.uniform(0, 1, (people, 1, 2)) * size[::-1]
    points = (middles + shape).astype(np.float32)
    return Poses(points, np.full(points.shape[:2], 0.8, np.float32), rng.random(people).astype(np.float32), skeleton)


def milliseconds(image: np.ndarray, poses: Poses) -> float:
    times = []
    for _ in range(RUNS + 1):
        started = time.process_time()
        cairn.draw(image, poses)
        times.append(time.process_time() - started)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    cv2.setNumThreads(1)
    print("people  " + "".join(f"{width}×{height}".rjust(12) for height, width in SIZES) + "   ms per image")
    for people in PEOPLE:
        times = [milliseconds(np.full((*size, 3), 128, np.uint8), crowd(people, size)) for size in SIZES]
        print(f"{people:6d}  " + "".join(f"{value:12.1f}" for value in times))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
