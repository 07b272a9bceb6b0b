"""The label files of a project: of the scorer and of the videos of config.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cairn.datasets.formats.deeplabcut.config import Project, comparable
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

PREFIX = "CollectedData_"
MAX_NAMES = 5  # in a message


class LabelFile(NamedTuple):
    """The labels of one folder by one scorer: a .csv, an .h5, or both."""

    folder: Path
    scorer: str
    paths: tuple[Path, ...]


def label_files(root: Path, project: Project | None, problems: Problems) -> list[LabelFile]:
    """Returns the files that DeepLabCut makes training data of.

    Args:
        root: Folder of the project.
        project: Its config.yaml; None where there is none, so that all files count.
        problems: Collects notes of what is skipped.

    Raises:
        LabelError: There are none.
    """
    files = _all_files(root)
    if not files:
        raise LabelError(f"{root} has no labeled-data/VIDEO/{PREFIX}SCORER.csv: label some images first")
    if project is None:
        return files
    return _of_scorer(_of_videos(files, project, problems), project, problems)


def listed(names: Iterable[str]) -> str:
    """Returns names for a message, at most MAX_NAMES of them."""
    unique = list(dict.fromkeys(names))
    more = len(unique) - MAX_NAMES
    return ", ".join(unique[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _all_files(root: Path) -> list[LabelFile]:
    found: dict[tuple[Path, str], list[Path]] = {}
    for suffix in (".csv", ".h5"):
        for path in sorted((root / "labeled-data").glob(f"*/{PREFIX}*{suffix}")):
            found.setdefault((path.parent, path.stem.removeprefix(PREFIX)), []).append(path)
    return [LabelFile(folder, scorer, tuple(found[folder, scorer])) for folder, scorer in sorted(found)]


def _of_videos(files: list[LabelFile], project: Project, problems: Problems) -> list[LabelFile]:
    if not project.videos:
        return files
    kept = [file for file in files if comparable(file.folder.name) in project.videos]
    if not kept:
        problems.note(f"no folder of labeled-data is in video_sets of {project.path.name}, all are read")
        return files
    if others := [file.folder.name for file in files if file not in kept]:
        problems.note(
            f"folders of labeled-data that are not in video_sets of {project.path.name} are skipped", listed(others)
        )
    return kept


def _of_scorer(files: Sequence[LabelFile], project: Project, problems: Problems) -> list[LabelFile]:
    if not project.scorers:
        return list(files)
    kept = [file for file in files if comparable(file.scorer) in project.scorers]
    others = [file.scorer for file in files if file not in kept]
    if not kept:
        raise LabelError(
            f"{project.path} has the scorer {project.scorers[0]}, but the labels are of {listed(others)}: correct the "
            "scorer, or give one of the files"
        )
    if others:
        problems.note(
            f"labels of other scorers than {project.scorers[0]} of {project.path.name} are skipped", listed(others)
        )
    if folders := {file.folder.name for file in files} - {file.folder.name for file in kept}:
        problems.note(f"folders without labels of {project.scorers[0]} are skipped", listed(sorted(folders)))
    return kept
