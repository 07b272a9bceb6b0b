"""Checks of the joints: number of labels, OKS sigmas, flip pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.findings import Finding, examples
from cairn.datasets.labels import Labels
from cairn.structures.skeleton import DEFAULT_SIGMA

MIN_LABELS = 20
"""Minimum number of labels to train a joint; fewer give a warning."""


def check_joints(sets: Mapping[str, Labels]) -> list[Finding]:
    """Returns findings about joints with few labels or none, default sigmas, and missing flip pairs.

    Args:
        sets: Labels of one skeleton by name; the first is the training set.
    """
    findings = []
    skeleton = next(iter(sets.values())).skeleton
    for number, (name, labels) in enumerate(sets.items()):
        counts = dict(zip(skeleton.joints, joint_counts(labels).tolist(), strict=True))
        unlabeled = [joint for joint, count in counts.items() if count == 0]
        if unlabeled:
            line = f"{name}: no labels of {examples(unlabeled, ', ', 8)}"
            findings.append(
                Finding("warning", "unlabeled_joints", line, tuple({"joint": joint} for joint in unlabeled))
            )
        few = {joint: count for joint, count in counts.items() if 0 < count < MIN_LABELS}
        if few and number == 0:
            lines = [f"{joint} ({count})" for joint, count in few.items()]
            line = f"{name}: fewer than {MIN_LABELS} labels of {examples(lines, ', ', 8)}"
            cases = tuple({"joint": joint, "labels": count} for joint, count in few.items())
            findings.append(Finding("warning", "few_labels", line, cases))
    default = [joint for joint, sigma in zip(skeleton.joints, skeleton.sigmas, strict=True) if sigma == DEFAULT_SIGMA]
    if default:
        line = (
            f"no OKS sigma is defined for {examples(default, ', ', 4)}: the default {DEFAULT_SIGMA:g} is used, "
            "so PCK and NME are more reliable than OKS"
        )
        findings.append(Finding("info", "default_sigmas", line, tuple({"joint": joint} for joint in default)))
    if not skeleton.flip_pairs and any(joint.lower().startswith(("left", "right")) for joint in skeleton.joints):
        line = "some joints are named left or right, but no two of them form a flip pair: rename them or add flip_pairs"
        findings.append(Finding("warning", "flip_pairs", line))
    return findings


def joint_counts(labels: Labels) -> NDArray[np.int64]:
    """Returns (K,) the number of labels of each joint."""
    counts: NDArray[np.int64] = (labels.instances.annotation.visibility > 0).sum(axis=0)
    return counts


def occluded_counts(labels: Labels) -> NDArray[np.int64]:
    """Returns (K,) the number of labels of each joint that are marked as occluded."""
    counts: NDArray[np.int64] = (labels.instances.annotation.visibility == 1).sum(axis=0)
    return counts
