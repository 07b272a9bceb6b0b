"""PCP on the Shelf data set (Belagiannis et al. 2014) from its detections, without association by ground truth.

    python benchmarks/shelf.py SHELF

SHELF has cameras.json, truth.json, and detections/camN with OpenPose's JSON. Prints PCP by the rule of the data set for
each person with ground truth, over the 8 limbs without head and torso and over all 10, the median joint error, the
reprojection error of each camera, and the time of association.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.recordings import read_recording
from cairn.evaluation.metrics.poses3d import correct_limbs, joint_errors
from cairn.multiview.cameras import read_cameras
from cairn.multiview.detections import DetectionTable
from cairn.multiview.reconstruction import ReconstructionOptions, reconstruct
from cairn.multiview.tracks import observe
from cairn.structures.skeleton import Skeleton

RATE = 25.0
CENTRAL = ("Head", "Torso")
SIDES = {"r": "right", "l": "left"}


def shelf_joints(points: NDArray[np.float64], skeleton: Skeleton, names: list[str]) -> NDArray[np.float64]:
    """Returns the joints of the data set (..., 15, 3) of keypoints in BODY_25 (..., 25, 3), by its own conventions."""

    def joint(name: str) -> NDArray[np.float64]:
        return points[..., skeleton.index(name), :]

    def middle(name: str) -> NDArray[np.float64]:
        both = np.stack([joint(f"left_{name}"), joint(f"right_{name}")])
        known = np.isfinite(both)
        return np.where(known, both, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)

    normal = np.cross(joint("neck") - joint("mid_hip"), joint("right_shoulder") - joint("left_shoulder"))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    chin = (middle("shoulder") + middle("ear")) / 2
    own = {"pelvis": joint("mid_hip"), "neck_chin": chin, "head_top": chin + 0.125 * normal + [0, 0, 0.145]}
    return np.stack(
        [own[name] if name in own else joint(f"{SIDES[name[0]]}_{name[2:]}") for name in names],
        axis=-2,
    )


def main(folder: Path) -> None:
    rig = read_cameras(folder / "cameras.json")
    recordings = [read_recording(folder / "detections" / name).frames for name in rig.names]
    result = reconstruct(rig, recordings, RATE, ReconstructionOptions())
    truth = json.loads((folder / "truth.json").read_text())
    tracks = result.trajectories
    joints = shelf_joints(tracks.keypoints, tracks.skeleton, truth["joint_names"])
    limbs = np.array([limb["joints"] for limb in truth["limbs_for_pcp"]])
    eight = [i for i, limb in enumerate(truth["limbs_for_pcp"]) if limb["name"] not in CENTRAL]
    correct: dict[str, list[NDArray[np.bool_]]] = {}
    errors = []
    for frame, people in truth["frames"].items():
        for person, points in people.items():
            goal = np.asarray(points, np.float64)
            distance = joint_errors(joints[int(frame)], goal)
            mean = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.inf for row in distance])
            own = joints[int(frame), int(mean.argmin())]
            correct.setdefault(person, []).append(correct_limbs(own[None], goal[None], limbs)[0])
            errors.append(distance[int(mean.argmin())])
    print(result)
    for person, rows in sorted(correct.items()):
        share = 100 * np.mean(rows, axis=0)
        print(f"person {person}: {len(rows)} frames, PCP {share[eight].mean():.1f} (8 limbs), {share.mean():.1f} (10)")
    over = [[100 * np.mean(rows, axis=0)[part].mean() for rows in correct.values()] for part in (eight, slice(None))]
    print(f"average: PCP {np.mean(over[0]):.1f} (8 limbs), {np.mean(over[1]):.1f} (10 limbs)")
    print(f"median joint error {100 * np.nanmedian(errors):.2f} cm")
    print("reprojection error:", ", ".join(f"{name} {error:.1f} px" for name, error in result.camera_errors().items()))
    table = DetectionTable.of(rig, recordings, 0.2)
    times = []
    for _ in range(3):
        started = time.process_time()
        observe(rig, table, len(tracks), int(RATE))
        times.append(time.process_time() - started)
    print(f"association {1000 * min(times) / len(tracks):.2f} ms a frame")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
