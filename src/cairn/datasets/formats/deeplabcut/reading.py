"""Reads DeepLabCut's labels and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cairn.datasets.containers.hdf5 import check_readable
from cairn.datasets.containers.text_file import exists
from cairn.datasets.containers.yaml_file import SUFFIXES
from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.deeplabcut.config import Project, comparable, find_project
from cairn.datasets.formats.deeplabcut.csv_file import read_csv
from cairn.datasets.formats.deeplabcut.data_frame import read_data_frame
from cairn.datasets.formats.deeplabcut.label_files import PREFIX, label_files, listed
from cairn.datasets.formats.deeplabcut.predictions import confident_rows
from cairn.datasets.formats.deeplabcut.sheet import UNIQUE, Sheet, make_sheet
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, ListedImage, collect
from cairn.datasets.formats.video_frames import last_number
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, MissingExtra
from cairn.structures.skeleton import Skeleton


def read_deeplabcut(path: Path, options: ReadOptions) -> Labels:
    """Reads the labels of a file, or of a project by its folder or its config.yaml.

    In a project, config.yaml selects the scorer and the videos, and states the joints and their order. The index of an
    individual is its track ID, unless `identity` is false. Body parts that occur once in the image are an instance of
    their own. Predictions count from a minimum confidence on.

    Raises:
        LabelError: A record is invalid. Names the file and the image.
        MissingExtra: A package for .h5 or .yaml files is not installed.
    """
    problems, project = options.problems, find_project(path)
    is_project = path.is_dir() or path.suffix.lower() in SUFFIXES
    root = path if path.is_dir() else path.parent
    if path.suffix.lower() == ".h5":
        check_readable([path])
    sheets = _project_sheets(root, project, problems) if is_project else [(path, _given_sheet(path, project, options))]
    joints = _joints(sheets, project, path, problems)
    sheets = [(file, _with_individuals(sheet, project)) for file, sheet in sheets]
    present = dict.fromkeys(individual for _, sheet in sheets for individual, _, _ in sheet.columns)
    animals = [*(project.individuals if project else ()), *(name for name in present if name != UNIQUE)]
    individuals = list(dict.fromkeys([*animals, UNIQUE]))
    tracked = project is None or project.identity is not False
    if not tracked and any(individual for individual in present):
        problems.note("individuals are read without track IDs, because identity is false in config.yaml")
    base = project.path.parent if project is not None else root
    instances: list[Instance] = []
    entries: dict[str, ListedImage] = {}
    owners: dict[str, Path] = {}
    for file, sheet in sheets:
        names = [_image_name(name, base, file.parent, options.images) for name in sheet.names]
        sheet = Sheet(sheet.scorer, sheet.columns, tuple(names), sheet.values)
        for row, name in enumerate(names):
            with problems:
                if name in owners:
                    raise LabelError(_duplicate(name, owners[name], file))
                owners[name] = file
                instances += sheet.instances(row, individuals, joints, tracked, f"{file}: {name}")
                video = PurePosixPath(name.replace("\\", "/")).parent.name or file.parent.name
                entries[name] = ListedImage(name, None, (f"video {video}",), last_number(name))
    if not joints or not instances:
        raise LabelError(f"{path}: no image has a labeled joint")
    skeleton = _skeleton(joints, project, path)
    return collect(instances, skeleton, path, options.images or base, entries.values(), problems=problems)


def _project_sheets(root: Path, project: Project | None, problems: Problems) -> list[tuple[Path, Sheet]]:
    sheets: list[tuple[Path, Sheet]] = []
    others: list[str] = []
    entries = label_files(root, project, problems)
    check_readable([path for entry in entries for path in entry.paths if path.suffix == ".h5"])
    for entry in entries:
        file, sheet = _one_of(entry.paths, (entry.scorer,), problems)
        sheet = _without_confidence(sheet, file, problems)
        if project is not None and project.scorers and comparable(sheet.scorer) not in project.scorers:
            others.append(f"{file.parent.name}/{file.name} ({sheet.scorer})")
        else:
            sheets.append((file, sheet))
    if others and not sheets:
        raise LabelError(
            f"{root}: {listed(others)} has another scorer in its header than in its name: DeepLabCut's convertcsv2h5 "
            "corrects it"
        )
    if others:
        problems.note("label files with another scorer in the header than in the name are skipped", listed(others))
    return sheets


def _given_sheet(path: Path, project: Project | None, options: ReadOptions) -> Sheet:
    """The content of a file that is given by name."""
    scorers = (path.stem.removeprefix(PREFIX), *(project.scorers if project else ()))
    sheet = _read(path, scorers, options.problems)
    if path.name.startswith(PREFIX):
        return _without_confidence(sheet, path, options.problems)
    return confident_rows(sheet, path, options) if sheet.predicted else sheet


def _one_of(paths: Sequence[Path], scorers: Sequence[str], problems: Problems) -> tuple[Path, Sheet]:
    """The content of a .csv and an .h5 of the same labels: where they differ, that of the .h5."""
    first, *others = paths
    if not others:
        return first, _read(first, scorers, problems)
    table, frame = paths
    try:
        content = _read(frame, scorers, problems)
    except MissingExtra:
        return table, _read(table, scorers, problems)
    except LabelError as error:
        problems.note("damaged .h5 files are ignored where there is a .csv", str(error))
        return table, _read(table, scorers, problems)
    try:
        other = _read(table, scorers, Problems())
        if other.same_as(content):
            return table, other
        difference = str(table)
    except LabelError as error:
        difference = str(error)
    problems.note(".csv files that differ from their .h5 are ignored: DeepLabCut trains on the .h5", difference)
    return frame, content


def _read(path: Path, scorers: Sequence[str], problems: Problems) -> Sheet:
    if path.suffix.lower() == ".csv":
        return read_csv(path, scorers, problems)
    return make_sheet(*read_data_frame(path), path, scorers)


def _without_confidence(sheet: Sheet, file: Path, problems: Problems) -> Sheet:
    """Labels that were predictions once keep the confidences of those, which DeepLabCut drops, too."""
    if sheet.predicted:
        problems.note("likelihoods of labels are ignored", str(file))
    return sheet.points(minimum=0) if sheet.predicted else sheet


def _with_individuals(sheet: Sheet, project: Project | None) -> Sheet:
    """A file from before the project had several animals: of the first one, as DeepLabCut's convert2_maDLC does."""
    if project is None or not project.individuals or any(individual for individual, _, _ in sheet.columns):
        return sheet
    columns = tuple(
        (UNIQUE if part in project.unique else project.individuals[0], part, axis) for _, part, axis in sheet.columns
    )
    return Sheet(sheet.scorer, columns, sheet.names, sheet.values)


def _joints(
    sheets: Sequence[tuple[Path, Sheet]], project: Project | None, path: Path, problems: Problems
) -> tuple[str, ...]:
    """The body parts of config.yaml in its order, or those of the files."""
    present = tuple(dict.fromkeys(part for _, sheet in sheets for _, part, _ in sheet.columns))
    if project is None or not project.joints:
        return present
    others = [part for part in present if part not in project.joints]
    if len(others) == len(present):
        raise LabelError(
            f"{path}: its body parts {listed(present)} are none of those of {project.path}: {listed(project.joints)}"
        )
    if others:
        problems.note("body parts that config.yaml does not list are skipped", listed(others))
    return project.joints


def _image_name(name: str, base: Path, folder: Path, images: Path | None) -> str:
    """The name of an image; where there is none of this name in the project, of that beside the label file."""
    place = name.replace("\\", "/")
    beside = folder / place.rsplit("/", 1)[-1]
    if images is None and not exists(base / place) and place and exists(beside):
        return str(beside.absolute())
    return name


def _duplicate(name: str, first: Path, second: Path) -> str:
    if first == second:
        return f"{second}: {name} occurs twice: list an image once"
    return f"{second} labels {name}, which {first.name} labels already: set scorer in config.yaml, or give one file"


def _skeleton(joints: Sequence[str], project: Project | None, path: Path) -> Skeleton:
    limbs = () if project is None else project.limbs
    index = {joint: i for i, joint in enumerate(joints)}
    known = [(index[a], index[b]) for a, b in limbs if a in index and b in index]
    return make_skeleton("animal" if project is None else project.task, joints, known)
