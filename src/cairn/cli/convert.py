"""`cairn convert`: labels of one tool in the form of another, and the skeleton that they imply."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.errors import CairnError, OutputError

if TYPE_CHECKING:
    from cairn.datasets.labels import Labels
    from cairn.structures.skeleton import Skeleton

SHOWN = 5
"""Records that were left out and are named; of the others there is the number."""


class Form(StrEnum):
    COCO = "coco"
    YOLO = "yolo"
    CSV = "csv"
    PARQUET = "parquet"
    TOML = "toml"


class Part(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="Labels: COCO (CVAT, Label Studio, coco-annotator), YOLO-pose, SLEAP, DeepLabCut, 300-W, MPII, LSP, "
            "FLIC, Cairn's tables; or an mmpose dataset_info, where DST is a .toml.",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="DST", help=".json for COCO, .csv, .parquet, a folder for YOLO-pose, .toml for the skeleton alone."
        ),
    ],
    to: Annotated[Form | None, typer.Option(help="The form of DST. [by its name]", show_default=False)] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [where the tool puts them]", show_default=False),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(help="Name, .toml, or mmpose .py: joints by name, limbs, flip pairs, sigmas.", show_default=False),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out what cannot be used, and count it.")] = False,
    split: Annotated[
        Part | None, typer.Option(help="Only this part of SRC, where one file holds several.", show_default=False)
    ] = None,
    part: Annotated[
        Part | None,
        typer.Option(help="Of a YOLO folder, the part to write. [SRC's name, or train]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Convert labels, and show the skeleton for correction.

    The skeleton is also written to DST.skeleton.toml. Correct it there, and give it back:

    cairn convert labels.slp mice.json --skeleton mice.skeleton.toml --overwrite
    """
    import shutil
    import tempfile

    from cairn.datasets.formats.skeleton_file import read_skeleton, skeleton_beside, write_skeleton
    from cairn.datasets.limbs import infer_limbs
    from cairn.datasets.problems import Problems
    from cairn.datasets.reading import read_labels
    from cairn.datasets.writing import form_by_name, write_labels

    form = to.value if to else "toml" if target.suffix == ".toml" else form_by_name(target)
    given = read_skeleton(skeleton) if skeleton else None
    if source.suffix == ".py":
        if form != "toml":
            raise OutputError(f"{source} describes a skeleton, not images: DST must be a .toml, got {target}")
        _free(target, source, overwrite)
        write_skeleton(read_skeleton(source), target)
        print(target)
        return
    if part is None and form == "yolo":
        part = Part(source.stem) if source.stem in {p.value for p in Part} else Part.TRAIN
    _free(target / "images" / part.value if form == "yolo" and part else target, source, overwrite)
    problems = Problems(skip_bad)
    with ExitStack() as tidying:
        # A YOLO folder has copies of its images: those cut out of a video need not stay.
        copied = form in ("yolo", "toml")
        frames = Path(tidying.enter_context(tempfile.TemporaryDirectory())) if copied else target.parent / "images"
        if not frames.exists():
            tidying.push(lambda kind, *_: shutil.rmtree(frames, ignore_errors=True) if kind else None)
        labels = read_labels(source, images, given, split.value if split else None, problems=problems, frames=frames)
        limbs_given = bool(labels.skeleton.limbs) or given is not None
        if given is None:
            labels = infer_limbs(labels)
        definition = target if form == "toml" else skeleton_beside(target)
        notes = _notes(labels.skeleton, source, limbs_given)
        write_it = not _is_there(labels.skeleton, definition, skeleton, overwrite)
        lost = () if form == "toml" else write_labels(labels, target, form, part.value if part else None)
    if write_it:
        write_skeleton(labels.skeleton, definition, notes)
    _print(labels, notes[1:])
    for line in (*lost, *_left_out(problems.skipped)):
        print(line, file=sys.stderr)
    print(target)
    if write_it and definition != target:
        print(f"{definition}: what is wrong there, correct, and give it with --skeleton", file=sys.stderr)


def _free(target: Path, source: Path, overwrite: bool) -> None:
    """Nothing that is there goes without being asked for, and the source never."""
    if target.resolve() == source.resolve() or (source.exists() and target.resolve() in source.resolve().parents):
        raise OutputError(f"{target} is what is to be converted: choose another name")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} is there already: choose another name, or say --overwrite")


def _is_there(skeleton: Skeleton, path: Path, given: str | None, overwrite: bool) -> bool:
    """The file says the same, or is the one that the user gave. Raises OutputError where it says otherwise."""
    from cairn.datasets.formats.skeleton_file import read_skeleton

    if not path.exists():
        return False
    if given is not None and Path(given).exists() and path.samefile(given):
        return True
    try:
        if read_skeleton(path) == skeleton:
            return True
    except CairnError:
        pass  # then it says otherwise
    if overwrite:
        return False
    raise OutputError(f"{path} is there already and says otherwise: give it with --skeleton, or say --overwrite")


def _notes(skeleton: Skeleton, source: Path, limbs_given: bool) -> tuple[str, ...]:
    """A title, and where limbs, flip pairs and sigmas come from."""
    from cairn.datasets.limbs import skeleton_origins

    return (f"The skeleton of {source.name}. Correct what is wrong here.", *skeleton_origins(skeleton, limbs_given))


def _print(labels: Labels, notes: tuple[str, ...]) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Column, Table

    skeleton = labels.skeleton
    visibility = np.concatenate([image.annotation.visibility for image in labels])
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    figures = (Column(name, justify="right") for name in ("labeled", "hidden", "sigma"))
    table = Table("joint", "mirrors", "limbs to", *figures, box=None)
    flips = skeleton.flip_order
    for i, joint in enumerate(skeleton.joints):
        others = [skeleton.joints[b] for a, b in skeleton.limbs if a == i]
        mirror = skeleton.joints[flips[i]] if flips[i] != i else ""
        counts = (str(int((visibility[:, i] > 0).sum())), str(int((visibility[:, i] == 1).sum())))
        table.add_row(joint, mirror, ", ".join(others), *counts, f"{skeleton.sigmas[i]:g}")
    console.print(f"{len(labels)} images, {len(visibility)} objects, skeleton {skeleton.name}", markup=False)
    console.print(table)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    if unknown := [joint for joint, known in zip(skeleton.joints, labels.labeled_joints, strict=True) if not known]:
        console.print(f"never labeled: {', '.join(unknown)}", markup=False, soft_wrap=True)


def _left_out(skipped: list[str]) -> list[str]:
    if not skipped:
        return []
    more = [f"and {len(skipped) - SHOWN} more"] if len(skipped) > SHOWN else []
    return [f"left out: {len(skipped)} bad records", *(f"  {line}" for line in skipped[:SHOWN]), *more]
