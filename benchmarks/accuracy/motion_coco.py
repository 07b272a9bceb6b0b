"""Motion capture in the joints of Human3.6M -> COCO's 17 keypoints, for `recipes/person-lift.toml`.

    python benchmarks/accuracy/motion_coco.py .data/motion .data/motion-coco

The recordings have no nose, eyes and ears. They are placed on a head that turns and nods at random, by the proportions
of an adult head: an approximation, which the model card states.
"""

import argparse
from pathlib import Path

import numpy as np

from cairn.structures.skeleton import load_skeleton

FACE = {  # meters from the top of the neck: toward the person's left, up, forward
    "nose": (0.0, 0.0, 0.11),
    "left_eye": (0.033, 0.035, 0.09),
    "right_eye": (-0.033, 0.035, 0.09),
    "left_ear": (0.075, 0.015, -0.005),
    "right_ear": (-0.075, 0.015, -0.005),
}
TURN, NOD = 40.0, 20.0  # degrees, maximum and standard deviation


def coco_poses(xyz: np.ndarray, names: list[str], rng: np.random.Generator) -> np.ndarray:
    """Returns (F, 17, 3) in the joints of coco17 of poses (F, K, 3)."""
    at = {name: xyz[:, i].astype(float) for i, name in enumerate(names)}
    up = unit(at["head_top"] - at["neck"])
    left = at["left_shoulder"] - at["right_shoulder"]
    left = unit(left - (left * up).sum(axis=1, keepdims=True) * up)
    forward = np.cross(left, up)
    turn = np.radians(rng.uniform(-TURN, TURN, (len(xyz), 1)))
    nod = np.radians(rng.normal(0, NOD, (len(xyz), 1)))
    left, forward = np.cos(turn) * left - np.sin(turn) * forward, np.sin(turn) * left + np.cos(turn) * forward
    up, forward = np.cos(nod) * up - np.sin(nod) * forward, np.sin(nod) * up + np.cos(nod) * forward
    for name, (x, y, z) in FACE.items():
        at[name] = at["head_top"] + x * left + y * up + z * forward
    return np.stack([at[joint] for joint in load_skeleton("coco17").joints], axis=1)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def convert(source: Path, target: Path) -> dict[str, Path]:
    """Writes the training and validation recordings in coco17 into a folder; returns their paths by split."""
    target.mkdir(parents=True, exist_ok=True)
    skeleton = load_skeleton("coco17")
    paths = {}
    for split in ("train", "val"):
        with np.load(source / f"{split}.npz") as file:
            arrays = dict(file)
        xyz = coco_poses(arrays["xyz"], arrays["joint_names"].tolist(), np.random.default_rng(0))
        kept = {name: arrays[name] for name in ("seq_len", "fps", "units", "up")}
        names, bones = np.array(skeleton.joints), np.array([skeleton.limbs[limb] for limb in skeleton.tree])
        paths[split] = target / f"{split}.npz"
        np.savez_compressed(paths[split], xyz=xyz.astype(np.float32), joint_names=names, bones=bones, **kept)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    for path in convert(arguments.source, arguments.target).values():
        print(path)


if __name__ == "__main__":
    main()
