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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.recordings import read_recording
from cairn.evaluation.metrics.poses3d import correct_limbs, joint_errors
from cairn.multiview.cameras import read_cameras
from cairn.multiview.detections import DetectionTable
from cairn.multiview.reconstruction import Reconstruction, ReconstructionOptions, reconstruct
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


@dataclass(frozen=True, eq=False)
class Measured:
    """What was reconstructed, beside the ground truth.

    Attributes:
        result: The reconstruction.
        correct: Person -> (F, 10) bool, limbs that are correct in the frames with ground truth of that person.
        eight: Indices of the limbs without head and torso.
        errors: (N, 15) distance of each joint from the ground truth in meters; NaN where it is missing.
    """

    result: Reconstruction
    correct: dict[str, NDArray[np.bool_]]
    eight: list[int]
    errors: NDArray[np.float64]

    def average(self, central: bool) -> float:
        """Returns the PCP in %, averaged over people, with or without head and torso."""
        columns = slice(None) if central else self.eight
        return float(np.mean([100 * rows[:, columns].mean() for rows in self.correct.values()]))


def measure(folder: Path, frames: int | None = None) -> Measured:
    """Reconstructs the first frames, without association by ground truth, and compares."""
    rig = read_cameras(folder / "cameras.json")
    recordings = [read_recording(folder / "detections" / name).frames[:frames] for name in rig.names]
    result = reconstruct(rig, recordings, RATE, ReconstructionOptions())
    truth = json.loads((folder / "truth.json").read_text())
    tracks = result.trajectories
    joints = shelf_joints(tracks.keypoints, tracks.skeleton, truth["joint_names"])
    limbs = np.array([limb["joints"] for limb in truth["limbs_for_pcp"]])
    eight = [i for i, limb in enumerate(truth["limbs_for_pcp"]) if limb["name"] not in CENTRAL]
    correct: dict[str, list[NDArray[np.bool_]]] = {}
    errors = []
    for frame, people in truth["frames"].items():
        if int(frame) >= len(joints):
            continue
        for person, points in people.items():
            goal = np.asarray(points, np.float64)
            distance = joint_errors(joints[int(frame)], goal)
            mean = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.inf for row in distance])
            own = joints[int(frame), int(mean.argmin())]
            correct.setdefault(person, []).append(correct_limbs(own[None], goal[None], limbs)[0])
            errors.append(distance[int(mean.argmin())])
    found = {person: np.stack(rows) for person, rows in sorted(correct.items())}
    return Measured(result, found, eight, np.stack(errors))


def main(folder: Path) -> None:
    measured = measure(folder)
    result, rig = measured.result, measured.result.rig
    print(result)
    for person, rows in measured.correct.items():
        eight = 100 * rows[:, measured.eight].mean()
        print(f"person {person}: {len(rows)} frames, PCP {eight:.1f} (8 limbs), {100 * rows.mean():.1f} (10)")
    print(f"average: PCP {measured.average(False):.1f} (8 limbs), {measured.average(True):.1f} (10 limbs)")
    print(f"median joint error {100 * np.nanmedian(measured.errors):.2f} cm")
    print("reprojection error:", ", ".join(f"{name} {error:.1f} px" for name, error in result.camera_errors().items()))
    recordings = [read_recording(folder / "detections" / name).frames for name in rig.names]
    table, frames = DetectionTable.of(rig, recordings, 0.2), len(recordings[0])
    times = []
    for _ in range(3):
        started = time.process_time()
        observe(rig, table, frames, int(RATE))
        times.append(time.process_time() - started)
    print(f"association {1000 * min(times) / frames:.2f} ms a frame")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
