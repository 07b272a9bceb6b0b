"""The annotation files that a configuration of mmpose names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from cairn.datasets.containers.text_file import exists
from cairn.datasets.formats.coco_files import AnnotationFile, read_files
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.mmpose.dataset_info import skeleton_of_info
from cairn.datasets.formats.mmpose.python_file import Unknown, read_values
from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import SPLITS, Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, SkeletonError
from cairn.structures.skeleton import Skeleton


@dataclass(frozen=True)
class Source:
    """A data set of a configuration: its annotation file, its folder of images, and where its skeleton is described."""

    split: str
    file: str
    images: str
    info: Any


def has_annotations(path: Path) -> bool:
    """Returns whether a Python file names annotation files.

    Raises:
        SkeletonError: The file is not valid Python.
    """
    return any(_data_set(read_values(path), split) is not None for split in SPLITS)


def read_config(path: Path, options: ReadOptions) -> Labels:
    """Reads the annotation files of train, val and test as splits.

    Paths are relative to the folder of the configuration, to the working folder, or to a folder above the
    configuration. The skeleton is that of `metainfo` or `dataset_info`, where it fits the annotations. A split with the
    annotations of another is skipped: many configurations test on the validation set.

    Raises:
        LabelError: A path cannot be determined without executing the file, or an annotation file is missing or invalid.
    """
    values = read_values(path)
    sources: list[Source] = []
    for split in SPLITS:
        own = list(_sources(_data_set(values, split), split, path))
        if own and {source.file for source in own} <= {source.file for source in sources if source.split != split}:
            other = next(source.split for source in sources if source.file == own[0].file)
            options.problems.note("splits with the annotations of another are skipped", f"{split} is {other}")
            if options.split == split:
                raise LabelError(f"{path}: {split} has the annotations of {other}: choose --split {other}")
            continue
        sources += own
    files = list(_existing(sources, path, options))
    skeletons = (_skeleton(source.info or values.get("dataset_info"), path, options) for source in sources)
    labels = read_files(files, path, options)
    return _in_skeleton(labels, next(filter(None, skeletons), None), path, options)


def _data_set(values: dict[str, Any], split: str) -> Any:
    """The table of a split: `train_dataloader.dataset` of version 1, `data.train` of version 0."""
    loader, data = values.get(f"{split}_dataloader"), values.get("data")
    if isinstance(loader, Unknown):
        return loader
    if isinstance(loader, dict) and loader.get("dataset"):
        return loader["dataset"]
    return data.get(split) if isinstance(data, dict) else None


def _sources(table: Any, split: str, path: Path, info: Any = None) -> Iterator[Source]:
    """The data sets of a table: one, a list, or those that another combines or repeats."""
    if isinstance(table, Unknown):
        raise LabelError(
            f"{table} for {split}: write the paths into {path.name}, or give the annotation files themselves"
        )
    if isinstance(table, list):
        for part in table:
            yield from _sources(part, split, path, info)
        return
    if not isinstance(table, dict):
        return
    info = table.get("metainfo") or table.get("dataset_info") or info
    for key in ("dataset", "datasets"):
        yield from _sources(table.get(key), split, path, info)
    if "ann_file" not in table:
        return
    prefix = table.get("data_prefix")
    images = (prefix.get("img") if isinstance(prefix, dict) else prefix) or table.get("img_prefix") or ""
    root = table.get("data_root") or ""
    for file in table["ann_file"] if isinstance(table["ann_file"], list) else [table["ann_file"]]:
        if file in (None, ""):
            continue
        for value, name in ((root, "data_root"), (file, "ann_file"), (images, "folder of images")):
            if not isinstance(value, str) or "\0" in value:
                reason = f"{value}" if isinstance(value, Unknown) else f"{path}: expected text"
                raise LabelError(f"{reason} for the {name} of {split}: write it as text, or give the annotation files")
        yield Source(split, _joined(root, file), _joined(root, images), info)


def _joined(root: str, name: str) -> str:
    return str(PurePosixPath(root.replace("\\", "/"), name.replace("\\", "/"))) if root or name else ""


def _existing(sources: list[Source], path: Path, options: ReadOptions) -> Iterator[AnnotationFile]:
    """The annotation files that exist. A split of which none exists is noted and skipped, unless it is asked for."""
    asked = [source for source in sources if options.split in (None, source.split)]
    if not asked:
        raise LabelError(f"{path} names no annotation file of {options.split or 'train, val or test'}")
    located = [(source, _located(source.file, path)) for source in asked]
    for source, file in located:
        if file is None and (options.split or not any(other for _, other in located)):
            raise LabelError(
                f"{path}: no annotation file at {source.file:.200} ({source.split}): run in the folder that it is in"
            )
        if file is None:
            options.problems.note("annotation files that do not exist are skipped", f"{source.split} is {source.file}")
            continue
        yield AnnotationFile(file, source.split, _image_folder(source.images, path, options.images))


def _folders(path: Path) -> list[Path]:
    """What paths may be relative to."""
    return [path.parent, Path.cwd(), *path.resolve().parents[1:-1]]


def _located(name: str, path: Path) -> Path | None:
    exact = [Path(name)] if Path(name).is_absolute() else [folder / name for folder in _folders(path)]
    for candidate in exact:
        if exists(candidate) and candidate.is_file():
            return candidate
    for folder in (path.parent, Path.cwd()):
        found = locate_images([name], path, folder, Problems(skip=True, log_notes=False))[0]
        if found is not None:
            return found
    return None


def _image_folder(name: str, path: Path, given: Path | None) -> Path | None:
    """The folder of images of a split; None searches for it as for any COCO file."""
    if given is not None:
        below = given / Path(name).name
        return below if name and exists(below) and below.is_dir() else given
    candidates = [Path(name)] if Path(name).is_absolute() else [folder / name for folder in _folders(path)]
    return (
        next((candidate for candidate in candidates if exists(candidate) and candidate.is_dir()), None)
        if name
        else None
    )


def _skeleton(info: Any, path: Path, options: ReadOptions) -> Skeleton | None:
    """The skeleton that a table describes, or the file that it names; None where it cannot be used."""
    if info is None:
        return None
    where = path
    try:
        if isinstance(info, dict) and isinstance(info.get("from_file"), str):
            found = _located(info["from_file"], path)
            if found is None:
                raise SkeletonError(f"{path}: no file at {info['from_file']:.200}")
            where, info = found, read_values(found).get("dataset_info")
        return skeleton_of_info(info, where)
    except SkeletonError as error:
        options.problems.note("descriptions of the skeleton that cannot be used are ignored", str(error))
        return None


def _in_skeleton(labels: Labels, skeleton: Skeleton | None, path: Path, options: ReadOptions) -> Labels:
    """The labels in the skeleton of the configuration, by name, or by number as mmpose does where names differ."""
    if skeleton is None or options.skeleton is not None:
        return labels
    if set(skeleton.joints) == set(labels.skeleton.joints):
        return labels.mapped(skeleton)
    if len(skeleton) == len(labels.skeleton):
        options.problems.note(
            "joint names of annotation files are replaced by those of the configuration",
            f"{labels.skeleton.joints[0]} is {skeleton.joints[0]}",
        )
        return replace(labels, skeleton=skeleton)
    options.problems.note(
        "descriptions of the skeleton that cannot be used are ignored",
        f"{path} has {len(skeleton)} joints, the annotation files have {len(labels.skeleton)}",
    )
    return labels
