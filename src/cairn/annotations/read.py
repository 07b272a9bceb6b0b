"""The door for labels: a file of any form that Cairn knows, told by what is in it and not by its name."""

from __future__ import annotations

import re
from pathlib import Path

from cairn.annotations.coco import read_coco
from cairn.annotations.flic import read_flic
from cairn.annotations.labels import Labels
from cairn.annotations.lsp import read_lsp
from cairn.annotations.matlab import read_mat
from cairn.annotations.mpii import read_mpii_json, read_mpii_mat
from cairn.annotations.people import Split
from cairn.errors import LabelError
from cairn.skeleton import Skeleton

FIRST_BYTES = 512
MATLAB = b"MATLAB"
LIST_OF_PEOPLE = re.compile(rb'\s*(\[|\{\s*"root")')


def read_labels(
    path: str | Path,
    images: str | Path | None = None,
    skeleton: Skeleton | None = None,
    split: Split | None = None,
    absent_ok: bool = False,
) -> Labels:
    """Labels in COCO's format, or as MPII (.mat, .json), FLIC, LSP and LSPET (.mat) are published.

    images    folder of the pictures; None takes `images` beside the file, or else the file's own folder
    skeleton  the joints wanted, matched by name; None takes the labels' own
    split     part of a published set that has several in one file; None takes all
    absent_ok a picture that is listed need not be there, where the labels say how large it is (COCO's format)
    Raises LabelError with file and record where labels cannot be used, MissingExtra without scipy for a .mat.
    """
    path, folder = Path(path), Path(images) if images is not None else None
    try:
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES)
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    if folder is not None and not folder.is_dir():
        raise LabelError(f"{path}: no folder of pictures at {folder}")
    if start.startswith(MATLAB):
        labels = _read_mat(path, folder, split)
    elif LIST_OF_PEOPLE.match(start):
        labels = read_mpii_json(path, folder, split)
    elif split:
        raise LabelError(f"{path}: labels in COCO's format have no parts, got split {split}")
    else:
        return read_coco(path, folder, skeleton, absent_ok)
    try:
        return labels if skeleton is None else labels.mapped(skeleton)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None


def _read_mat(path: Path, images: Path | None, split: Split | None) -> Labels:
    variables = read_mat(path)
    if "RELEASE" in variables:
        return read_mpii_mat(path, variables, images, split)
    if "examples" in variables:
        return read_flic(path, variables, images, split)
    if "joints" in variables:
        return read_lsp(path, variables, images, split)
    names = ", ".join(name for name in variables if not name.startswith("__"))
    raise LabelError(
        f"{path} holds {names or 'nothing'}: expected RELEASE of MPII, examples of FLIC, or joints of LSP or LSPET"
    )
