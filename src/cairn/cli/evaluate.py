"""`cairn evaluate`: how good a model is, on labels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairn.errors import CairnError, LabelError

if TYPE_CHECKING:
    from cairn.evaluation.run import Evaluation


def evaluate(
    model: Annotated[str, typer.Argument(help="An embedded model, an .onnx file, or the folder of a run.")],
    labels: Annotated[Path, typer.Argument(help="Labels: COCO keypoints, or MPII, FLIC, LSP as published.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of their pictures. [images/ beside the labels, or there]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. [a new one: evaluation-MODEL]", show_default=False)
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Length that errors are measured in: mpii (head), lsp and flic (torso), eyes, face (outer eye "
            "corners), box, diagonal, or any two joints as FROM:TO. [what these labels are published with]",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="PCK's, in that length. [the published one]", show_default=False)
    ] = None,
    mean: Annotated[str, typer.Option(help="PCK's mean: joints (each weighs the same) or pooled.")] = "joints",
    joints: Annotated[
        str | None,
        typer.Option(
            "--skeleton", help="Joints to measure, by name or a .toml file. [the model's]", show_default=False
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of a published set with several in one file: train or val.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pictures.", show_default=False)] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side shown to the network. [the model's]", show_default=False)
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 is all.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the model's decoding; may be repeated.")
    ] = None,
) -> None:
    """Measure a model on labelled pictures.

    Prints a table and writes metrics.json, pck.png, worst.jpg and report.html. A model that looks for objects is
    measured by COCO's OKS AP, with PCK beside it; one that finds a single object by PCK.
    """
    from dataclasses import replace

    from cairn.annotations.read import read_labels
    from cairn.evaluation.protocols import protocol_of
    from cairn.evaluation.report import free_of_reports, write_report
    from cairn.evaluation.run import evaluate as run
    from cairn.evaluation.run import in_joints
    from cairn.load import load
    from cairn.skeleton import skeleton

    if mean not in ("joints", "pooled"):
        raise CairnError(f"--mean is joints or pooled, got {mean!r}")
    if threshold is not None and not threshold > 0:
        raise CairnError(f"--threshold must be positive, got {threshold:g}")
    if split not in (None, "train", "val"):
        raise CairnError(f"--split is train or val, got {split!r}")
    protocol = protocol_of(metric) if metric else None
    path = Path(model) / "model.onnx" if Path(model).is_dir() else model
    predictor = load(path, threads=threads, size=size, **_settings(settings or []))
    bones = skeleton(joints) if joints else predictor.spec.skeleton
    truth = read_labels(labels, images, bones, split)  # type: ignore[arg-type]  # checked above
    if limit:
        truth = replace(truth, pictures=truth.pictures[:limit])
        if not any(picture.annotation.labelled.any() for picture in truth):
            raise LabelError(f"the first {limit} pictures of {labels} have no labelled object: raise --limit")
    folder = out or _new_folder(f"evaluation-{predictor.spec.name}")
    with _kept_if_used(free_of_reports(folder)), _progress(len(truth)) as progress:
        fit = predictor.spec.input.fit
        finder = in_joints(predictor, predictor.spec.skeleton, truth)
        result = run(finder, truth, fit, protocol, threshold, "pooled" if mean == "pooled" else "joints", progress)
        written = write_report(result, folder, {"model": predictor.spec.name, "labels": str(labels)})
    _print(result)
    print(f"{', '.join(entry.name for entry in written)} -> {folder}", file=sys.stderr)
    if folder / "pck.png" not in written:
        print("no plot: it needs matplotlib, pip install 'cairn[train]'", file=sys.stderr)


def _settings(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as keyword arguments of `load`, values as recipes have them."""
    from cairn.training.recipe import override

    for pair in pairs:
        if "=" not in pair:
            raise CairnError(f"--set takes NAME=VALUE, such as flip=true or peak_threshold=0.1, got {pair!r}")
    values = override({}, pairs)
    if taken := {"model", "size", "threads"} & set(values):
        raise CairnError(f"--set is for decoding, got {', '.join(sorted(taken))}: give it as an option of its own")
    return values


def _new_folder(name: str) -> Path:
    number = 1
    while (folder := Path(name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


@contextmanager
def _kept_if_used(folder: Path) -> Iterator[None]:
    """No empty folder stays behind where something went wrong."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty: then it was there before
            folder.rmdir()
        raise


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None] | None]:
    """Something to call with the number of pictures done; a bar on stderr, only for people."""
    if not sys.stderr.isatty():
        yield None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as bar:
        task = bar.add_task("evaluating", total=count)
        yield lambda done: bar.update(task, completed=done)


def _print(result: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    from cairn.evaluation.report import NME, headline, joint_rows, meaning_of, meaning_of_error, name_of

    # As wide as it needs where nobody looks: a file or a program gets whole lines.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    joints = Table("joint", *(_right(name) for name in ("keypoints", name_of(result.pck), NME, "sigma")), box=None)
    for row in joint_rows(result):
        joints.add_row(*row)
    console.print(joints)
    figures = Table("", _right(""), box=None, show_header=False)
    for name, value in headline(result).items():
        figures.add_row(name, value)
    console.print()
    console.print(figures)
    console.print(f"{name_of(result.pck)}: {meaning_of(result.pck)}", markup=False, soft_wrap=True)
    console.print(f"{NME}: {meaning_of_error(result.error)}", markup=False, soft_wrap=True)
    if result.oks is not None:
        console.print("OKS with the sigmas of the table, at most 20 finds a picture", markup=False)


def _right(title: str) -> Any:
    from rich.table import Column

    return Column(title, justify="right")
