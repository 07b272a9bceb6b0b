"""Heatmaps and PAFs -> poses (TPAMI sections 3.3 and 3.4), at the resolution of the network's output.

| step | function |
|---|---|
| candidates of each part, refined to a fraction of a cell | `find_peaks` |
| equation 11: the line integral of a PAF between two candidates | `connect` |
| equations 12 to 14: the matching of each limb's candidates | `match_greedy`, `match_exchange`, `match_hungarian` |
| people from limbs that share a part | `assemble` |
| the class of each instance (not in the papers) | `classify` |

The released code upsamples all maps eight times before non-maximum suppression. Here a parabola through the logarithms
of three cells gives the exact top of a Gaussian, for 1/64 of the work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, SkeletonError
from cairn.inference.crop_decoder import decode_crop as decode_one
from cairn.ops.grouping import Connections, Order, assemble, connect, match_exchange, match_greedy, match_hungarian
from cairn.ops.heatmaps import Peaks, Refinement, find_peaks, values_at
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

Matching = Literal["exchange", "greedy", "hungarian"]

MATCHINGS = {"exchange": match_exchange, "greedy": match_greedy, "hungarian": match_hungarian}


@dataclass(frozen=True)
class Thresholds:
    """Thresholds for parts, limbs and people, as `decode` documents them.

    Attributes:
        peak: `peak_threshold`.
        sample: `sample_threshold`.
        share: `sample_share`.
        parts: `min_parts`.
        score: `min_score`.
        free_length: `free_length`.
    """

    peak: float
    sample: float
    share: float
    parts: int
    score: float
    free_length: float = math.inf


MAXIMIZE_POSITIVES = Thresholds(peak=0.02, sample=0.01, share=0.75, parts=2, score=0.05)
"""Thresholds of the released option "maximize positives", used by `second_try`."""


def decode(
    heatmaps: NDArray[Any],
    pafs: NDArray[Any],
    skeleton: Skeleton,
    *,
    peak_threshold: float = 0.05,
    sample_threshold: float = 0.05,
    sample_share: float = 0.95,
    min_parts: int = 3,
    min_score: float = 0.4,
    free_length: float = math.inf,
    ignore_keypoints: str = "",
    matching: Matching = "exchange",
    order: Order = "global",
    second_try: bool = True,
    max_peaks: int = 127,
) -> Poses:
    """Decodes heatmaps and PAFs into poses in heatmap cells, the highest score first.

    The default thresholds are those of the released code. The score of a person is the sum over its parts and limbs,
    divided by the number of both in the skeleton. A joint without limbs is a person of its own.

    Args:
        heatmaps: (K or K + 1, h, w), background last.
        pafs: (2L, h, w).
        skeleton: Joints and limbs.
        peak_threshold: Minimum height of a part's peak.
        sample_threshold: Minimum of the PAF along the limb, at a sample of the line between two parts.
        sample_share: Share of its samples above that minimum that a limb must exceed.
        min_parts: Minimum number of parts of a person; of a component of the skeleton with fewer, all.
        min_score: Minimum score of a person per detected part.
        free_length: Length, in heights of the maps, above which a limb loses score: free_length / length - 1 is
            added, as in CVPR's release with 0.5.
        ignore_keypoints: Joints, separated by spaces, that do not count for `min_parts`, such as the feet of BODY_25.
        matching: Matching of each limb's candidates: "greedy" (decreasing confidence), "exchange" (then two limbs
            replace those in their way where they are worth more) or "hungarian" (maximum sum).
        order: Order in which limbs are assembled: "global" or "limb", as in `cairn.ops.grouping.assemble`.
        second_try: Whether an image without detections is decoded again with the thresholds of "maximize positives".
        max_peaks: Maximum number of candidates per joint.

    Raises:
        SkeletonError: The maps do not fit the skeleton, or it lacks a joint of `ignore_keypoints`.
        CairnError: The matching or the order is unknown.
    """
    _check(heatmaps, pafs, skeleton)
    if matching not in MATCHINGS or order not in ("global", "limb"):
        raise CairnError(
            "matching must be exchange, greedy or hungarian and order global or limb, "
            f"got matching={matching}, order={order}"
        )
    maps = heatmaps[: len(skeleton)]
    counted = np.ones(len(skeleton), dtype=bool)
    counted[[skeleton.index(joint) for joint in ignore_keypoints.split()]] = False
    thresholds = Thresholds(peak_threshold, sample_threshold, sample_share, min_parts, min_score, free_length)
    poses = _decode(maps, pafs, skeleton, thresholds, counted, matching, order, max_peaks)
    if second_try and not len(poses):
        lower = Thresholds(
            *(min(a, b) for a, b in zip(vars(thresholds).values(), vars(MAXIMIZE_POSITIVES).values(), strict=True))
        )
        poses = _decode(maps, pafs, skeleton, lower, counted, matching, order, max_peaks)
    return poses


def classify(poses: Poses, class_maps: NDArray[Any], names: Sequence[str]) -> Poses:
    """Returns the poses with the class whose map has the largest sum at the keypoints of each instance.

    Args:
        poses: The instances, in cells.
        class_maps: (C, h, w).
        names: Names of the C classes.

    Raises:
        SkeletonError: The maps do not fit the names.
    """
    if class_maps.ndim != 3 or len(class_maps) != len(names):
        raise SkeletonError(f"class maps must be ({len(names)}, h, w) for {', '.join(names)}, got {class_maps.shape}")
    points = np.where(poses.detected[..., None], poses.keypoints, np.nan)
    sums = values_at(class_maps, points).sum(axis=1)  # (P, C)
    return replace(poses, classes=sums.argmax(axis=1).astype(np.int64), class_names=tuple(names))


def decode_crop(heatmaps: NDArray[Any], skeleton: Skeleton, *, refinement: Refinement = "log-parabola") -> Poses:
    """Decodes the heatmaps of a crop into the pose of one instance, in heatmap cells.

    The confidence of a joint is the height of its highest cell, clipped to [0, 1]; a joint whose heatmap is nowhere
    above 0 is not detected. The score is the mean of the K confidences.

    Args:
        heatmaps: (K or K + 1, h, w), background last.
        skeleton: The K joints.
        refinement: Refinement of each highest cell: "log-parabola", "quarter" or "none".

    Raises:
        SkeletonError: The heatmaps do not fit the skeleton.
        CairnError: The refinement is unknown.
    """
    return decode_one(heatmaps, skeleton, refinement, background=True)


def _decode(
    maps: NDArray[Any],
    pafs: NDArray[Any],
    skeleton: Skeleton,
    thresholds: Thresholds,
    counted: NDArray[np.bool_],
    matching: Matching,
    order: Order,
    max_peaks: int,
) -> Poses:
    peaks = find_peaks(maps, thresholds.peak, max_peaks)
    near_score = thresholds.peak + 1e-6  # OpenPose's released code
    connections = connect(
        peaks, pafs, skeleton.limbs, thresholds.sample, thresholds.share, near_score, thresholds.free_length
    )
    return group(peaks, connections, skeleton, thresholds, counted, matching, order)


def group(
    peaks: Peaks,
    connections: Connections,
    skeleton: Skeleton,
    thresholds: Thresholds,
    counted: NDArray[np.bool_],
    matching: Matching,
    order: Order,
) -> Poses:
    """Returns the people of scored candidates: all of `decode` that follows equation 11.

    Args:
        peaks: Candidates of all joints.
        connections: All pairs of candidates that may be a limb.
        skeleton: Joints and limbs.
        thresholds: Thresholds for people.
        counted: (K,) which joints count for the minimum number of parts.
        matching: See `decode`.
        order: See `decode`.
    """
    connections = connections[MATCHINGS[matching](connections)]
    person, holding = assemble(peaks.joints, connections, skeleton.redundant, order)
    alone = np.flatnonzero(_component_sizes(skeleton)[peaks.joints] == 1)
    person[alone] = person.max(initial=-1) + 1 + np.arange(len(alone))
    return _people(peaks, connections[np.flatnonzero(holding)], person, skeleton, thresholds, counted)


def _people(
    peaks: Peaks,
    connections: Connections,
    person: NDArray[Any],
    skeleton: Skeleton,
    thresholds: Thresholds,
    counted: NDArray[np.bool_],
) -> Poses:
    """The people with enough parts and a sufficient score."""
    placed = np.flatnonzero(person >= 0)
    owner = person[placed]
    people = int(person.max(initial=-1)) + 1
    parts = np.bincount(owner, minlength=people)
    sums = np.bincount(owner, peaks.scores[placed], people)
    sums = sums + np.bincount(person[connections.starts], connections.scores, people)
    needed = np.zeros(people, dtype=np.intp)
    needed[owner] = np.minimum(_component_sizes(skeleton), thresholds.parts)[peaks.joints[placed]]
    enough = np.bincount(owner, counted[peaks.joints[placed]], people) >= needed
    kept = np.flatnonzero((parts > 0) & enough & (sums >= thresholds.score * parts))
    scores = sums[kept] / (len(skeleton) + len(skeleton.limbs))
    best = np.argsort(-scores, kind="stable")

    row = np.full(people, -1)
    row[kept[best]] = np.arange(len(kept))
    used = placed[row[owner] >= 0]
    at = row[person[used]], peaks.joints[used]
    keypoints = np.full((len(kept), len(skeleton), 2), np.nan, dtype=np.float32)
    confidence = np.zeros((len(kept), len(skeleton)), dtype=np.float32)
    keypoints[at] = peaks.positions[used]
    confidence[at] = peaks.scores[used]
    return Poses(keypoints, confidence, scores[best].astype(np.float32), skeleton)


@lru_cache(maxsize=16)
def _component_sizes(skeleton: Skeleton) -> NDArray[np.intp]:
    """(K,) number of joints that are connected with each one by limbs, itself included."""
    component = np.arange(len(skeleton))
    for a, b in skeleton.limbs:
        component[component == component[b]] = component[a]
    return np.bincount(component)[component]


def _check(heatmaps: NDArray[Any], pafs: NDArray[Any], skeleton: Skeleton) -> None:
    _check_maps(heatmaps, skeleton)
    limbs = len(skeleton.limbs)
    if pafs.shape != (2 * limbs, *heatmaps.shape[1:]):
        raise SkeletonError(
            f"pafs must be {(2 * limbs, *heatmaps.shape[1:])} for the {limbs} limbs of skeleton {skeleton.name}, "
            f"got {pafs.shape}"
        )


def _check_maps(heatmaps: NDArray[Any], skeleton: Skeleton) -> None:
    joints = len(skeleton)
    if heatmaps.ndim != 3 or heatmaps.shape[0] not in (joints, joints + 1):
        raise SkeletonError(
            f"heatmaps must be ({joints} or {joints + 1}, h, w) for skeleton {skeleton.name}, got {heatmaps.shape}"
        )
