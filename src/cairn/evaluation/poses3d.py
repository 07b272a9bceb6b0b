"""Evaluation of tracks in 3D against ground truth in 3D, in the same world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.evaluation.metrics.poses3d import (
    Rule,
    aligned_errors,
    correct_limbs,
    joint_errors,
    limb_spreads,
    pck3d,
    pck3d_auc,
    scaled_errors,
)
from cairn.ops.assignment import assign
from cairn.structures.poses3d import Trajectories

Array = NDArray[np.float64]

SCALES = (0.05, 20.0)
"""Scale of the predicted poses over the true ones beyond which a unit is wrong."""

RULES: tuple[Rule, ...] = ("shelf", "strict")

FAR = 10.0  # meters, at which the gain of a pair is half of that at 0


@dataclass(frozen=True)
class Result3D:
    """Metrics of tracks in 3D.

    Attributes:
        metrics: Name -> value; lengths in millimeters, shares in percent.
        joints: Joint -> MPJPE in millimeters.
        limbs: Limb -> PCP by the rule of Shelf, the strict PCP, both in percent, and the standard deviation of the
            predicted length in millimeters.
        instances: Number of instances in the ground truth, over all frames.
        found: Number of these that have a predicted one.
        warnings: What is doubtful, a line each.
    """

    metrics: Mapping[str, float]
    joints: Mapping[str, float]
    limbs: Mapping[str, tuple[float, float, float]]
    instances: int
    found: int
    warnings: tuple[str, ...] = ()


def evaluate_tracks(predicted: Trajectories, truth: Trajectories) -> Result3D:
    """Measures tracks against ground truth: joints of the same name, frames of the same number.

    In each frame, predicted and true instances are paired one to one by the lowest mean distance, which is at most the
    size of the true one. A true instance without a predicted one counts for PCK3D, AUC and PCP as wrong.

    Raises:
        LabelError: They have no joint or frame in common, or different units or rates.
    """
    joints = [joint for joint in truth.skeleton.joints if joint in predicted.skeleton.joints]
    if not joints:
        raise LabelError(
            f"the ground truth ({', '.join(truth.skeleton.joints[:5])}, ...) and the tracks "
            f"({', '.join(predicted.skeleton.joints[:5])}, ...) have no joint of the same name"
        )
    if abs(predicted.rate / truth.rate - 1) > 0.01:
        raise LabelError(
            f"the ground truth has {truth.rate:g} Hz, the tracks {predicted.rate:g} Hz: resample one of them"
        )
    own = [predicted.skeleton.index(joint) for joint in joints]
    target = [truth.skeleton.index(joint) for joint in joints]
    pairs, goals = _paired(predicted, truth, (own, target), near=True)
    if not np.isfinite(pairs).any():  # another world, unit or time: the metrics say so
        pairs, goals = _paired(predicted, truth, (own, target), near=False)
    if not len(goals):
        raise LabelError(
            f"no frame has ground truth: the tracks have frames {predicted.start} to "
            f"{predicted.start + len(predicted) - 1}, the ground truth {truth.start} to {truth.start + len(truth) - 1}"
        )
    limbs = np.array(
        [(joints.index(a), joints.index(b)) for a, b in _limbs(truth) if a in joints and b in joints], np.intp
    ).reshape(-1, 2)
    return _measured(pairs, goals, joints, limbs)


def _measured(pairs: Array, goals: Array, joints: list[str], limbs: NDArray[np.intp]) -> Result3D:
    """Returns the metrics of poses (N, K, 3); NaN where unknown."""
    known = np.asarray(np.isfinite(goals).all(axis=-1))
    errors, aligned = joint_errors(pairs, goals), aligned_errors(pairs, goals)
    found = np.isfinite(errors).any(axis=1)
    warnings = _doubts(pairs, goals, errors, aligned)
    metrics = {
        "MPJPE": 1000 * _mean(errors),
        "median error": 1000 * _median(errors),
        "PA-MPJPE": 1000 * _mean(aligned),
        "N-MPJPE": 1000 * _mean(scaled_errors(pairs, goals)),
        "PCK3D@150mm": 100 * pck3d(errors, known),
        "AUC": 100 * pck3d_auc(errors, known),
    }
    there = np.asarray(known[:, limbs].all(axis=-1))
    rules = [correct_limbs(pairs, goals, limbs, rule) & there for rule in RULES]
    _, spreads = limb_spreads(pairs, limbs)
    table = {}
    for i, (a, b) in enumerate(limbs.tolist()):
        count = there[:, i].sum()
        if count:
            shelf, strict = (100 * float(right[:, i].sum() / count) for right in rules)
            table[f"{joints[a]} - {joints[b]}"] = (shelf, strict, 1000 * float(spreads[i]))
    if table:
        metrics["PCP"], metrics["PCP strict"], _ = np.mean(list(table.values()), axis=0).tolist()
        metrics["limb length spread"] = _mean(np.array([row[2] for row in table.values()]))
    by_joint = {joint: 1000 * _mean(errors[:, i]) for i, joint in enumerate(joints)}
    return Result3D(metrics, by_joint, table, len(goals), int(found.sum()), tuple(warnings))


def _paired(
    predicted: Trajectories, truth: Trajectories, joints: tuple[list[int], list[int]], near: bool
) -> tuple[Array, Array]:
    """Returns the predicted (N, K, 3) and true poses of all frames; a true one without a predicted one has NaN.

    Where `near`, the mean distance of a pair is at most the size of the true instance.
    """
    own, target = joints
    pairs, goals = [], []
    for row in range(len(truth)):
        real = truth.keypoints[row][:, target]
        real = real[np.isfinite(real).all(axis=-1).any(axis=-1)]
        if not len(real):
            continue
        frame = truth.start + row - predicted.start
        guess = predicted.keypoints[frame][:, own] if 0 <= frame < len(predicted) else np.zeros((0, len(own), 3))
        distance = np.linalg.norm(guess[None] - real[:, None], axis=-1)  # (T, P, K)
        there = np.isfinite(distance)
        mean = np.where(there, distance, 0).sum(axis=-1) / np.maximum(there.sum(axis=-1), 1)
        size = np.nanmax(np.nanmax(real, axis=1) - np.nanmin(real, axis=1), axis=1)[:, None]
        possible = there.any(axis=-1) & ((mean <= size) | (not near) | (size == 0))
        gain = np.where(possible, 1 / (1 + mean / FAR), 0)
        for i, column in enumerate(assign(gain) if guess.size else [-1] * len(real)):
            matched = column >= 0 and gain[i, column] > 0
            pairs.append(guess[column] if matched else np.full_like(real[i], np.nan))
            goals.append(real[i])
    shape = (-1, len(own), 3)
    return np.array(pairs, np.float64).reshape(shape), np.array(goals, np.float64).reshape(shape)


def _doubts(pairs: Array, goals: Array, errors: Array, aligned: Array) -> list[str]:
    """Returns warnings about the world. Raises LabelError where the units differ."""
    known = np.isfinite(errors)
    complete = known.sum(axis=1) >= 3
    if not complete.any():
        return []
    sizes = []
    for points in (pairs, goals):
        there = np.where(known[..., None], points, np.nan)[complete]
        sizes.append(float(np.median(np.nanmax(np.nanmax(there, axis=1) - np.nanmin(there, axis=1), axis=1))))
    ratio = sizes[0] / sizes[1] if sizes[1] > 0 else 1.0
    if not SCALES[0] <= ratio <= SCALES[1]:
        raise LabelError(
            f"the tracks are {ratio:.3g} times as large as the ground truth: one of them is not in the unit that it "
            "states"
        )
    if _median(errors) > 0.5 * sizes[1] and _median(aligned) < 0.1 * sizes[1]:
        return [
            "the poses fit and their places do not: the tracks are in another world than the ground truth, or at "
            "another time"
        ]
    return []


def _limbs(truth: Trajectories) -> list[tuple[str, str]]:
    joints = truth.skeleton.joints
    return [(joints[a], joints[b]) for a, b in truth.skeleton.limbs]


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
