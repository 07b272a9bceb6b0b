"""Accuracy and speed by input resolution and test-time scales: AP on labels, and milliseconds per image.

    python benchmarks/scales.py .data/coco-people/val.json [--limit 50] [--model person]

COCO's OKS AP over all sizes, of medium and of large people. Times are processor times on one core, reading included:
the median of the first images.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import time
from dataclasses import replace
from pathlib import Path

import cv2

import cairn
from cairn import Resolution
from cairn.datasets.formats import ReadOptions
from cairn.datasets.reading import read_labels
from cairn.evaluation.evaluate import evaluate
from cairn.inference.predictor import BottomUpPredictor

TIMED = 40  # images

SETTINGS = {
    "default": Resolution(),
    "--scales 1": Resolution(scales=1),
    "--size 320": Resolution(longest=320),
    "--size 512": Resolution(longest=512),
    "--size 640": Resolution(longest=640),
    "--size 800": Resolution(longest=800),
    "--net-resolution -1x352": Resolution(height=352),
    "--net-resolution -1x480": Resolution(height=480),
    "--size 512 --scales 3": Resolution(longest=512, scales=3),
    "--size 640 --scales 3": Resolution(longest=640, scales=3),
    "--size 640 --scales 4 --scale-gap 0.2": Resolution(longest=640, scales=4, scale_gap=0.2),
}


def milliseconds(model: BottomUpPredictor, images: list[Path]) -> float:
    times = []
    for image in images:
        started = time.process_time()
        model(image)
        times.append(time.process_time() - started)
    return 1000 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--model", default="person")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    skeleton = cairn.load(given.model, threads=1).spec.skeleton
    labels = read_labels(given.labels, ReadOptions(skeleton=skeleton))
    labels = replace(labels, images=labels.images[: given.limit])
    print(f"{given.model} on {len(labels)} images\n")
    print(f"{'setting':40s}{'AP':>7s}{'APM':>7s}{'APL':>7s}{'AR':>7s}{'ms':>8s}")
    for name, resolution in SETTINGS.items():
        model = cairn.load(given.model, threads=1, size=resolution, refine=False)
        result = evaluate(model, labels)
        assert result.oks is not None
        metrics = "".join(f"{result.oks[key]:7.1f}" for key in ("AP", "APM", "APL", "AR"))
        time_taken = milliseconds(model, [image.path for image in labels.images[:TIMED]])
        print(f"{name:40s}{metrics}{time_taken:8.0f}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
