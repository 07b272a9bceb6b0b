"""Reads labels of any registered format, which is detected by content and not by suffix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.formats import FORMATS, Format, ReadOptions
from cairn.datasets.formats.format import first_bytes
from cairn.datasets.formats.matlab import variable_names
from cairn.datasets.formats.yaml_file import yaml_in
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton

LABEL_STUDIO = re.compile(rb'\s*\[\s*\{(?s:.)*"(annotations|data|drafts|predictions)"\s*:')
SKELETON = re.compile(rb"(?s:.)*\bdataset_info\s*=|\s*(#.*\s+)*name\s*=\s*[\"']")
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_labels(
    path: str | Path,
    images: str | Path | None = None,
    skeleton: Skeleton | None = None,
    split: str | None = None,
    missing_ok: bool = False,
    problems: Problems | None = None,
    frames: Path | None = None,
    formats: Sequence[Format] = FORMATS,
) -> Labels:
    """Reads labels of any registered format.

    Args:
        path: File or folder.
        images: Folder of the images; None searches where the tools put them.
        skeleton: Skeleton to map the labels to, matched by joint name; None takes the labels' own. Labels without
            joint names take its names in order, where it has as many joints.
        split: Split of a data set that has several in one file; None takes all.
        missing_ok: Whether a listed image may be missing, where the labels state its size (COCO).
        problems: Collects skipped records; None raises at the first.
        frames: Folder to write images to that are frames of videos or embedded in the label file (SLEAP); None
            raises for such files.
        formats: The registered formats.

    Raises:
        LabelError: The labels cannot be used. Names the file and the record.
        MissingExtra: Reading needs a package that is not installed.
    """
    path, folder = Path(path), Path(images) if images is not None else None
    if folder is not None and not folder.is_dir():
        raise LabelError(f"{path}: no folder of images at {folder}")
    source = detect_format(path, formats)
    if source.read is None:
        raise LabelError(f"{path}: {source.title} can be written but not read")
    if split and split not in source.splits:
        splits = f"the splits {', '.join(source.splits)}" if source.splits else "no splits"
        raise LabelError(f"{path}: labels in {source.name} format have {splits}, got split {split}")
    labels = source.read(path, ReadOptions(folder, skeleton, split, missing_ok, problems or Problems(), frames))
    try:
        return labels if skeleton is None else labels.mapped(skeleton)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None


def detect_format(path: Path, formats: Sequence[Format] = FORMATS) -> Format:
    """Returns the format of a file or folder by its content.

    Raises:
        LabelError: It is of no registered format, empty, or damaged.
        MissingExtra: Detection needs a package that is not installed.
    """
    start = first_bytes(path)
    if not path.is_dir() and not start.strip():
        raise LabelError(f"{path} is empty")
    if LABEL_STUDIO.match(start):
        raise LabelError(f"{path} is Label Studio's own JSON: export as COCO, with boxes around the keypoints")
    match = next((candidate for candidate in formats if candidate.sniff(path)), None)
    if match is None:
        raise LabelError(_reason(path, start, formats))
    return match


def _reason(path: Path, start: bytes, formats: Sequence[Format]) -> str:
    """Returns why a path is of no registered format, and what is expected."""
    if (table := yaml_in(path)) is not None:
        return f"{table} has neither kpt_shape (YOLO-pose) nor bodyparts (DeepLabCut): it describes no keypoints"
    if path.is_dir():
        return f"{path} is a folder without data.yaml (YOLO), labeled-data (DeepLabCut) or .pts files (300-W)"
    if start.startswith(b"MATLAB"):
        names = ", ".join(variable_names(path)) or "no variables"
        return f"{path} has {names}: expected RELEASE of MPII, examples of FLIC, or joints of LSP or LSPET"
    if SKELETON.match(start):
        return f"{path} describes a skeleton, not images: give it with --skeleton"
    what = "is not UTF-8 text" if start[:2] in UTF16 else "is in an unknown format"
    return f"{path} {what}: expected {', '.join(known.title for known in formats if known.read)}"
