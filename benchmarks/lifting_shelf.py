"""Lifting on real detections: the Shelf data set, each camera by itself.

    python benchmarks/lifting_shelf.py SHELF

A person with ground truth is paired with the detection that is nearest to its projected joints, at most `MAX_DISTANCE`
pixels on average. Twelve joints are compared, from shoulders to wrists and from hips to ankles; poses with fewer than
ten of them are skipped. Prints the PA-MPJPE of the bundled `person-lift`, and of a mean pose in its place.
"""

import json
import sys
from pathlib import Path

import numpy as np

from cairn import Lifter
from cairn.datasets.recordings import read_recording
from cairn.multiview.cameras import read_cameras
from cairn.ops.procrustes import procrustes

MAX_DISTANCE = 40.0
MIN_JOINTS = 10
SIDES = {"r": "right", "l": "left"}


def main(folder: Path) -> None:
    rig, lifter = read_cameras(folder / "cameras.json"), Lifter("person-lift", threads=1)
    truth = json.loads((folder / "truth.json").read_text())
    names = [name for name in truth["joint_names"] if name[:2] in ("r_", "l_")]
    rows = [truth["joint_names"].index(name) for name in names]
    joints = [f"{SIDES[name[0]]}_{name[2:]}" for name in names]
    columns = [lifter.spec.skeleton.index(joint) for joint in joints]
    lifted, goals = [], []
    for camera in rig:
        frames = read_recording(folder / "detections" / camera.name).frames
        for frame, people in truth["frames"].items():
            poses = frames[int(frame)]
            if not len(poses):
                continue
            found = np.stack([poses[joint][:, :2] for joint in joints], axis=1)
            for points in people.values():
                goal = camera.to_camera(np.asarray(points, np.float64)[rows])
                if (goal[:, 2] <= 0).any():
                    continue
                away = np.linalg.norm(found - camera.project(np.asarray(points, np.float64)[rows]), axis=-1)
                known = np.isfinite(away)
                mean = np.where(
                    known.sum(axis=1) >= MIN_JOINTS, np.nansum(away, axis=1) / known.sum(axis=1).clip(1), np.inf
                )
                best = int(mean.argmin())
                if mean[best] <= MAX_DISTANCE:
                    lifted.append(lifter(poses[[best]], camera).keypoints[0, columns])
                    goals.append(goal)
    predicted, target = np.stack(lifted), np.stack(goals)
    known = np.isfinite(predicted).all(axis=-1)
    standing = np.broadcast_to(np.nanmean(predicted, axis=0), predicted.shape)
    for name, values in (("person-lift", predicted), ("mean pose", standing)):
        error = np.linalg.norm(procrustes(values, target, known).apply(np.nan_to_num(values)) - target, axis=-1)
        print(f"{name:12} PA-MPJPE {1000 * error[known].mean():.1f} mm, {len(target)} poses in {len(rig)} cameras")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
