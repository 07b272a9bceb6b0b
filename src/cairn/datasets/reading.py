"""Reads labels of any registered format, which is detected by content and not by suffix."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.containers.matlab import variable_names
from cairn.datasets.containers.text_file import UTF16, first_bytes
from cairn.datasets.containers.yaml_file import yaml_in
from cairn.datasets.exclusion import Exclusion, listed_names
from cairn.datasets.formats import FORMATS, Format, ReadOptions
from cairn.datasets.formats.mpii.ground_truth import read_ground_truth, with_ground_truth
from cairn.datasets.formats.yolo import missing_yaml
from cairn.datasets.garbage import no_garbage_collection
from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.media.folders import walk_folder

log = logging.getLogger(__name__)

SKELETON = re.compile(rb"(?s:.)*\bdataset_info\s*=|\s*(#.*\s+)*name\s*=\s*[\"']")


def read_labels(
    path: str | Path,
    options: ReadOptions | None = None,
    formats: Sequence[Format] = FORMATS,
) -> Labels:
    """Reads labels of any registered format.

    Args:
        path: File or folder.
        options: What to read and how; None takes the defaults.
        formats: The registered formats.

    Raises:
        LabelError: The labels cannot be used. Names the file and the record.
        MissingExtra: Reading needs a package that is not installed.
    """
    path, options = Path(path), options or ReadOptions()
    if options.images is not None and not options.images.is_dir():
        raise LabelError(f"{path}: no folder of images at {options.images}")
    source = detect_format(path, formats)
    if source.read is None:
        raise LabelError(f"{path}: {source.title} can be written but not read")
    if options.split and options.split not in source.splits:
        splits = f"the splits {', '.join(source.splits)}" if source.splits else "no splits"
        raise LabelError(f"{path}: labels in {source.name} format have {splits}, got split {options.split}")
    with no_garbage_collection():
        labels = source.read(path, options)
    if options.gt is not None:
        labels = with_ground_truth(labels, read_ground_truth(options.gt), path)
    if options.exclude is not None:
        labels = _without_excluded(labels, path, options)
    if options.category is not None and not source.selects_category:
        labels = _of_category(labels, options.category, path)
    if options.problems.log_notes:
        for note in options.problems.notes:
            log.warning("%s: %s", path, note)
    try:
        return labels if options.skeleton is None else labels.mapped(options.skeleton)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None


def read_image_paths(path: Path, images: Path | None = None) -> list[Path]:
    """Returns the paths of the images that labels of any registered format list, for methods that need no labels.

    Args:
        path: File or folder of labels.
        images: Folder of the images.

    Raises:
        LabelError: The labels cannot be read, or an image is missing.
    """
    source, options = detect_format(path), ReadOptions(images)
    if source.image_paths is None:
        return [image.path for image in read_labels(path, options)]
    if images is not None and not images.is_dir():
        raise LabelError(f"{path}: no folder of images at {images}")
    found = source.image_paths(path, options)
    for note in options.problems.notes:
        log.warning("%s: %s", path, note)
    return found


def read_exclusion(path: Path, images: Path | None = None) -> Exclusion:
    """Reads the images to exclude: a text file of names, labels, or a folder of images.

    Args:
        path: The list.
        images: Folder of the images, where the list is labels.

    Raises:
        LabelError: It is neither, or cannot be read.
    """
    if (names := listed_names(path)) is not None:
        return Exclusion(path, names)
    if path.is_dir() and not any(known.sniff(path) for known in FORMATS if "" in known.suffixes):
        return Exclusion(path, tuple(str(image) for image in walk_folder(path, SUFFIXES)))
    options = ReadOptions(images, missing_ok=True, problems=Problems(log_notes=False))
    return Exclusion(path, tuple(image.path.as_posix() for image in read_labels(path, options)))


def _without_excluded(labels: Labels, path: Path, options: ReadOptions) -> Labels:
    assert options.exclude is not None
    try:
        kept = read_exclusion(options.exclude, options.images).apply(labels, options.problems)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None
    if options.problems.log_notes:
        log.info("%s: %d of %d images are excluded by %s", path, len(labels) - len(kept), len(labels), options.exclude)
    return kept


def _of_category(labels: Labels, category: str, path: Path) -> Labels:
    if not labels.classes:
        raise LabelError(f"{path} has no categories to choose from, got category {category!r}: omit it")
    try:
        return labels.of_class(category)
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
    match = next((candidate for candidate in formats if candidate.sniff(path)), None)
    if match is None:
        raise LabelError(_reason(path, start, formats))
    return match


def _reason(path: Path, start: bytes, formats: Sequence[Format]) -> str:
    """Returns why a path is of no registered format, and what is expected."""
    if (table := yaml_in(path)) is not None:
        return f"{table} has neither kpt_shape (YOLO-pose) nor bodyparts (DeepLabCut): it describes no keypoints"
    if (reason := missing_yaml(path)) is not None:
        return reason
    if path.is_dir():
        return (
            f"{path} is a folder without data.yaml (YOLO), labeled-data (DeepLabCut), annotations.xml (CVAT), .pts "
            "files (300-W), or .json files of LabelMe or OpenPose"
        )
    if start.startswith(b"MATLAB"):
        names = ", ".join(variable_names(path)) or "no variables"
        return f"{path} has {names}: expected RELEASE of MPII, examples of FLIC, or joints of LSP or LSPET"
    if SKELETON.match(start):
        return f"{path} describes a skeleton, not images: give it with --skeleton"
    what = "is not UTF-8 text" if start[:2] in UTF16 else "is in an unknown format"
    return f"{path} {what}: expected {', '.join(known.title for known in formats if known.read)}"
