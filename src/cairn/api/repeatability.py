"""Repeatability of keypoints of point clouds: `cairn.evaluate(repeatability=...)`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.keypoints import DetectorOptions, as_cloud, detector_of
from cairn.api.progress import Progress, counter
from cairn.errors import CairnError, CloudError, OutputError
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.evaluation.repeatability import MeasuredPair

FILE = "repeatability.json"
SHOWN = (2, 4, 6)
"""Thresholds of the table, in multiples of the resolution."""


@dataclass(frozen=True, eq=False, repr=False)
class Repeatability:
    """What `cairn.evaluate` returns for pairs of scans.

    Attributes:
        pairs: The pairs with the counts of each method.
        methods: Names of the methods, the baselines random and farthest last.
        thresholds: Multiples of the resolution at which repeatability is measured.
        means: Mean repeatability over the pairs, by method, at each threshold.
    """

    pairs: tuple[MeasuredPair, ...]
    methods: tuple[str, ...]
    thresholds: tuple[float, ...]
    means: dict[str, tuple[float, ...]]

    def __repr__(self) -> str:
        best = ", ".join(f"{name} {self.at(name, 4):.1%}" for name in self.methods)
        return f"Repeatability({counted(len(self.measured), 'pair')}, at 4 x resolution: {best})"

    @property
    def measured(self) -> tuple[MeasuredPair, ...]:
        """The pairs that overlap enough to be measured."""
        return tuple(pair for pair in self.pairs if pair.methods)

    def at(self, method: str, threshold: float) -> float:
        """Returns the mean repeatability of a method at a threshold."""
        return self.means[method][self.thresholds.index(threshold)]

    def table(self) -> list[list[str]]:
        """Returns rows: the method, and its repeatability at 2, 4 and 6 times the resolution."""
        return [[name, *(f"{self.at(name, each):.1%}" for each in SHOWN)] for name in self.methods]

    def save(self, out: str | Path) -> Path:
        """Writes repeatability.json into a folder, and returns the file.

        Raises:
            OutputError: The file exists, or cannot be written.
        """
        from cairn.files import atomic_write

        path = Path(out) / FILE
        if path.exists():
            raise OutputError(f"{path} exists: give another folder with --out")
        pairs = [
            {
                "a": str(pair.first),
                "b": str(pair.second),
                "overlap": pair.overlap,
                "num_keypoints": list(pair.num_keypoints),
                "repeatability": {name: list(each.shares) for name, each in pair.methods.items()},
            }
            for pair in self.pairs
        ]
        content = {"thresholds": list(self.thresholds), "mean": {k: list(v) for k, v in self.means.items()}}
        with atomic_write(path) as partial:
            partial.write_text(json.dumps({**content, "pairs": pairs}, indent=1), encoding="utf-8")
        return path


def measure_repeatability(
    methods: Sequence[Any],
    pairs: str | Path,
    num_keypoints: int | None,
    out: str | Path | None,
    progress: Progress | None,
) -> Repeatability:
    """Measures methods on pairs of scans.

    Args:
        methods: Names of methods, or models of them.
        pairs: File of the pairs.
        num_keypoints: Maximum number of keypoints of a scan.
        out: Folder for repeatability.json; None writes none.
        progress: Called with the task, the number of scans and pairs done, and their total.

    Raises:
        CloudError: The pairs or the scans cannot be used, or no pair overlaps.
    """
    from cairn.evaluation.repeatability import BASELINES, MIN_OVERLAP, THRESHOLDS, mean_shares, measure_pairs
    from cairn.pointclouds.io.poses import read_pairs

    if num_keypoints is not None and num_keypoints < 1:
        raise CairnError(f"num-keypoints must be at least 1, got {num_keypoints}")
    names = [str(each) for each in methods] or ["iss"]
    detectors = {name: detector_of(_options(name, num_keypoints)) for name in dict.fromkeys(names)}
    read = read_pairs(pairs)
    total = len(read) + len({path for pair in read for path in (pair.first, pair.second)})
    measured = measure_pairs(read, as_cloud, detectors, num_keypoints, counter(progress, "repeatability", total))
    if not any(pair.methods for pair in measured):
        raise CloudError(f"{pairs}: no pair of scans overlaps by {MIN_OVERLAP:.0%}: check the units and the transforms")
    means = {name: tuple(map(float, mean_shares(measured, name))) for name in (*detectors, *BASELINES)}
    result = Repeatability(tuple(measured), tuple(means), tuple(map(float, THRESHOLDS)), means)
    if out is not None:
        result.save(out)
    return result


def _options(name: str, num_keypoints: int | None) -> DetectorOptions:
    """Returns the options of a method, or of a model."""
    from cairn.api.keypoints import METHODS

    if name in METHODS:
        return DetectorOptions(name, num_keypoints=num_keypoints)
    return DetectorOptions(model=name, num_keypoints=num_keypoints)
