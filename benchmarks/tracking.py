"""How well objects keep their numbers, against noise and what is not found; what smoothing does; time an image.

    python benchmarks/tracking.py [--flies FOLDER]

Detections are the labels with noise. Each row is the mean over seeds; switches are the sum over them. "most" is
the IDF1 of a tracker without a mistake on what was found.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.tracking import measure_tracks
from cairn.structures.poses import Poses
from cairn.tracking.tracker import Tracker
from crossings import PEOPLE, SIZE, as_labels, detected, walkers

SEEDS = 5
SECONDS = 20
CASES = [  # noise, objects not found, joints not found, ghosts in each image
    (0.0, 0.0, 0.0, 0.0),
    (0.02, 0.0, 0.0, 0.0),
    (0.05, 0.0, 0.0, 0.0),
    (0.02, 0.1, 0.1, 0.0),
    (0.02, 0.3, 0.1, 0.0),
    (0.02, 0.1, 0.1, 0.3),
]

Video = tuple[Labels, Sequence[float | None]]
"""Labels and the times of their images."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--flies", type=Path, default=Path(".data/flies"), help="folder of train.json and val.json")
    folder = options.parse_args().flies
    for split in ("val", "train"):
        try:
            labels = read_labels(folder / f"{split}.json")
        except LabelError as error:
            print(f"no flies: {error}")
            continue
        report(f"flies, {split} ({len(labels)} images)", [(labels, [None] * len(labels))] * SEEDS)
    for people, rate in ((2, 25), (6, 25), (10, 25), (6, 8)):
        report(f"{people} people crossing, {SECONDS} s at about {rate} a second", street(people, rate))
    smoothing()
    for people in (2, 10, 50):
        print(f"{people:3} people: {speed(people):.2f} ms an image, smoothed {speed(people, smooth=1):.2f} ms")


def street(people: int, rate: float) -> list[Video]:
    """One video for each seed, of a frame rate that varies by a third."""
    videos: list[Video] = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(100 + seed)
        times = np.cumsum(rng.uniform(0.7, 1.3, int(SECONDS * rate)) / rate)
        videos.append((as_labels(*walkers(rng, people, times)), times.tolist()))
    return videos


def report(title: str, videos: list[Video]) -> None:
    print(f"{title}\n  noise  lost  joints  ghosts | switches   MOTA   IDF1   most")
    for case in CASES:
        figures, best = [], []
        for seed, (labels, times) in enumerate(videos):
            rng = np.random.default_rng(seed)
            finds = [detected(rng, image.annotation, labels.skeleton, *case) for image in labels]
            figures.append(measure_tracks(labels, tracked(finds, times)))
            found = sum(int((poses.scores == 1).sum()) for poses in finds)
            best.append(200 * found / (figures[-1].objects + found))
        switches, mota, idf1 = ([getattr(figure, name) for figure in figures] for name in ("switches", "mota", "idf1"))
        print(
            f"  {case[0]:5.2f} {case[1]:5.0%} {case[2]:7.0%} {case[3]:7.1f} | {sum(switches):8} "
            f"{np.mean(mota):6.1f} {np.mean(idf1):6.1f} {np.mean(best):6.1f}"
        )


def tracked(finds: Sequence[Poses], times: Sequence[float | None], smooth: float = 0.0) -> list[Poses]:
    tracker = Tracker(smooth=smooth)
    return [tracker(poses, moment) for poses, moment in zip(finds, times, strict=True)]


def smoothing() -> None:
    """Errors and trembling in percent of the root of the person's area; trembling is the error's change an image."""
    rng = np.random.default_rng(0)
    times = np.arange(SECONDS * 25) / 25
    bodies, seen = walkers(rng, 1, times, (SIZE[0], 100 * SIZE[1]))  # wide enough never to leave
    for title, still in (("standing", True), ("walking", False)):
        places = np.broadcast_to(bodies[:1], bodies.shape) if still else bodies
        labels = as_labels(places, np.ones_like(seen))
        finds = [detected(rng, image.annotation, PEOPLE, noise=0.02) for image in labels]
        size = np.sqrt(labels.images[0].annotation.areas[0])
        for strength in (0.0, 0.5, 1.0, 2.0):
            smooth = np.array([poses.keypoints[0] for poses in tracked(finds, times.tolist(), strength)])
            off = (smooth - places[:, 0])[25:] / size
            print(
                f"{title:9} smooth {strength:.1f}: error {100 * length(off):.1f}%, "
                f"trembling {100 * length(np.diff(off, axis=0)):.1f}%"
            )


def length(vectors: NDArray) -> float:
    """Root mean square."""
    return float(np.sqrt((vectors**2).sum(axis=-1).mean()))


def speed(people: int, smooth: float = 0.0) -> float:
    """Median milliseconds of an image."""
    rng = np.random.default_rng(0)
    times = np.arange(150) / 25
    labels = as_labels(*walkers(rng, people, times))
    finds = [detected(rng, p.annotation, PEOPLE, noise=0.02, lost=0.1, lost_joints=0.1) for p in labels]
    tracker = Tracker(smooth=smooth)
    return 1000 * float(np.median([elapsed(tracker, *each) for each in zip(finds, times.tolist(), strict=True)]))


def elapsed(action: Callable, *arguments: object) -> float:
    begun = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - begun


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
