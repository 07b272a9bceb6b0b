"""Objects whose labels are hardly possible, the least plausible first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cairn.datasets.checks import outliers
from cairn.datasets.checks.swaps import swaps
from cairn.datasets.labels import Labels


@dataclass(frozen=True)
class Suspect:
    """An object by its set, the image's index in that, and its row there.

    kind   "swap": left and right are mistaken for each other; "outlier": a joint is far out of place
    joints those to look at
    score  evidence of a swap (logarithm of odds), or spreads of a joint out of place: greater is surer
    """

    kind: Literal["swap", "outlier"]
    set: str
    image: int
    row: int
    file: str
    joints: tuple[str, ...]
    score: float
    why: str

    @property
    def caption(self) -> str:
        return f"{self.file}{f' (object {self.row + 1})' if self.row else ''}: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "set": self.set,
            "file": self.file,
            "object": self.row,
            "joints": list(self.joints),
            "score": round(self.score, 2),
            "why": self.why,
        }


def suspects(sets: Mapping[str, Labels]) -> list[Suspect]:
    """Of all sets, in the joints of the first, judged together: swaps, then outliers, each the surest first."""
    skeleton = next(iter(sets.values())).skeleton
    places: list[tuple[str, int, int]] = []
    parts = [np.zeros((0, len(skeleton), 2), np.float32)]
    for name, labels in sets.items():
        for i, image in enumerate(labels):
            rows = np.flatnonzero(image.annotation.labeled)
            places += [(name, i, int(row)) for row in rows]
            parts.append(image.annotation.keypoints[rows])
    keypoints = np.concatenate(parts)

    def suspect(kind: Literal["swap", "outlier"], index: int, joints: list[int], score: float, why: str) -> Suspect:
        name, image, row = places[index]
        named = tuple(skeleton.joints[joint] for joint in joints)
        return Suspect(kind, name, image, row, sets[name].images[image].path.name, named, score, why)

    found = []
    for swap in swaps(keypoints, skeleton):
        ends = [skeleton.flip_pairs[pair] for pair in swap.pairs]
        whole = len(ends) == len(skeleton.flip_pairs) > 1
        pairs = ", ".join(f"{skeleton.joints[a]} and {skeleton.joints[b]}" for a, b in ends)
        why = "all of left and right" if whole else pairs
        joints = [joint for pair in ends for joint in pair]
        found.append(suspect("swap", swap.row, joints, swap.evidence, f"swap {why}? (evidence {swap.evidence:.1f})"))
    measured = outliers.spreads(keypoints)
    score = np.nan_to_num(measured.score, nan=-np.inf)
    worst, highest = score.argmax(axis=1), score.max(axis=1, initial=-np.inf)
    for index in np.argsort(-highest, kind="stable").tolist():
        if highest[index] < outliers.SUSPECT:
            break
        joint = int(worst[index])
        partner, times = int(measured.partner[index, joint]), float(measured.times[index, joint])
        why = f"{skeleton.joints[joint]} is {times:.1f} times as far from {skeleton.joints[partner]} as is usual"
        found.append(suspect("outlier", index, [joint], float(highest[index]), why))
    return found
