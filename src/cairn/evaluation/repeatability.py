"""Repeatability of detectors on pairs of scans, beside random and farthest points, at equal numbers of keypoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.evaluation.metrics.repeatability import PairRepeatability, covered, repeatability
from cairn.pointclouds.io.poses import ScanPair
from cairn.pointclouds.neighbors import resolution
from cairn.pointclouds.rigid import inverse
from cairn.pointclouds.sampling import farthest_points, random_points
from cairn.structures.cloud import Cloud, CloudKeypoints, move

THRESHOLDS = (1, 2, 3, 4, 5, 6, 8, 10)
"""Distances within which a keypoint is repeated, in multiples of the resolution."""

COVERED = 2.0
"""Distance to the other scan within which a keypoint is in the overlap, in multiples of the resolution."""

MIN_OVERLAP = 0.3
"""Pairs of which a smaller share of both scans overlaps are not measured."""

SEEDS = 10
"""Draws of random points, which are averaged."""

BASELINES = ("random", "farthest")


@dataclass(frozen=True, eq=False)
class MeasuredPair:
    """A pair of scans.

    Attributes:
        first: File of one scan.
        second: File of the other.
        overlap: Mean share of the points of a scan that the other covers.
        num_keypoints: Numbers of keypoints in both scans, the same for all methods.
        methods: Counts by the name of the method; empty for a pair that overlaps too little.
    """

    first: Path
    second: Path
    overlap: float
    num_keypoints: tuple[int, int]
    methods: Mapping[str, PairRepeatability]


def measure_pairs(
    pairs: Sequence[ScanPair],
    read: Callable[[Path], Cloud],
    detectors: Mapping[str, Callable[[Cloud], CloudKeypoints]],
    num_keypoints: int | None = None,
    report: Callable[[int], None] | None = None,
) -> list[MeasuredPair]:
    """Measures detectors on pairs of scans.

    Args:
        pairs: The pairs, with their true motions.
        read: Reads a scan.
        detectors: Detectors by name.
        num_keypoints: Maximum number of keypoints of a scan. Default: as many as the detector that has fewest.
        report: Called with the number of scans and pairs done.
    """
    files = list(dict.fromkeys(path for pair in pairs for path in (pair.first, pair.second)))
    scans = {}
    for done, path in enumerate(files):
        scans[path] = _Scan.of(read(path), detectors, num_keypoints)
        if report:
            report(done + 1)
    measured = []
    for done, pair in enumerate(pairs, start=len(files)):
        measured.append(_measured(pair, scans[pair.first], scans[pair.second]))
        if report:
            report(done + 1)
    return measured


@dataclass(frozen=True, eq=False)
class _Scan:
    """A scan, its resolution, and draws of keypoints (K, 3) by the name of the method."""

    cloud: Cloud
    spacing: float
    draws: Mapping[str, list[NDArray[np.float64]]]
    count: int

    @classmethod
    def of(cls, cloud: Cloud, detectors: Mapping[str, Callable[[Cloud], CloudKeypoints]], limit: int | None) -> _Scan:
        found = {name: detect(cloud).points for name, detect in detectors.items()}
        count = min([len(points) for points in found.values()] + ([limit] if limit else []))
        draws = {name: [points[:count]] for name, points in found.items()}
        points = cloud.points
        draws["random"] = [points[random_points(points, count, seed)] for seed in range(SEEDS)]
        draws["farthest"] = [points[farthest_points(points, count)]]
        return cls(cloud, resolution(cloud), draws, count)


def _measured(pair: ScanPair, first: _Scan, second: _Scan) -> MeasuredPair:
    forward, backward = pair.transform, inverse(pair.transform)
    spacing = (first.spacing + second.spacing) / 2
    near = COVERED * spacing
    shares = (
        covered(first.cloud.points, forward, second.cloud.points, near).mean(),
        covered(second.cloud.points, backward, first.cloud.points, near).mean(),
    )
    overlap, counts = float(np.mean(shares)), (first.count, second.count)
    if overlap < MIN_OVERLAP:
        return MeasuredPair(pair.first, pair.second, overlap, counts, {})
    thresholds = [spacing * threshold for threshold in THRESHOLDS]
    methods = {}
    for name in first.draws:
        total = PairRepeatability(0, (0,) * len(thresholds))
        for a, b in zip(first.draws[name], second.draws[name], strict=True):
            inside = covered(a, forward, second.cloud.points, near), covered(b, backward, first.cloud.points, near)
            total += repeatability(move(forward, a), b, inside, thresholds)
        methods[name] = total
    return MeasuredPair(pair.first, pair.second, overlap, counts, methods)


def mean_shares(pairs: Sequence[MeasuredPair], method: str) -> NDArray[np.float64]:
    """Returns the mean repeatability (T,) of the measured pairs at each of `THRESHOLDS`."""
    shares = [pair.methods[method].shares for pair in pairs if pair.methods]
    return np.nanmean(shares, axis=0) if shares else np.full(len(THRESHOLDS), np.nan)
