"""OpenPose's JSON, version 1.3, for the tools that read its `--write_json` folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cairn.geometry import Size
from cairn.output import whole_file
from cairn.poses import Poses
from cairn.skeleton import skeleton
from cairn.writers import PictureName, Writer

FOLDER = "cairn.openpose"

PARTS = ("pose", "face", "hand_left", "hand_right")


class OpenPoseWriter(Writer):
    """`cairn.openpose/photo_keypoints.json` for each photo: a folder that holds nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def write(self, picture: PictureName, size: Size, poses: Poses) -> None:
        with whole_file(picture.beside(self.folder, "_keypoints.json")) as beside:
            beside.write_text(json.dumps(to_openpose(poses), separators=(",", ":")), encoding="utf-8")


def to_openpose(poses: Poses) -> dict[str, Any]:
    """Keypoints flat x, y, confidence in pixels; 0, 0, 0 where not found. Keys stand in OpenPose's order."""
    poses = with_neck(poses)
    flat = np.concatenate([poses.keypoints, poses.confidence[..., None]], axis=2)
    flat = np.where(poses.found[..., None], flat, 0).reshape(len(poses), 3 * len(poses.skeleton))
    people = []
    for row in flat.tolist():
        person: dict[str, list] = {"person_id": [-1]}
        person |= {f"{part}_keypoints_2d": [] for part in PARTS}
        person |= {f"{part}_keypoints_3d": [] for part in PARTS}
        person["pose_keypoints_2d"] = [round(value, 4) for value in row]
        people.append(person)
    return {"version": 1.3, "people": people}


def with_neck(poses: Poses) -> Poses:
    """COCO's 17 joints as OpenPose's 18, whose neck is the middle of the shoulders; others as they are.

    The neck is found where both shoulders are, as sure as the less sure one.
    """
    if set(poses.skeleton.joints) != set(skeleton("coco17").joints):
        return poses
    mapped = poses.mapped(skeleton("coco18"))
    neck, *shoulders = (mapped.skeleton.index(joint) for joint in ("neck", "left_shoulder", "right_shoulder"))
    mapped.confidence[:, neck] = mapped.confidence[:, shoulders].min(axis=1)
    mapped.keypoints[:, neck] = mapped.keypoints[:, shoulders].mean(axis=1)  # NaN where a shoulder is
    return mapped
