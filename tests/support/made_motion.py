"""A made person that swings its limbs, as 3D recordings."""

from pathlib import Path

import numpy as np

JOINTS = ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "neck", "left_hand", "right_hand")
BONES = ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 6), (5, 7))


def made_poses(frames: int, seed: int = 0) -> np.ndarray:
    """Returns (F, 8, 3) meters with z up: a person who turns, and swings knees and hands forward.

    Only forward: one view does not tell what points toward the camera from what points away from it.
    """
    rng = np.random.default_rng(seed)
    turn, angles = rng.uniform(-1, 1, frames), rng.uniform(0, 1, (4, frames))
    zero, one = np.zeros(frames), np.ones(frames)

    def at(x, y, z):
        return np.stack([x + zero, y + zero, z + zero], axis=-1)

    def swung(angle, length):
        return at(0, length * np.sin(angle), -length * np.cos(angle))

    pelvis, neck = at(0, 0, 0.9), at(0, 0, 1.4)
    left, right = at(0.1, 0, 0.9), at(-0.1, 0, 0.9)
    joints = [pelvis, left, right, left + swung(angles[0], 0.4), right + swung(angles[1], 0.4), neck]
    joints += [neck + at(0.2, 0, 0) + swung(2 * angles[2], 0.5), neck - at(0.2, 0, 0) + swung(2 * angles[3], 0.5)]
    c, s = np.cos(np.pi * turn), np.sin(np.pi * turn)
    rotation = np.stack([at(c, -s, 0), at(s, c, 0), at(0, 0, one)], axis=1)
    return np.stack(joints, axis=1) @ np.swapaxes(rotation, 1, 2)


def write_motion(path: Path, frames: int = 60, recordings: int = 3, **arrays) -> Path:
    """Writes recordings into an .npz file, and returns its path."""
    values = {"xyz": made_poses(frames * recordings), "joint_names": np.array(JOINTS), "bones": np.array(BONES)}
    values["seq_len"] = np.full(recordings, frames)
    values |= arrays
    np.savez(path, **{name: value for name, value in values.items() if value is not None})
    return path
