"""Annotations that are probably wrong, the least plausible first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cairn.datasets.checks import outliers
from cairn.datasets.checks.swaps import swaps
from cairn.datasets.labels import Labels

Kind = Literal["swap", "outlier"]


@dataclass(frozen=True)
class SuspiciousAnnotation:
    """An annotated instance that is probably wrong.

    Attributes:
        kind: "swap": left and right are exchanged; "outlier": a keypoint is far out of place.
        set: Name of its set.
        image: Index of its image in the set.
        row: Its row in the annotation of the image.
        file: File name of its image.
        joints: The joints in question.
        score: Evidence of a swap (log odds), or distance of an outlier in spreads; greater is less plausible.
        reason: The suspicion in words.
    """

    kind: Kind
    set: str
    image: int
    row: int
    file: str
    joints: tuple[str, ...]
    score: float
    reason: str

    @property
    def caption(self) -> str:
        """The file and the reason in one line."""
        return f"{self.file}{f' (instance {self.row + 1})' if self.row else ''}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {
            "kind": self.kind,
            "set": self.set,
            "file": self.file,
            "instance": self.row,
            "joints": list(self.joints),
            "score": round(self.score, 2),
            "reason": self.reason,
        }


def suspicious_annotations(
    sets: Mapping[str, Labels], progress: Callable[[int, int], None] | None = None
) -> list[SuspiciousAnnotation]:
    """Returns the suspicious annotations of all sets, judged together: swaps, then outliers, by decreasing score.

    Args:
        sets: Labels by name, in the joints of the first.
        progress: Called with the number of steps done, and their total.
    """
    skeleton = next(iter(sets.values())).skeleton
    names, tables = list(sets), [labels.instances[labels.instances.annotation.labeled] for labels in sets.values()]
    keypoints = np.concatenate([table.annotation.keypoints for table in tables])
    starts = np.cumsum([0, *map(len, tables)])

    def suspicious(kind: Kind, index: int, joints: list[int], score: float, reason: str) -> SuspiciousAnnotation:
        number = int(np.searchsorted(starts, index, side="right")) - 1
        name, place = names[number], index - starts[number]
        image, row = int(tables[number].images[place]), int(tables[number].rows[place])
        marked = tuple(skeleton.joints[joint] for joint in joints)
        return SuspiciousAnnotation(kind, name, image, row, sets[name].images[image].path.name, marked, score, reason)

    result = []
    for swap in swaps(keypoints, skeleton, progress):
        pairs = [skeleton.flip_pairs[pair] for pair in swap.pairs]
        if len(pairs) == len(skeleton.flip_pairs) > 1:
            which = "all left and right joints"
        else:
            which = ", ".join(f"{skeleton.joints[a]} and {skeleton.joints[b]}" for a, b in pairs)
        joints = [joint for pair in pairs for joint in pair]
        reason = f"{which} may be swapped (evidence {swap.evidence:.1f})"
        result.append(suspicious("swap", swap.row, joints, swap.evidence, reason))
    measured = outliers.spreads(keypoints)
    score = np.nan_to_num(measured.score, nan=-np.inf)
    worst, highest = score.argmax(axis=1), score.max(axis=1, initial=-np.inf)
    for index in np.argsort(-highest, kind="stable").tolist():
        if highest[index] < outliers.MIN_SPREADS:
            break
        joint = int(worst[index])
        partner, factor = int(measured.partner[index, joint]), float(measured.factor[index, joint])
        reason = f"{skeleton.joints[joint]} is {factor:.1f} times its typical distance from {skeleton.joints[partner]}"
        result.append(suspicious("outlier", index, [joint], float(highest[index]), reason))
    return result
