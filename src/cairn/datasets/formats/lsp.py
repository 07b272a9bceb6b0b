"""Leeds Sports Pose and its extended training set (Johnson and Everingham, BMVC 2010, CVPR 2011): joints.mat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.matlab import numbers
from cairn.datasets.formats.people import Person, Split, gather, in_split
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton as definition

JOINTS = 14
TRAINING = 1000  # images of LSP that are for training, the first ones; the rest are its test part


def read_lsp(
    path: Path,
    variables: dict[str, Any],
    images: Path | None = None,
    split: Split | None = None,
    faults: Faults | None = None,
) -> Labels:
    """The `joints` of the file's variables: (3, 14, N) is LSP, (14, 3, N) is LSPET. Images go by their number.

    LSP labels every joint and flags the hidden ones; LSPET flags the labeled ones, and where it does not its
    coordinates mean nothing. LSPET is all for training.
    Raises LabelError where the array has another shape, or is of LSPET and its validation part is wanted.
    """
    table = np.asarray(variables["joints"])
    table = table[..., None] if table.ndim == 2 else table  # a set of one image, its dimension dropped
    extended = table.shape[:2] == (JOINTS, 3)
    if not extended and table.shape[:2] != (3, JOINTS):
        raise LabelError(f"{path}: joints must be (3, 14, N) of LSP or (14, 3, N) of LSPET, got {table.shape}")
    if extended and split == "val":
        raise LabelError(f"{path} is LSPET, which has no validation part")
    table = numbers(table, table.shape, f"{path}: joints")
    by_image = table.transpose(2, 0, 1) if extended else table.transpose(2, 1, 0)  # (N, 14, 3)
    return gather(in_split(_people(by_image, extended), split), definition("lsp14"), path, images, faults=faults)


def _people(table: np.ndarray, extended: bool) -> Iterator[tuple[bool, Person]]:
    for i, joints in enumerate(table, start=1):
        points, flags = joints[:, :2] - 1, joints[:, 2] > 0
        name = f"im{i:05d}.jpg" if extended else f"im{i:04d}.jpg"
        if extended:
            points, flags = np.where(flags[:, None], points, np.nan), np.zeros(JOINTS, bool)
        yield extended or i <= TRAINING, Person(name, points, flags)
