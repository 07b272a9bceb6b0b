"""The metrics of an evaluation as values for metrics.json and as text for tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cairn.evaluation.evaluate import Evaluation
from cairn.evaluation.keypoint_metrics import MeanError, Pck
from cairn.evaluation.metrics.mpii import JointPrecision
from cairn.evaluation.metrics.visibility import VisibilityResult
from cairn.evaluation.tasks import TASKS
from cairn.structures.skeleton import Skeleton

NME = "NME, %"
CLASS_ACCURACY = "class of detected instances right, %"
VISIBILITY_AUC = "visibility AUC, %"


def metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Returns all metrics with their definitions, for JSON: NaN and infinity are None."""
    skeleton = evaluation.labels.skeleton
    pairs, error = evaluation.pairs, evaluation.error
    joints = skeleton.joints
    result: dict[str, Any] = {
        "images": len(evaluation.labels),
        "instances": len(pairs.ground_truth),
        "milliseconds_per_image": 1000 * evaluation.seconds,
        "skeleton": skeleton.name,
    }
    if not TASKS[evaluation.task].given_boxes:
        result["instances_detected"] = int(pairs.matched.sum())
    if evaluation.oks is not None:
        result["oks"] = {**evaluation.oks, "sigmas": dict(zip(joints, skeleton.sigmas, strict=True))}
    if evaluation.ap is not None:
        result["mpii"] = {
            "definition": definition_of_ap(evaluation.ap),
            "mAP": evaluation.ap.value,
            "per_joint": dict(zip(joints, evaluation.ap.per_joint.tolist(), strict=True)),
        }
    result["pck"] = _pck_table(evaluation.pck, skeleton)
    if evaluation.pck_detected is not None:
        result["pck_of_detected_instances"] = _pck_table(evaluation.pck_detected, skeleton)
    result["nme"] = {
        "protocol": error.protocol.name,
        "definition": definition_of_nme(error),
        "value": error.value,
        "keypoints_not_detected": error.not_detected,
        "instances_without_length": error.unmeasured,
        "per_joint": dict(zip(joints, error.per_joint.tolist(), strict=True)),
    }
    if evaluation.classes:
        result["class_accuracy"] = evaluation.class_accuracy
        result["classes"] = {
            each.name: {"instances": each.instances, "oks_ap": each.ap, "pck": each.pck} for each in evaluation.classes
        }
    if evaluation.class_note:
        result["class_note"] = evaluation.class_note
    if evaluation.visibility is not None:
        result["visibility"] = {"definition": definition_of_visibility(evaluation.visibility)}
        result["visibility"] |= vars(evaluation.visibility)
    return {key: finite(value) for key, value in result.items()}


def name_of(pck: Pck) -> str:
    """Returns the name of a PCK with its threshold, such as `PCKh@0.5`."""
    return f"{'PCKh' if pck.protocol.name == 'mpii' else 'PCK'}@{pck.threshold:g}"


def definition_of(pck: Pck) -> str:
    """Returns the definition of PCK in one line."""
    ignored = f", without {' and '.join(pck.protocol.ignored_joints)}" if pck.protocol.ignored_joints else ""
    mean = "mean over joints" if pck.mean == "joints" else "all keypoints pooled"
    return f"distance below {pck.threshold:g} of {pck.protocol.unit}; {mean}{ignored}{_ignored(pck.unmeasured)}"


def definition_of_nme(error: MeanError) -> str:
    """Returns the definition of NME in one line."""
    return f"mean distance of detected keypoints, in percent of {error.protocol.unit}{_ignored(error.unmeasured)}"


def definition_of_ap(ap: JointPrecision) -> str:
    """Returns the definition of MPII's mAP in one line."""
    return f"precision of joints within {ap.threshold:g} of the head, people assigned greedily; mean over joints"


def definition_of_visibility(visibility: VisibilityResult) -> str:
    """Returns the definition of the AUC of visibility in one line."""
    counts = f"{visibility.visible} visible and {visibility.occluded} occluded keypoints that are detected"
    return f"probability that a visible keypoint has a higher value than an occluded one, of {counts}; chance is 50"


def definition_of_classes(evaluation: Evaluation) -> str:
    """Returns how classes enter the metrics, in one line; empty where labels and model have one."""
    lines = [evaluation.class_note] if evaluation.class_note else []
    if evaluation.classes and evaluation.oks is not None:
        lines.append("instances are matched within classes, and OKS metrics are means over classes")
    elif evaluation.classes:
        lines.append("PCK does not depend on the predicted class")
    return "; ".join(lines)


def parts(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Returns joint indices by body part, left and right together, as in the tables of papers."""
    result: dict[str, tuple[int, ...]] = {}
    partner = {a: b for pair in skeleton.flip_pairs for a, b in (pair, pair[::-1])}
    for i, joint in enumerate(skeleton.joints):
        other = partner.get(i, i)
        if other >= i:
            result[_without_side(joint, skeleton.joints[other])] = (i,) if other == i else (i, other)
    return result


def finite(value: Any) -> Any:
    """Returns the value for JSON: None in place of NaN and infinity, also inside dictionaries."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def headline(evaluation: Evaluation) -> dict[str, str]:
    """Returns the main metrics as text, by name."""
    pairs, pck, error = evaluation.pairs, evaluation.pck, evaluation.error
    rows: dict[str, str] = {}
    if evaluation.oks is not None:
        rows |= {f"OKS {name}": number(value) for name, value in evaluation.oks.items()}
    if evaluation.ap is not None:
        rows[f"MPII mAP@{evaluation.ap.threshold:g}"] = number(evaluation.ap.value)
    if not TASKS[evaluation.task].given_boxes:
        rows["instances detected"] = f"{int(pairs.matched.sum())} of {len(pairs.ground_truth)}"
    rows[name_of(pck)] = number(pck.value)
    if evaluation.pck_detected is not None:
        rows[f"{name_of(pck)} of detected instances"] = number(evaluation.pck_detected.value)
    rows[f"AUC to {pck.threshold:g}"] = number(pck.area)
    rows[NME] = number(error.value, 2)
    rows["keypoints not detected, %"] = number(error.not_detected)
    if evaluation.classes:
        rows[CLASS_ACCURACY] = number(evaluation.class_accuracy)
    if evaluation.visibility is not None:
        rows[VISIBILITY_AUC] = number(evaluation.visibility.auc)
    if math.isfinite(evaluation.seconds):
        rows["ms per image"] = number(1000 * evaluation.seconds, 0)
    return rows


def main_metric(evaluation: Evaluation) -> tuple[str, float]:
    """Returns name and value, in percent, of the metric that ranks models: OKS AP where measured, else PCK."""
    if evaluation.oks is not None:
        return "AP", evaluation.oks["AP"]
    return name_of(evaluation.pck), evaluation.pck.value


def joint_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """Returns a row for each joint: (joint, labeled keypoints, PCK, NME, sigma)."""
    pck, error, skeleton = evaluation.pck, evaluation.error, evaluation.labels.skeleton
    columns = zip(skeleton.joints, pck.counts, pck.per_joint, error.per_joint, skeleton.sigmas, strict=True)
    return [
        (joint, str(n), number(share), number(distance, 2), f"{sigma:.3f}")
        for joint, n, share, distance, sigma in columns
    ]


def class_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str]]:
    """Returns a row for each class: (class, labeled instances, OKS AP, PCK); none where there is one class."""
    return [(each.name, str(each.instances), number(each.ap), number(each.pck)) for each in evaluation.classes]


def number(value: float, digits: int = 1) -> str:
    """Returns the value with the given number of decimals; "-" for NaN and infinity."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _ignored(instances: int) -> str:
    return f"; {instances} instances without that length are ignored" if instances else ""


def _without_side(joint: str, other: str) -> str:
    """The joint's name without left or right; both names where they differ in more than the side."""
    for left, right in (("left", "right"), ("right", "left")):
        stripped = joint.replace(left, "", 1).strip("_-. ")
        if left in joint and stripped == other.replace(right, "", 1).strip("_-. "):
            return stripped
    return joint if joint == other else f"{joint}/{other}"


def _pck_table(pck: Pck, skeleton: Skeleton) -> dict[str, Any]:
    per_part = {
        name: np.array([pck.per_joint[i] for i in joints if pck.counts[i]])
        for name, joints in parts(skeleton).items()
    }  # fmt: skip
    return {
        "name": name_of(pck),
        "protocol": pck.protocol.name,
        "definition": definition_of(pck),
        "threshold": pck.threshold,
        "mean": pck.mean,
        "value": pck.value,
        "area_under_curve": pck.area,
        "instances_without_length": pck.unmeasured,
        "per_part": {name: float(values.mean()) if len(values) else None for name, values in per_part.items()},
        "per_joint": dict(zip(skeleton.joints, pck.per_joint.tolist(), strict=True)),
        "keypoints": dict(zip(skeleton.joints, pck.counts.tolist(), strict=True)),
    }
