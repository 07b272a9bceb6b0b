"""Poses in the forms of other tools: plain values, tables, COCO results, supervision."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
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

VISIBILITY = "visibility"
"""Key of an instance, of models that predict which keypoints are occluded."""

VISIBLE = 0.5
"""Probability from which a keypoint counts as visible: COCO's v is 2 from there on, 1 below."""

CLASS = "class"
"""Column after "id", and key of an instance, of models with several classes."""


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
        **({CLASS: pose.class_name} if pose.class_name is not None else {}),
        "score": pose.score,
        "box": box if all(map(math.isfinite, box)) else None,
        "keypoints": {
            joint: [x, y, confidence] if _is_known(x, y, confidence) else None for joint, (x, y, confidence) in pose
        },
        **({} if pose.visibility is None else {VISIBILITY: named_visibility(pose)}),
    }


def named_visibility(pose: Pose, decimals: int = 4) -> dict[str, float | None]:
    """Returns the visibility of each keypoint by name; None where it is unknown. `pose` has visibility."""
    assert pose.visibility is not None
    values = zip(pose.skeleton.joints, pose.visibility.tolist(), strict=True)
    return {joint: round(value, decimals) if math.isfinite(value) else None for joint, value in values}


def to_dict(poses: Poses) -> dict[str, Any]:
    """Returns plain values; see `Poses.to_dict`."""
    skeleton = poses.skeleton
    return {
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joints),
            "limbs": [[skeleton.joints[a], skeleton.joints[b]] for a, b in skeleton.limbs],
        },
        **({"classes": list(poses.class_names)} if poses.class_names else {}),
        "people": [pose_to_dict(pose, poses.ids is not None) for pose in poses],
    }


def to_dataframe(poses: Poses) -> Any:
    """Returns a pandas DataFrame; see `Poses.to_dataframe`."""
    try:
        import pandas
    except ImportError:
        raise MissingPackage("to_dataframe", "pandas") from None
    types = {"pose": int, "id": "Int64", "score": float, "keypoint": object, "x": float, "y": float}
    columns = with_class(COLUMNS, poses.class_names)
    return pandas.DataFrame(list(_rows(poses)), columns=list(columns)).astype({**types, "confidence": float})


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
            class_id=np.zeros(len(poses), dtype=int) if poses.classes is None else poses.classes.copy(),
            visible=poses.detected,
            data={
                **({} if poses.ids is None else {"tracker_id": poses.ids.copy()}),
                **({} if poses.classes is None else {"class_name": np.array(poses.class_names)[poses.classes]}),
            },
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
    third, more = poses.confidence, _visibility_fields(poses)
    if poses.visibility is not None:
        third = np.where(poses.visibility < VISIBLE, np.float32(1), np.float32(2))  # unknown counts as visible
    flat = np.concatenate([poses.keypoints, third[..., None]], axis=2)
    flat = np.where(poses.detected[..., None], flat, 0).reshape(len(poses), 3 * len(poses.skeleton))
    ids: list[dict[str, int]]
    ids = [{}] * len(poses) if poses.ids is None else [{"track_id": number} for number in poses.ids.tolist()]
    classes = [0] * len(poses) if poses.classes is None else poses.classes.tolist()
    return [
        {
            "image_id": image_id,
            "category_id": category_id + index,
            "keypoints": [round(value, 4) for value in row],
            "score": round(score, 6),
            **identity,
            **own,
        }
        for row, score, identity, index, own in zip(
            flat.tolist(), poses.scores.tolist(), ids, classes, more, strict=True
        )
    ]


def _visibility_fields(poses: Poses) -> list[dict[str, Any]]:
    """What a COCO result has beside v, for each instance of a model that predicts visibility."""
    return [
        {}
        if pose.visibility is None
        else {
            "confidence": [round(value, 4) for value in pose.confidence.tolist()],
            VISIBILITY: list(named_visibility(pose).values()),
        }
        for pose in poses
    ]


def write_json(path: Path, poses: Poses) -> None:
    """Writes `to_dict` as JSON."""
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(to_dict(poses), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_csv(path: Path, poses: Poses) -> None:
    """Writes the table of `to_dataframe` as CSV; missing values are empty."""
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(with_class(COLUMNS, poses.class_names))
        table.writerows(_rows(poses))


def with_class(columns: tuple[str, ...], class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of a table, with that of the class after "id" where there are several classes."""
    after = columns.index("id") + 1
    return (*columns[:after], *([CLASS] if class_names else []), *columns[after:])


def _rows(poses: Poses) -> Iterator[tuple[Any, ...]]:
    """Yields one row of `COLUMNS` per keypoint, with the class where there are several; None where missing."""
    for number, pose in enumerate(poses):
        identity = (pose.id,) if pose.class_name is None else (pose.id, pose.class_name)
        for joint, (x, y, confidence) in pose:
            place = (x, y) if _is_known(x, y, confidence) else (None, None)
            yield number, *identity, pose.score, joint, *place, confidence


def _is_known(x: float, y: float, confidence: float) -> bool:
    return confidence > 0 and math.isfinite(x) and math.isfinite(y)
