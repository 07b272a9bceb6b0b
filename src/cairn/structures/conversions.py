"""Poses in the forms of other tools: plain values, tables, COCO results, supervision."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.errors import CairnError, MissingPackage
from cairn.files import atomic_write
from cairn.structures.skeleton import load_skeleton

if TYPE_CHECKING:
    from cairn.structures.pose import Pose
    from cairn.structures.poses import Poses

COLUMNS = ("pose", "id", "score", "keypoint", "x", "y", "confidence")
"""Columns of tables in long format, one row per keypoint."""

Row = tuple[int, int | None, float, str, float | None, float | None, float]
"""Values of `COLUMNS`; None where missing."""


def pose_to_dict(pose: Pose, tracked: bool | None = None) -> dict[str, Any]:
    """Returns one instance as plain values.

    Args:
        pose: The instance.
        tracked: Whether "id" is written; default: where the instance has one.
    """
    tracked = pose.id is not None if tracked is None else tracked
    box = pose.box.tolist()
    return {
        **({"id": pose.id} if tracked else {}),
        "score": pose.score,
        "box": box if all(map(math.isfinite, box)) else None,
        "keypoints": {
            joint: [x, y, confidence] if _is_known(x, y, confidence) else None for joint, (x, y, confidence) in pose
        },
    }


def to_dict(poses: Poses) -> dict[str, Any]:
    """Returns plain values; see `Poses.to_dict`."""
    skeleton = poses.skeleton
    return {
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joints),
            "limbs": [[skeleton.joints[a], skeleton.joints[b]] for a, b in skeleton.limbs],
        },
        "people": [pose_to_dict(pose, poses.ids is not None) for pose in poses],
    }


def to_dataframe(poses: Poses) -> Any:
    """Returns a pandas DataFrame; see `Poses.to_dataframe`."""
    try:
        import pandas
    except ImportError:
        raise MissingPackage("to_dataframe", "pandas") from None
    types = {"pose": int, "id": "Int64", "score": float, "keypoint": object, "x": float, "y": float}
    return pandas.DataFrame(list(_rows(poses)), columns=list(COLUMNS)).astype({**types, "confidence": float})


def to_supervision(poses: Poses) -> Any:
    """Returns a `supervision.KeyPoints`; see `Poses.to_supervision`."""
    try:
        import supervision
    except ImportError:
        raise MissingPackage("to_supervision", "supervision") from None
    try:
        return supervision.KeyPoints(
            xy=np.where(poses.detected[..., None], poses.keypoints, np.float32(0)),
            keypoint_confidence=poses.confidence.copy(),
            detection_confidence=poses.scores.copy(),
            class_id=np.zeros(len(poses), dtype=int),
            visible=poses.detected,
            data={} if poses.ids is None else {"tracker_id": poses.ids.copy()},
        )
    except TypeError:  # the names of the arguments are those of 0.29
        raise CairnError(
            "to_supervision needs supervision 0.29 or newer, got "
            f"{supervision.__version__}: pip install --upgrade supervision"
        ) from None


def to_coco(poses: Poses, image_id: int, category_id: int) -> list[dict[str, Any]]:
    """Returns COCO keypoint results; see `Poses.to_coco`."""
    if set(load_skeleton("coco17").joints) < set(poses.skeleton.joints):
        poses = poses.mapped(load_skeleton("coco17"))
    flat = np.concatenate([poses.keypoints, poses.confidence[..., None]], axis=2)
    flat = np.where(poses.detected[..., None], flat, 0).reshape(len(poses), 3 * len(poses.skeleton))
    ids: list[dict[str, int]]
    ids = [{}] * len(poses) if poses.ids is None else [{"track_id": number} for number in poses.ids.tolist()]
    return [
        {
            "image_id": image_id,
            "category_id": category_id,
            "keypoints": [round(value, 4) for value in row],
            "score": round(score, 6),
            **identity,
        }
        for row, score, identity in zip(flat.tolist(), poses.scores.tolist(), ids, strict=True)
    ]


def write_json(path: Path, poses: Poses) -> None:
    """Writes `to_dict` as JSON."""
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(to_dict(poses), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_csv(path: Path, poses: Poses) -> None:
    """Writes the table of `to_dataframe` as CSV; missing values are empty."""
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(_rows(poses))


def _rows(poses: Poses) -> Iterator[Row]:
    """Yields one row of `COLUMNS` per keypoint."""
    for number, pose in enumerate(poses):
        for joint, (x, y, confidence) in pose:
            known = _is_known(x, y, confidence)
            yield number, pose.id, pose.score, joint, x if known else None, y if known else None, confidence


def _is_known(x: float, y: float, confidence: float) -> bool:
    return confidence > 0 and math.isfinite(x) and math.isfinite(y)
