"""Leeds Sports Pose and its extended training set (Johnson and Everingham, BMVC 2010, CVPR 2011): joints.mat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.matlab import has_variable, numbers, read_mat
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.instances import Instance, checked_points, collect
from cairn.datasets.formats.splits import by_split
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.structures.skeleton import load_skeleton

JOINTS = 14
TRAINING = 1000  # the first images of LSP are its training split, the rest its test split


def read_lsp(path: Path, options: ReadOptions) -> Labels:
    """Reads the `joints` of a file: (3, 14, N) is LSP, (14, 3, N) is LSPET. Image names follow from their number.

    LSP labels every joint and flags the occluded ones. LSPET flags the labeled ones; coordinates without a flag are
    meaningless. The splits are the published ones: train and test for LSP; all of LSPET is for training.

    Raises:
        LabelError: The array has another shape, or the test split of LSPET is requested.
    """
    table = np.asarray(read_mat(path)["joints"])
    table = table[..., None] if table.ndim == 2 else table  # one image, whose dimension is dropped
    extended = table.shape[:2] == (JOINTS, 3)
    if not extended and table.shape[:2] != (3, JOINTS):
        raise LabelError(f"{path}: joints must be (3, 14, N) of LSP or (14, 3, N) of LSPET, got {table.shape}")
    if extended and options.split == "test":
        raise LabelError(f"{path} is LSPET, which has no test split: all of it is for training")
    table = numbers(table, table.shape, f"{path}: joints")
    by_image = table.transpose(2, 0, 1) if extended else table.transpose(2, 1, 0)  # (N, 14, 3)
    instances, listed = by_split(_instances(by_image, extended, path), options.split, options.problems)
    return collect(instances, load_skeleton("lsp14"), path, options.images, listed, problems=options.problems)


def _sniff(path: Path) -> bool:
    return has_variable(path, "joints")


def _instances(table: NDArray[np.float64], extended: bool, path: Path) -> Iterator[tuple[str, Instance]]:
    for i, joints in enumerate(table, start=1):
        points, flags = checked_points(joints[:, :2] - 1, f"{path}: image {i}"), joints[:, 2] > 0
        name = f"im{i:05d}.jpg" if extended else f"im{i:04d}.jpg"
        if extended:
            points, flags = np.where(flags[:, None], points, np.nan), np.zeros(JOINTS, bool)
        yield "train" if extended or i <= TRAINING else "test", Instance(name, points, flags)


FORMAT = Format("lsp", "LSP's or LSPET's joints.mat", (".mat",), _sniff, read_lsp, splits=("train", "test"))
