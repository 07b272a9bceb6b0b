"""Tracking accuracy without images by noise and missed detections, effect of smoothing, and time per frame.

    python benchmarks/tracking.py [--flies FOLDER]

Detections are labels with added errors. Each row is the mean over seeds; ID switches are the sum over them. "bound" is
the IDF1 of a tracker that assigns every detection correctly.
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
CASES = [  # noise, share of missed instances, share of missed joints, false positives per image
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
            print(f"skipped: {error}")
            continue
        report(f"flies, {split} ({len(labels)} images)", [(labels, [None] * len(labels))] * SEEDS)
    for people, rate in ((2, 25), (6, 25), (10, 25), (6, 8)):
        report(f"{people} people crossing, {SECONDS} s at about {rate} frames per second", street(people, rate))
    smoothing()
    for people in (2, 10, 50):
        print(f"{people:3} people: {speed(people):.2f} ms per frame, smoothed {speed(people, smooth=1):.2f} ms")


def street(people: int, rate: float) -> list[Video]:
    """Returns one video per seed, with a frame rate that varies by a third."""
    videos: list[Video] = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(100 + seed)
        times = np.cumsum(rng.uniform(0.7, 1.3, int(SECONDS * rate)) / rate)
        videos.append((as_labels(*walkers(rng, people, times)), times.tolist()))
    return videos


def report(title: str, videos: list[Video]) -> None:
    print(f"{title}\n  noise  lost  joints   false | switches   MOTA   IDF1  bound")
    for case in CASES:
        metrics, best = [], []
        for seed, (labels, times) in enumerate(videos):
            rng = np.random.default_rng(seed)
            detections = [detected(rng, image.annotation, labels.skeleton, *case) for image in labels]
            metrics.append(measure_tracks(labels, tracked(detections, times)))
            found = sum(int((poses.scores == 1).sum()) for poses in detections)
            best.append(200 * found / (metrics[-1].instances + found))
        switches, mota, idf1 = ([getattr(each, name) for each in metrics] for name in ("switches", "mota", "idf1"))
        print(
            f"  {case[0]:5.2f} {case[1]:5.0%} {case[2]:7.0%} {case[3]:7.1f} | {sum(switches):8} "
            f"{np.mean(mota):6.1f} {np.mean(idf1):6.1f} {np.mean(best):6.1f}"
        )


def tracked(detections: Sequence[Poses], times: Sequence[float | None], smooth: float = 0.0) -> list[Poses]:
    tracker = Tracker(smooth=smooth)
    return [tracker(poses, moment) for poses, moment in zip(detections, times, strict=True)]


def smoothing() -> None:
    """Prints error and jitter in percent of the square root of the area; jitter is the error's change per frame."""
    rng = np.random.default_rng(0)
    times = np.arange(SECONDS * 25) / 25
    bodies, seen = walkers(rng, 1, times, (SIZE[0], 100 * SIZE[1]))  # wide enough that no person leaves
    for title, still in (("standing", True), ("walking", False)):
        places = np.broadcast_to(bodies[:1], bodies.shape) if still else bodies
        labels = as_labels(places, np.ones_like(seen))
        detections = [detected(rng, image.annotation, PEOPLE, noise=0.02) for image in labels]
        size = np.sqrt(labels.images[0].annotation.areas[0])
        for strength in (0.0, 0.5, 1.0, 2.0):
            smooth = np.array([poses.keypoints[0] for poses in tracked(detections, times.tolist(), strength)])
            off = (smooth - places[:, 0])[25:] / size
            print(
                f"{title:9} smooth {strength:.1f}: error {100 * length(off):.1f}%, "
                f"jitter {100 * length(np.diff(off, axis=0)):.1f}%"
            )


def length(vectors: NDArray) -> float:
    """Root mean square."""
    return float(np.sqrt((vectors**2).sum(axis=-1).mean()))


def speed(people: int, smooth: float = 0.0) -> float:
    """Returns the median milliseconds per frame, of processor time."""
    rng = np.random.default_rng(0)
    times = np.arange(150) / 25
    labels = as_labels(*walkers(rng, people, times))
    detections = [detected(rng, p.annotation, PEOPLE, noise=0.02, lost=0.1, lost_joints=0.1) for p in labels]
    tracker = Tracker(smooth=smooth)
    return 1000 * float(np.median([elapsed(tracker, *each) for each in zip(detections, times.tolist(), strict=True)]))


def elapsed(action: Callable, *arguments: object) -> float:
    begun = time.process_time()
    action(*arguments)
    return time.process_time() - begun


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
