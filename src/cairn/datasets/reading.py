"""The door for labels: a file or folder of any form that Cairn knows, told by what is in it and not by its name."""

from __future__ import annotations

import re
from pathlib import Path

from cairn.datasets.formats.coco import read_coco
from cairn.datasets.formats.deeplabcut import read_deeplabcut
from cairn.datasets.formats.flic import read_flic
from cairn.datasets.formats.lsp import read_lsp
from cairn.datasets.formats.matlab import read_mat
from cairn.datasets.formats.mpii import read_mpii_json, read_mpii_mat
from cairn.datasets.formats.people import Split
from cairn.datasets.formats.pts import read_pts
from cairn.datasets.formats.sleap import read_sleap
from cairn.datasets.formats.table import read_table
from cairn.datasets.formats.yaml_file import read_yaml
from cairn.datasets.formats.yolo import read_yolo
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError, MissingExtra
from cairn.structures.skeleton import Skeleton

FIRST_BYTES = 512
HDF5 = b"\x89HDF\r\n\x1a\n"
TEXT = {  # of the first line of a text file
    "pts": re.compile(rb"\s*version\s*:\s*\d+\s+n_points"),
    "deeplabcut": re.compile(rb"scorer,"),
    "table": re.compile(rb"(?=.*\bimage\b).*\bjoint\b"),
    "label-studio": re.compile(rb'\s*\[\s*\{(?s:.)*"(annotations|data|drafts|predictions)"\s*:'),
    "mpii": re.compile(rb'\s*(\[|\{\s*"root")'),
    "coco": re.compile(rb"\s*\{"),
    "skeleton": re.compile(rb"(?s:.)*\bdataset_info\s*=|\s*(#.*\s+)*name\s*=\s*[\"']"),
}
KNOWN = (
    "COCO's JSON, a YOLO data.yaml or its folder, SLEAP's .slp, DeepLabCut's CollectedData (.csv, .h5) or its project, "
    "300-W's .pts, Cairn's .csv or .parquet, MPII's .mat or .json, FLIC's or LSP's .mat"
)


def read_labels(
    path: str | Path,
    images: str | Path | None = None,
    skeleton: Skeleton | None = None,
    split: Split | None = None,
    absent_ok: bool = False,
    faults: Faults | None = None,
    frames: Path | None = None,
) -> Labels:
    """Labels in any form that `form_of` tells.

    images    folder of the images; None looks where the tools put them
    skeleton  the joints wanted, matched by name; None takes the labels' own. Labels that do not name their joints
              take its names in order, where it has as many
    split     part of a set that has several in one file; None takes all
    absent_ok an image that is listed need not be there, where the labels say how large it is (COCO's format)
    faults    takes the records that cannot be used; None lets none pass
    frames    where to write images that are in videos or in the label file itself (SLEAP); None refuses those
    Raises LabelError with file and record where labels cannot be used, MissingExtra where reading needs a package.
    """
    path, folder = Path(path), Path(images) if images is not None else None
    form = form_of(path)
    if folder is not None and not folder.is_dir():
        raise LabelError(f"{path}: no folder of images at {folder}")
    if split and form not in ("matlab", "mpii", "yolo"):
        raise LabelError(f"{path}: labels of this form ({form}) have no parts, got split {split}")
    match form:
        case "coco":
            return read_coco(path, folder, skeleton, absent_ok, faults)
        case "matlab":
            labels = _read_mat(path, folder, split, faults)
        case "mpii":
            labels = read_mpii_json(path, folder, split, faults)
        case "yolo":
            labels = read_yolo(_yaml_in(path), folder, skeleton, split, faults)
        case "deeplabcut":
            labels = read_deeplabcut(path, folder, faults)
        case "sleap":
            labels = read_sleap(path, folder, frames, faults)
        case "pts":
            labels = read_pts(path, folder, skeleton, faults)
        case _:
            labels = read_table(path, folder, skeleton, faults)
    try:
        return labels if skeleton is None else labels.mapped(skeleton)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None


def form_of(path: Path) -> str:
    """coco, yolo, sleap, deeplabcut, pts, table, matlab (MPII, FLIC, LSP) or mpii (JSON), by content.

    Raises LabelError where it is none of these.
    """
    if path.is_dir():
        return _form_of_folder(path)
    try:
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    if not start.strip():
        raise LabelError(f"{path} is empty")
    if start.startswith(b"MATLAB"):
        return "matlab"
    if start.startswith(HDF5):
        return _form_of_hdf5(path)
    if start.startswith(b"PAR1"):
        return "table"
    if path.suffix.lower() in (".yaml", ".yml"):
        return _form_of_yaml(path)
    form = next((form for form, pattern in TEXT.items() if pattern.match(start)), None)
    if form == "label-studio":
        raise LabelError(f"{path} is Label Studio's own JSON: export as COCO, with boxes around the keypoints")
    if form == "skeleton":
        raise LabelError(f"{path} describes a skeleton, not images: give it with --skeleton")
    if form is None:
        what = "no UTF-8 text" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "of no form that Cairn knows"
        raise LabelError(f"{path} is {what}: expected {KNOWN}")
    return form


def _form_of_folder(path: Path) -> str:
    if (path / "labeled-data").is_dir():
        return "deeplabcut"
    if any(path.glob("*.yaml")) or any(path.glob("*.yml")):
        return _form_of_yaml(_yaml_in(path))
    if next(path.rglob("*.pts"), None) is not None:
        return "pts"
    raise LabelError(f"{path} is a folder without data.yaml (YOLO), labeled-data (DeepLabCut) or .pts files (300-W)")


def _yaml_in(path: Path) -> Path:
    """The file that describes a folder."""
    if not path.is_dir():
        return path
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    named = [file for file in files if file.stem in ("data", "dataset")] or files
    if len(named) != 1:
        raise LabelError(f"{path} has {len(files)} .yaml files: give the one that describes the data")
    return named[0]


def _form_of_yaml(path: Path) -> str:
    table = read_yaml(path)
    if "kpt_shape" in table:
        return "yolo"
    if "bodyparts" in table:
        return "deeplabcut"
    raise LabelError(f"{path} has neither kpt_shape (YOLO-pose) nor bodyparts (DeepLabCut): it describes no keypoints")


def _form_of_hdf5(path: Path) -> str:
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "io") from None
    try:
        with h5py.File(path) as file:
            return "sleap" if {"metadata", "frames"} <= set(file) else "deeplabcut"
    except OSError:
        raise LabelError(
            f"{path} is damaged: it is HDF5 (as SLEAP and DeepLabCut write) and cannot be opened"
        ) from None


def _read_mat(path: Path, images: Path | None, split: Split | None, faults: Faults | None) -> Labels:
    variables = read_mat(path)
    if "RELEASE" in variables:
        return read_mpii_mat(path, variables, images, split, faults)
    if "examples" in variables:
        return read_flic(path, variables, images, split, faults)
    if "joints" in variables:
        return read_lsp(path, variables, images, split, faults)
    names = ", ".join(name for name in variables if not name.startswith("__"))
    raise LabelError(
        f"{path} holds {names or 'nothing'}: expected RELEASE of MPII, examples of FLIC, or joints of LSP or LSPET"
    )
