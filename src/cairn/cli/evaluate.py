"""`cairn evaluate`: how good a model is, on labels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairn.errors import CairnError, LabelError

if TYPE_CHECKING:
    from cairn.evaluation.metrics.pck import Mean


def evaluate(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... LABELS",
            help="Models, each an embedded one, an .onnx file or the folder of a run; and, last, labels: COCO "
            "keypoints, or MPII, FLIC, LSP as published.",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of their images. [images/ beside the labels, or there]", show_default=False),
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
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first images.", show_default=False)] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side shown to the network. [the model's]", show_default=False)
    ] = None,
    net_resolution: Annotated[
        str | None,
        typer.Option(
            help="Width and height shown to the network, WxH in place of --size; -1 for what follows from the image.",
            show_default=False,
        ),
    ] = None,
    scales: Annotated[
        int | None, typer.Option(min=1, help="Show each image so often, ever smaller. [the model's]")
    ] = None,
    scale_gap: Annotated[float, typer.Option(help="Between two of --scales: 1, 1 - gap, ...")] = 0.25,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 is all.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the model's decoding; may be repeated.")
    ] = None,
) -> None:
    """Measure a model on labeled images, or compare several.

    Prints tables and writes metrics.json, pck.png, worst.jpg and report.html. A model that looks for objects is
    measured by COCO's OKS AP, with PCK beside it; one that finds a single object by PCK.

    cairn evaluate person runs/mine labels.json
    """
    from dataclasses import replace

    from cairn.api.finders import resolution
    from cairn.api.load import load
    from cairn.cli.figures import print_comparison, print_evaluation
    from cairn.cli.reports import bar, kept_if_used
    from cairn.datasets.reading import read_labels
    from cairn.evaluation.evaluate import evaluate as run
    from cairn.evaluation.prediction import predict_in_skeleton
    from cairn.evaluation.protocols import protocol_of
    from cairn.evaluation.reports.compare import write_comparison
    from cairn.evaluation.reports.diagnosis import diagnose
    from cairn.evaluation.reports.report import prepare_report_folder, write_report
    from cairn.files import unused_folder
    from cairn.structures.skeleton import load_skeleton

    *models, last = given
    if not models:
        raise CairnError(f"give a model or several and, last, the labels to measure on; got only {last}")
    labels = Path(last)
    if mean not in ("joints", "pooled"):
        raise CairnError(f"--mean is joints or pooled, got {mean!r}")
    if threshold is not None and not threshold > 0:
        raise CairnError(f"--threshold must be positive, got {threshold:g}")
    if split not in (None, "train", "val"):
        raise CairnError(f"--split is train or val, got {split!r}")
    protocol = protocol_of(metric) if metric else None
    shape, decoding = resolution(size, net_resolution, scales, scale_gap), _settings(settings or [])
    paths = [Path(model) / "model.onnx" if Path(model).is_dir() else model for model in models]
    predictors = [load(path, threads=threads, size=shape, **decoding) for path in paths]
    names = _names([predictor.spec.name for predictor in predictors], models)
    skeleton = load_skeleton(joints) if joints else predictors[0].spec.skeleton
    truth = read_labels(labels, images, skeleton, split)
    if limit:
        truth = replace(truth, images=truth.images[:limit])
        if not any(image.annotation.labeled.any() for image in truth):
            raise LabelError(f"the first {limit} images of {labels} have no labeled object: raise --limit")
    try:
        finders = [predict_in_skeleton(predictor, predictor.spec.skeleton, truth) for predictor in predictors]
    except LabelError as error:
        hint = f"{error}; --skeleton names joints that all of them have" if len(predictors) > 1 else str(error)
        raise LabelError(hint) from None
    folder = out or unused_folder(f"evaluation-{names[0]}" if len(names) == 1 else "comparison")
    averaging: Mean = "pooled" if mean == "pooled" else "joints"
    with kept_if_used(prepare_report_folder(folder)):
        results = {}
        for name, predictor, finder in zip(names, predictors, finders, strict=True):
            with bar(name, len(truth)) as progress:
                task = predictor.spec.task
                results[name] = run(finder, truth, task, protocol, threshold, averaging, progress)
        diagnoses = {name: diagnose(result) for name, result in results.items()}
        if len(names) == 1:
            result, diagnosis = results[names[0]], diagnoses[names[0]]
            written = write_report(result, folder, {"model": names[0], "labels": str(labels)}, diagnosis)
            print_evaluation(result, diagnosis)
        else:
            about = {"compared": ", ".join(names), "labels": str(labels)}
            written = write_comparison(results, diagnoses, folder, about)
            print_comparison(results, diagnoses)
    print(f"{', '.join(entry.name for entry in written)} -> {folder}", file=sys.stderr)
    if folder / "pck.png" not in written:
        print("no plot: it needs matplotlib, pip install 'cairn-pose[train]'", file=sys.stderr)


def _names(own: Sequence[str], typed: Sequence[str]) -> list[str]:
    """What tells the models apart: their own names, or what was typed where two have the same."""
    if len(set(typed)) < len(typed):
        raise CairnError("a model is given twice: there is nothing to compare")
    return [name if own.count(name) == 1 else path for name, path in zip(own, typed, strict=True)]


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
