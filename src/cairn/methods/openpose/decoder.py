"""Maps and fields -> people (TPAMI sections 3.1 and 3.4), from the network's own low-resolution output.

    find_peaks     candidates for each part, to a fraction of a cell
    connect        equation 11: the fields' flow between candidates
    match_*        equations 12 to 14, limb by limb
    assemble       limbs that share a part become a person

The release enlarges all maps eight times before it looks for peaks; here a parabola through the logarithms
of three cells places a peak exactly where the Gaussian had it, at a sixty-fourth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, SkeletonError
from cairn.ops.grouping import Connections, Order, assemble, connect, match_greedy, match_hungarian
from cairn.ops.heatmaps import Peaks, Refinement, argmax_keypoints, find_peaks
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

Matching = Literal["greedy", "hungarian"]

MATCHINGS = {"greedy": match_greedy, "hungarian": match_hungarian}


@dataclass(frozen=True)
class Thresholds:
    """What counts as a part, a limb and a person; `decode` says what each one means."""

    peak: float
    sample: float
    share: float
    parts: int
    score: float


MAXIMIZE_POSITIVES = Thresholds(peak=0.02, sample=0.01, share=0.75, parts=2, score=0.05)
"""OpenPose's released thresholds for its second try."""


def decode(
    heatmaps: NDArray,
    pafs: NDArray,
    skeleton: Skeleton,
    *,
    peak_threshold: float = 0.05,
    sample_threshold: float = 0.05,
    sample_share: float = 0.95,
    min_parts: int = 3,
    min_score: float = 0.4,
    ignore_keypoints: str = "",
    matching: Matching = "greedy",
    order: Order = "global",
    second_try: bool = True,
    max_peaks: int = 127,
) -> Poses:
    """Heatmaps (K or K + 1, h, w), background last, and pafs (2L, h, w) -> people in field cells, the best first.

    peak_threshold    least height of a part's peak
    sample_threshold  least flow of the field at a sample of a limb's line
    sample_share      a limb needs more than this share of its samples above that
    min_parts       a person has at least so many parts, or all of a skeleton's component that has fewer
    min_score       a person has at least this score per part found
    ignore_keypoints         joints, by name and divided by spaces, that are no part for `min_parts`: BODY_25's feet
    matching          of each limb's candidates: "greedy", the surest first, or "hungarian", the surest sum
    order             in which limbs are joined to people: "global" or "limb"; see `assemble`
    second_try        where nobody is found, look once more with the released "maximize positives" thresholds
    max_peaks        the highest so many of each joint are candidates

    The defaults are those of OpenPose's released code. A person's score is the sum over its parts and limbs
    divided by how many the skeleton has of both. A joint that no limb reaches is an object of its own.

    Raises SkeletonError where the maps do not fit the skeleton or it lacks a joint that is named, CairnError for an
    unknown matching or order.
    """
    _check(heatmaps, pafs, skeleton)
    if matching not in MATCHINGS or order not in ("global", "limb"):
        raise CairnError(
            f"matching must be greedy or hungarian and order global or limb, got matching={matching}, order={order}"
        )
    maps = heatmaps[: len(skeleton)]
    counted = np.ones(len(skeleton), dtype=bool)
    counted[[skeleton.index(joint) for joint in ignore_keypoints.split()]] = False
    thresholds = Thresholds(peak_threshold, sample_threshold, sample_share, min_parts, min_score)
    poses = _decode(maps, pafs, skeleton, thresholds, counted, matching, order, max_peaks)
    if second_try and not len(poses):
        lower = Thresholds(
            *(min(a, b) for a, b in zip(vars(thresholds).values(), vars(MAXIMIZE_POSITIVES).values(), strict=True))
        )
        poses = _decode(maps, pafs, skeleton, lower, counted, matching, order, max_peaks)
    return poses


def decode_crop(heatmaps: NDArray, skeleton: Skeleton, *, refinement: Refinement = "log-parabola") -> Poses:
    """Heatmaps (K or K + 1, h, w), background last, of one object's crop -> that object, in field cells.

    refinement  of each map's highest cell: "log-parabola", "quarter" or "none"

    A joint's confidence is the height of that cell, within [0, 1]; one whose map is nowhere above 0 is not found.
    The object's score is the mean of its K confidences. Raises SkeletonError where the maps do not fit the
    skeleton, CairnError for an unknown refinement.
    """
    _check_maps(heatmaps, skeleton)
    if refinement not in ("log-parabola", "quarter", "none"):
        raise CairnError(f"refinement must be log-parabola, quarter or none, got {refinement!r}")
    keypoints, confidence = argmax_keypoints(heatmaps[: len(skeleton)], refinement)
    keypoints[confidence == 0] = np.nan
    return Poses(keypoints[None], confidence[None], confidence.mean(keepdims=True), skeleton)


def _decode(
    maps: NDArray,
    pafs: NDArray,
    skeleton: Skeleton,
    thresholds: Thresholds,
    counted: NDArray[np.bool_],
    matching: Matching,
    order: Order,
    max_peaks: int,
) -> Poses:
    peaks = find_peaks(maps, thresholds.peak, max_peaks)
    near_score = thresholds.peak + 1e-6  # OpenPose's released code
    connections = connect(peaks, pafs, skeleton.limbs, thresholds.sample, thresholds.share, near_score)
    connections = connections[MATCHINGS[matching](connections)]
    person, holding = assemble(peaks.joints, connections, skeleton.redundant, order)
    lonely = np.flatnonzero(_component_sizes(skeleton)[peaks.joints] == 1)
    person[lonely] = person.max(initial=-1) + 1 + np.arange(len(lonely))
    return _people(peaks, connections[holding], person, skeleton, thresholds, counted)


def _people(
    peaks: Peaks,
    connections: Connections,
    person: NDArray,
    skeleton: Skeleton,
    thresholds: Thresholds,
    counted: NDArray[np.bool_],
) -> Poses:
    """The people that are large and sure enough."""
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
    shown = placed[row[owner] >= 0]
    at = row[person[shown]], peaks.joints[shown]
    keypoints = np.full((len(kept), len(skeleton), 2), np.nan, dtype=np.float32)
    confidence = np.zeros((len(kept), len(skeleton)), dtype=np.float32)
    keypoints[at] = peaks.positions[shown]
    confidence[at] = peaks.scores[shown]
    return Poses(keypoints, confidence, scores[best].astype(np.float32), skeleton)


@lru_cache(maxsize=16)
def _component_sizes(skeleton: Skeleton) -> NDArray[np.intp]:
    """(K,) how many joints can be reached from each one along limbs, itself included."""
    component = np.arange(len(skeleton))
    for a, b in skeleton.limbs:
        component[component == component[b]] = component[a]
    return np.bincount(component)[component]


def _check(heatmaps: NDArray, pafs: NDArray, skeleton: Skeleton) -> None:
    _check_maps(heatmaps, skeleton)
    limbs = len(skeleton.limbs)
    if pafs.shape != (2 * limbs, *heatmaps.shape[1:]):
        raise SkeletonError(
            f"pafs must be {(2 * limbs, *heatmaps.shape[1:])} for the {limbs} limbs of skeleton {skeleton.name}, "
            f"got {pafs.shape}"
        )


def _check_maps(heatmaps: NDArray, skeleton: Skeleton) -> None:
    joints = len(skeleton)
    if heatmaps.ndim != 3 or heatmaps.shape[0] not in (joints, joints + 1):
        raise SkeletonError(
            f"heatmaps must be ({joints} or {joints + 1}, h, w) for skeleton {skeleton.name}, got {heatmaps.shape}"
        )
