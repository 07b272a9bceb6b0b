"""Repeatability of USIP beside ISS, random and farthest points on pairs of scans, and its processor time.

    python benchmarks/usip.py .data/clouds/bunny/bun.conf --model usip-objects --model runs/mine

Prints the mean share of repeated keypoints at 2, 4 and 6 times the resolution, at equal numbers of keypoints, for the
scans as they are stored and after random rotations; then the processor time on made surfaces of several sizes.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

import cairn
from cairn.api.load import model_path
from cairn.methods.usip.detector import CloudDetector
from cairn.structures.cloud import Cloud

SIZES = (10_000, 100_000, 1_000_000)


def surface(count: int) -> Cloud:
    """A bumpy sheet."""
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, count))
    return Cloud(np.stack([x, y, 0.1 * np.sin(9 * x) * np.cos(7 * y)], axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--num-keypoints", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--skip-time", action="store_true")
    args = parser.parse_args()
    for count in args.num_keypoints:
        report = cairn.evaluate(["iss", *args.model], repeatability=args.pairs, num_keypoints=count)
        print(f"{count} keypoints, {len(report.measured)} pairs: 2, 4, 6 x resolution")
        for row in report.table():
            print("  " + " ".join(f"{cell:>24}" for cell in row))
    if args.skip_time:
        return
    for model in args.model:
        detector = CloudDetector(model_path(model), threads=1)
        for size in SIZES:
            cloud = surface(size)
            start = time.process_time()
            found = detector(cloud)
            spent = time.process_time() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"{model}: {size:,} points, {len(found)} keypoints, {spent:.2f} s, peak so far {peak:.2f} GB")


if __name__ == "__main__":
    main()
