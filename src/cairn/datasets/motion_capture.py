"""3D recordings: motion capture as arrays (.npz), and the 3D results of Cairn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.multiview.axes import Y_UP, with_z_up
from cairn.structures.camera import UNITS
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.poses3d import Trajectories
from cairn.structures.skeleton import Skeleton


def read_motion_capture(path: Path) -> list[Trajectories]:
    """Reads the recordings of a file, in meters, with z up.

    An .npz file holds the arrays `xyz` (F, K, 3), the frames of all recordings one after the other, and `joint_names`
    (K,); and, if they are not one recording at 30 frames per second in meters with z up, `seq_len` (numbers of frames),
    `fps`, `units` (m, cm or mm) and `up` (such as "y"). `bones` (L, 2) are the limbs. NaN is unknown.

    Raises:
        LabelError: The file cannot be read, or its arrays contradict one another.
    """
    if not path.is_file():
        raise LabelError(f"no file of 3D keypoints at {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except Exception as error:  # numpy, zipfile and zlib raise many unrelated types for a damaged file
        reason = str(error).split(": ")[0][:80]  # numpy's advice to load it unsafely is none
        raise LabelError(f"{path} is neither poses3d.json nor an .npz file of 3D keypoints ({reason})") from None
    return _recordings(arrays, path)


def _recordings(arrays: dict[str, NDArray[Any]], path: Path) -> list[Trajectories]:
    """Returns the recordings of the arrays of a file."""
    if missing := [name for name in ("xyz", "joint_names") if name not in arrays]:
        raise LabelError(f"{path} has no array {missing[0]!r}: expected xyz (F, K, 3) and joint_names (K,)")
    names, xyz = tuple(map(str, arrays["joint_names"].tolist())), arrays["xyz"]
    if xyz.dtype.kind not in "fiu" or xyz.ndim != 3 or xyz.shape[1:] != (len(names), 3):
        raise LabelError(f"{path}: expected xyz of shape (F, {len(names)}, 3), got {xyz.dtype} {xyz.shape}")
    units, up = str(arrays.get("units", "m")), str(arrays.get("up", "z")).removeprefix("+")
    if units not in UNITS or up not in Y_UP:
        got = f"units {units!r} and up {up!r}"
        raise LabelError(f"{path}: expected units of {', '.join(UNITS)} and up of {', '.join(Y_UP)}, got {got}")
    lengths = np.atleast_1d(arrays.get("seq_len", np.array([len(xyz)])))
    if lengths.dtype.kind not in "iu" or lengths.min(initial=1) < 1 or lengths.sum() != len(xyz):
        raise LabelError(f"{path}: the numbers of frames in seq_len add up to {lengths.sum()}, but xyz has {len(xyz)}")
    skeleton = _skeleton(names, arrays.get("bones"), path)
    keypoints = UNITS[units] * with_z_up(xyz.astype(np.float64), up)
    rate = float(arrays.get("fps", 30.0))
    if not rate > 0:
        raise LabelError(f"{path}: expected a positive rate fps in frames per second, got {rate:g}")
    parts = np.split(keypoints, np.cumsum(lengths)[:-1].astype(int))
    return [
        Trajectories(
            part[:, None],
            np.asarray(np.isfinite(part).all(axis=-1), np.float32)[:, None],
            skeleton,
            np.ones(1, np.int64),
            rate,
        )
        for part in parts
    ]


def _skeleton(names: tuple[str, ...], bones: NDArray[Any] | None, path: Path) -> Skeleton:
    limbs: tuple[tuple[int, int], ...] = ()
    if bones is not None:
        if bones.dtype.kind not in "iu" or bones.ndim != 2 or bones.shape[1] != 2 or not (bones < len(names)).all():
            raise LabelError(
                f"{path}: expected bones of shape (L, 2), indices of {len(names)} joints, got {bones.shape}"
            )
        limbs = tuple((int(a), int(b)) for a, b in bones)
    return Skeleton(path.stem, names, limbs, flip_pairs=flip_pairs_by_name(names))
