"""OpenPose's JSON format, version 1.3, for tools that read the folder of its `--write_json`."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError
from cairn.files import atomic_write
from cairn.inference.network import Maps
from cairn.media.names import ImageName
from cairn.ops.heatmaps import find_peaks
from cairn.results.writer import Detections, Writer, rounding
from cairn.structures.geometry import Affine, Size
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton

FOLDER = "cairn.openpose"

PARTS = {"pose": "", "face": "face_", "hand_left": "left_hand_", "hand_right": "right_hand_"}
"""OpenPose's name of a body part -> prefix of the names of its joints."""

SCALES = {0: "pixels of the source", 3: "from 0 to 1", 4: "from -1 to 1"}
"""Supported values of OpenPose's `keypoint_scale`. 1 and 2, pixels of its network input and of its drawing, are not
supported."""


class OpenPoseWriter(Writer):
    """Writes `cairn.openpose/photo_keypoints.json` for each photo; the folder has no other files.

    Args:
        folder: The parent of `cairn.openpose`.
        scale: OpenPose's `keypoint_scale`, a key of `SCALES`.
        candidates: Minimum height of the peaks that are written as OpenPose's `part_candidates`; None writes none.
        decimals: Decimals of coordinates; None is 4. Scores have at least 4.

    Raises:
        CairnError: The scale is not supported.
    """

    def __init__(
        self, folder: Path, scale: int = 0, candidates: float | None = None, decimals: int | None = None
    ) -> None:
        if scale not in SCALES:
            known = ", ".join(f"{number} ({what})" for number, what in SCALES.items())
            raise CairnError(f"the keypoint scale must be {known}, got {scale}")
        self.folder = folder / FOLDER
        self.scale = scale
        self.candidates = candidates
        self.decimals = decimals

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the file of an image or frame."""
        return (name.beside(self.folder, "_keypoints.json"),)

    def write(self, detections: Detections) -> None:
        """Writes the file of an image. Raises CairnError if candidates are requested and `Detections.maps` is None."""
        content = to_openpose(detections.poses, detections.size, self.scale, self.decimals)
        if self.candidates is not None and detections.damaged:
            content["part_candidates"] = [{}]
        elif self.candidates is not None:
            if detections.maps is None:
                raise CairnError("this model has no heatmaps of the whole image: part candidates cannot be written")
            maps, skeleton = detections.maps, detections.poses.skeleton
            content["part_candidates"] = [
                part_candidates(*maps, skeleton, self.candidates, detections.size, self.scale, self.decimals)
            ]
        with atomic_write(*self.paths(detections.name)) as beside:
            beside.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def to_openpose(poses: Poses, size: Size, scale: int = 0, decimals: int | None = None) -> dict[str, Any]:
    """Returns the content of a file, with the keys in OpenPose's order.

    Keypoints are flat x, y, confidence; 0, 0, 0 where not detected. COCO's 17 joints become OpenPose's 18, whose neck
    is the mean of the shoulders; other skeletons are written as they are. `person_id` is [-1] without a track ID.

    Args:
        poses: The poses in pixels of the image.
        size: (height, width) of the image in pixels.
        scale: OpenPose's `keypoint_scale`, a key of `SCALES`.
        decimals: Decimals of coordinates; None is 4. Confidences have at least 4.
    """
    joints = poses.skeleton.parts
    body = poses.mapped(load_skeleton("coco18")) if _is_coco(poses.skeleton) else poses
    triplets = {part: _triplets(poses, joints.get(prefix, []), size, scale) for part, prefix in PARTS.items()}
    triplets["pose"] = _triplets(body, body.skeleton.parts.get("", []), size, scale)
    ids = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
    people = [
        {
            "person_id": [track_id],
            **{f"{part}_keypoints_2d": _rounded(triplets[part][row], decimals) for part in PARTS},
            **{f"{part}_keypoints_3d": [] for part in PARTS},
        }
        for row, track_id in enumerate(ids)
    ]
    return {"version": 1.3, "people": people}


def part_candidates(
    maps: Maps,
    to_image: Affine,
    skeleton: Skeleton,
    threshold: float,
    size: Size,
    scale: int = 0,
    decimals: int | None = None,
) -> dict[str, list[float]]:
    """Returns flat x, y, confidence of all peaks by part index, also of peaks that are in no person.

    Args:
        maps: Output of the network with "heatmaps" (K or K + 1, h, w).
        to_image: Transform from heatmap cells to pixels of the image.
        skeleton: The K joints of the heatmaps.
        threshold: Minimum height of a peak.
        size: (height, width) of the image in pixels.
        scale: OpenPose's `keypoint_scale`, a key of `SCALES`.
        decimals: Decimals of coordinates; None is 4. Confidences have at least 4.
    """
    peaks = find_peaks(maps["heatmaps"][: len(skeleton)], threshold)
    flat = np.column_stack([_scaled(to_image.apply(peaks.positions), size, scale), peaks.scores])
    written = load_skeleton("coco18") if _is_coco(skeleton) else skeleton
    index = np.array([written.index(joint) for joint in skeleton.joints])[peaks.joints]
    return {str(part): _rounded(flat[index == part].ravel(), decimals) for part in range(len(written))}


def _is_coco(skeleton: Skeleton) -> bool:
    """Whether the body has COCO's 17 joints, without the neck that readers of OpenPose's format expect."""
    return {skeleton.joints[joint] for joint in skeleton.parts.get("", [])} == set(load_skeleton("coco17").joints)


def _triplets(poses: Poses, joints: list[int], size: Size, scale: int) -> NDArray[np.float32]:
    """(P, 3 * len(joints)) flat x, y, confidence; 0, 0, 0 where not detected."""
    points = _scaled(poses.keypoints[:, joints], size, scale)
    flat = np.concatenate([points, poses.confidence[:, joints, None]], axis=2)
    return np.where(poses.detected[:, joints, None], flat, 0).reshape(len(poses), 3 * len(joints))


def _scaled(points: NDArray[np.float32], size: Size, scale: int) -> NDArray[np.float32]:
    """Scaled (..., 2) points: the centers of the first and the last pixel become 0 and 1, or -1 and 1."""
    if scale == 0:
        return points
    shares = points / np.maximum(np.array(size[::-1], np.float32) - 1, 1)
    return (shares if scale == 3 else 2 * shares - 1).astype(np.float32)


def _rounded(triplets: NDArray[Any], decimals: int | None) -> list[float]:
    """Rounds flat x, y, confidence."""
    of_pixels, of_scores = rounding(decimals, 4)
    digits = cycle((of_pixels, of_pixels, of_scores))
    return [round(value, places) for value, places in zip(triplets.tolist(), digits, strict=False)]
