"""The figures of an evaluation in words and as values: what is quoted, tabled, and written to metrics.json."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cairn.evaluation.evaluate import Evaluation, MeanError, Pck
from cairn.evaluation.metrics.mpii import JointPrecision
from cairn.structures.skeleton import Skeleton

NME = "NME, %"


def metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Every figure with what it stands on, as JSON can say it: what is not a number is None."""
    skeleton = evaluation.labels.skeleton
    pairs, error = evaluation.pairs, evaluation.error
    joints = skeleton.joints
    result: dict[str, Any] = {
        "images": len(evaluation.labels),
        "objects": len(pairs.truth),
        "milliseconds_per_image": 1000 * evaluation.seconds,
        "skeleton": skeleton.name,
    }
    if evaluation.task != "crop":
        result["objects_found"] = int(pairs.met.sum())
    if evaluation.oks is not None:
        result["oks"] = {**evaluation.oks, "sigmas": dict(zip(joints, skeleton.sigmas, strict=True))}
    if evaluation.ap is not None:
        result["mpii"] = {
            "means": meaning_of_ap(evaluation.ap),
            "mAP": evaluation.ap.value,
            "per_joint": dict(zip(joints, evaluation.ap.per_joint.tolist(), strict=True)),
        }
    result["pck"] = _pck_table(evaluation.pck, skeleton)
    if evaluation.pck_met is not None:
        result["pck_of_objects_found"] = _pck_table(evaluation.pck_met, skeleton)
    result["nme"] = {
        "protocol": error.protocol.name,
        "means": meaning_of_error(error),
        "value": error.value,
        "keypoints_not_found": error.missing,
        "objects_without_length": error.unmeasured,
        "per_joint": dict(zip(joints, error.per_joint.tolist(), strict=True)),
    }
    return finite(result)


def name_of(pck: Pck) -> str:
    """`PCKh@0.5`, `PCK@0.2`."""
    return f"{'PCKh' if pck.protocol.name == 'mpii' else 'PCK'}@{pck.threshold:g}"


def meaning_of(pck: Pck) -> str:
    """What the figure stands on, in one line."""
    left = f", without {' and '.join(pck.protocol.left_out)}" if pck.protocol.left_out else ""
    mean = "mean over joints" if pck.mean == "joints" else "all keypoints pooled"
    return f"distance below {pck.threshold:g} of {pck.protocol.unit}; {mean}{left}{_without_length(pck.unmeasured)}"


def meaning_of_error(error: MeanError) -> str:
    """What NME stands on, in one line."""
    return f"mean distance of what was found, in percent of {error.protocol.unit}{_without_length(error.unmeasured)}"


def meaning_of_ap(ap: JointPrecision) -> str:
    """What mAP stands on, in one line."""
    return f"precision of joints within {ap.threshold:g} of the head, people assigned greedily; mean over joints"


def parts(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Joint indices by part of the body, left and right together, as tables in papers have them."""
    result: dict[str, tuple[int, ...]] = {}
    partner = {a: b for pair in skeleton.flip_pairs for a, b in (pair, pair[::-1])}
    for i, joint in enumerate(skeleton.joints):
        other = partner.get(i, i)
        if other >= i:
            result[_without_side(joint, skeleton.joints[other])] = (i,) if other == i else (i, other)
    return result


def _without_length(objects: int) -> str:
    return f"; {objects} objects without that length do not count" if objects else ""


def _without_side(joint: str, other: str) -> str:
    for left, right in (("left", "right"), ("right", "left")):
        stripped = joint.replace(left, "", 1).strip("_-. ")
        if left in joint and stripped == other.replace(right, "", 1).strip("_-. "):
            return stripped
    return joint if joint == other else f"{joint}/{other}"


def _pck_table(pck: Pck, skeleton: Skeleton) -> dict[str, Any]:
    with_values = {
        name: np.array([pck.per_joint[i] for i in joints if pck.counts[i]])
        for name, joints in parts(skeleton).items()
    }  # fmt: skip
    return {
        "name": name_of(pck),
        "protocol": pck.protocol.name,
        "means": meaning_of(pck),
        "threshold": pck.threshold,
        "mean": pck.mean,
        "value": pck.value,
        "area_under_curve": pck.area,
        "objects_without_length": pck.unmeasured,
        "per_part": {name: float(values.mean()) if len(values) else None for name, values in with_values.items()},
        "per_joint": dict(zip(skeleton.joints, pck.per_joint.tolist(), strict=True)),
        "keypoints": dict(zip(skeleton.joints, pck.counts.tolist(), strict=True)),
    }


def finite(value: Any) -> Any:
    """As JSON can say it: None for what is not a number."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def headline(evaluation: Evaluation) -> dict[str, str]:
    """The few figures that are quoted, by name."""
    pairs, pck, error = evaluation.pairs, evaluation.pck, evaluation.error
    rows: dict[str, str] = {}
    if evaluation.oks is not None:
        rows |= {f"OKS {name}": number(value) for name, value in evaluation.oks.items()}
    if evaluation.ap is not None:
        rows[f"MPII mAP@{evaluation.ap.threshold:g}"] = number(evaluation.ap.value)
    if evaluation.task != "crop":
        rows["objects found"] = f"{int(pairs.met.sum())} of {len(pairs.truth)}"
    rows[name_of(pck)] = number(pck.value)
    if evaluation.pck_met is not None:
        rows[f"{name_of(pck)} of objects found"] = number(evaluation.pck_met.value)
    rows[f"AUC to {pck.threshold:g}"] = number(pck.area)
    rows[NME] = number(error.value, 2)
    rows["keypoints not found, %"] = number(error.missing)
    if math.isfinite(evaluation.seconds):
        rows["ms an image"] = number(1000 * evaluation.seconds, 0)
    return rows


def main_figure(evaluation: Evaluation) -> tuple[str, float]:
    """The one figure that a model is told by, with its name: OKS AP, or PCK where it finds one object. In percent."""
    if evaluation.oks is not None:
        return "AP", evaluation.oks["AP"]
    return name_of(evaluation.pck), evaluation.pck.value


def joint_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """(joint, keypoints, PCK, NME, sigma) of every joint."""
    pck, error, skeleton = evaluation.pck, evaluation.error, evaluation.labels.skeleton
    columns = zip(skeleton.joints, pck.counts, pck.per_joint, error.per_joint, skeleton.sigmas, strict=True)
    return [
        (joint, str(n), number(share), number(distance, 2), f"{sigma:.3f}")
        for joint, n, share, distance, sigma in columns
    ]


def number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
