"""OpenPose's JSON, version 1.3, for the tools that read its `--write_json` folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError
from cairn.files import atomic_write
from cairn.inference.network import Maps
from cairn.ops.heatmaps import find_peaks
from cairn.results import Detections, Writer
from cairn.structures.geometry import Affine, Size
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton

FOLDER = "cairn.openpose"

PARTS = {"pose": "", "face": "face_", "hand_left": "left_hand_", "hand_right": "right_hand_"}
"""OpenPose's name of a part of the body -> with what its joints' names begin."""

SCALES = {0: "pixels of the source", 3: "from 0 to 1", 4: "from -1 to 1"}
"""OpenPose's `keypoint_scale`. Its 1 and 2 are pixels of what it shows its network and of what it draws."""


class OpenPoseWriter(Writer):
    """`cairn.openpose/photo_keypoints.json` for each photo: a folder that holds nothing else.

    scale       OpenPose's `keypoint_scale`, of `SCALES`
    candidates  OpenPose's `part_candidates`: the least height of a peak, to write those of all maps too; None does not

    Raises CairnError for another scale.
    """

    def __init__(self, folder: Path, scale: int = 0, candidates: float | None = None) -> None:
        if scale not in SCALES:
            known = ", ".join(f"{number} ({what})" for number, what in SCALES.items())
            raise CairnError(f"the scale of keypoints must be {known}, got {scale}")
        self.folder = folder / FOLDER
        self.scale = scale
        self.candidates = candidates

    def write(self, found: Detections) -> None:
        form = to_openpose(found.poses, found.size, self.scale)
        if self.candidates is not None:
            if found.maps is None:
                raise CairnError("there are no maps of the whole image to take candidates from")
            form["part_candidates"] = [
                part_candidates(*found.maps, found.poses.skeleton, self.candidates, found.size, self.scale)
            ]
        with atomic_write(found.name.beside(self.folder, "_keypoints.json")) as beside:
            beside.write_text(json.dumps(form, separators=(",", ":")), encoding="utf-8")


def to_openpose(poses: Poses, size: Size, scale: int = 0) -> dict[str, Any]:
    """Keypoints flat x, y, confidence; 0, 0, 0 where not found. Keys stand in OpenPose's order.

    COCO's 17 joints become OpenPose's 18, whose neck is the middle of the shoulders; other bodies are as they are.
    size is the image's (height, width); `person_id` is [-1] where nobody follows the person over time.
    """
    joints = poses.skeleton.parts
    body = poses.mapped(load_skeleton("coco18")) if _is_coco(poses.skeleton) else poses
    triplets = {part: _triplets(poses, joints.get(prefix, []), size, scale) for part, prefix in PARTS.items()}
    triplets["pose"] = _triplets(body, body.skeleton.parts.get("", []), size, scale)
    ids = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
    people = [
        {
            "person_id": [identity],
            **{f"{part}_keypoints_2d": _rounded(triplets[part][row]) for part in PARTS},
            **{f"{part}_keypoints_3d": [] for part in PARTS},
        }
        for row, identity in enumerate(ids)
    ]
    return {"version": 1.3, "people": people}


def part_candidates(
    maps: Maps, to_image: Affine, skeleton: Skeleton, threshold: float, size: Size, scale: int = 0
) -> dict[str, list[float]]:
    """Part's number -> flat x, y, confidence of every peak of its map, whether or not a person was made of it.

    maps     heatmaps (K or K + 1, h, w), whose cells `to_image` places in the image, of (height, width) `size`
    """
    peaks = find_peaks(maps["heatmaps"][: len(skeleton)], threshold)
    flat = np.column_stack([_scaled(to_image.apply(peaks.positions), size, scale), peaks.scores])
    written = load_skeleton("coco18") if _is_coco(skeleton) else skeleton
    number = np.array([written.index(joint) for joint in skeleton.joints])[peaks.joints]
    return {str(part): _rounded(flat[number == part].ravel()) for part in range(len(written))}


def _is_coco(skeleton: Skeleton) -> bool:
    """Whether the body's joints are COCO's 17, without the neck that OpenPose's readers look for."""
    return {skeleton.joints[joint] for joint in skeleton.parts.get("", [])} == set(load_skeleton("coco17").joints)


def _triplets(poses: Poses, joints: list[int], size: Size, scale: int) -> NDArray[np.float32]:
    """(P, 3 * len(joints)): x, y, confidence; 0, 0, 0 where not found."""
    points = _scaled(poses.keypoints[:, joints], size, scale)
    flat = np.concatenate([points, poses.confidence[:, joints, None]], axis=2)
    return np.where(poses.detected[:, joints, None], flat, 0).reshape(len(poses), 3 * len(joints))


def _scaled(points: NDArray[np.float32], size: Size, scale: int) -> NDArray[np.float32]:
    """Points (..., 2) in pixels. The centers of the first and the last pixel are 0 and 1, or -1 and 1."""
    if scale == 0:
        return points
    shares = points / np.maximum(np.array(size[::-1], np.float32) - 1, 1)
    return (shares if scale == 3 else 2 * shares - 1).astype(np.float32)


def _rounded(values: NDArray) -> list[float]:
    return [round(value, 4) for value in values.tolist()]
