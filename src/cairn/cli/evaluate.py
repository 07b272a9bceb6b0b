"""`cairn evaluate`: metrics of models on labeled images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cairn.cli.label_options import Category, Confidence, Exclude, Gt, SplitName
from cairn.cli.model_options import Refine, RefineWith
from cairn.errors import CairnError


def evaluate(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL... LABELS",
            help="One or several models, each a bundled model, an .onnx file or a run; and, last, the ground truth: "
            "labels in any format that Cairn reads. Or two files of tracks in 3D; or a model of landmarks on shapes "
            "(.cairn), or predicted landmarks, and true landmarks. With --repeatability: methods or models of cairn "
            "keypoints. [iss]",
            show_default=False,
        ),
    ] = None,
    repeatability: Annotated[
        Path | None,
        typer.Option(
            metavar="PAIRS",
            help="Pairs of scans with their true motions, pairs.json or a Stanford .conf: measures keypoints of point "
            "clouds, and takes no labels.",
            show_default=False,
        ),
    ] = None,
    num_keypoints: Annotated[
        int | None,
        typer.Option(
            help="With --repeatability: maximum number of keypoints of a scan. [of the method with fewest]",
            show_default=False,
        ),
    ] = None,
    shapes: Annotated[
        Path | None,
        typer.Option(help="Folder of the meshes of true landmarks. [beside them]", show_default=False),
    ] = None,
    tracking: Annotated[
        bool,
        typer.Option(
            "--tracking",
            help="Measure track IDs: HOTA, MOTA, IDF1 and ID switches, of a file of tracks (Cairn's .jsonl, COCO or "
            "PoseTrack .json, MOT .txt) against another, or of a model on labels with track IDs.",
        ),
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. [a new one: evaluation-MODEL]", show_default=False)
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Length that errors are divided by: mpii (head), lsp and flic (torso), eyes, face (outer eye "
            "corners), box, diagonal, or two joints as FROM:TO. [the one that such labels are published with]",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Threshold of PCK, as a share of that length. [the published one]", show_default=False),
    ] = None,
    mean: Annotated[str, typer.Option(help="Mean of PCK: joints (equal weights) or pooled.")] = "joints",
    skeleton: Annotated[
        str | None,
        typer.Option(help="Joints to measure: name of a skeleton, or a .toml file. [the model's]", show_default=False),
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option(help="Split of the labels. [val, otherwise test, otherwise all images]", show_default=False),
    ] = None,
    confidence: Confidence = None,
    category: Category = None,
    exclude: Exclude = None,
    gt: Gt = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of images.", show_default=False)] = None,
    size: Annotated[
        int | None,
        typer.Option(min=32, help="Input size: longest side in pixels. [the model's]", show_default=False),
    ] = None,
    net_resolution: Annotated[
        str | None,
        typer.Option(
            help="Input width and height, WxH, instead of --size; -1 for a side that follows from the image.",
            show_default=False,
        ),
    ] = None,
    scales: Annotated[
        int | None,
        typer.Option(min=1, help="Number of test-time scales to average. [the model's]", show_default=False),
    ] = None,
    scale_gap: Annotated[float, typer.Option(help="Difference between two test-time scales: 1, 1 - gap, ...")] = 0.25,
    refine: Refine = None,
    refine_with: RefineWith = None,
    device: Annotated[str, typer.Option(help="Device to run on: auto, cpu, cuda, cuda:1, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Number of threads; 0 for all cores.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Decoder setting, NAME=VALUE; repeatable.", show_default=False),
    ] = None,
) -> None:
    """Measure a model on labeled images, or compare several; or tracks in 2D or 3D.

    Prints tables and writes metrics.json, pck.png, worst.jpg and report.html. A model that detects all instances of an
    image is measured by COCO's OKS AP, with PCK beside it; a model of one instance by PCK. Tracks in 3D (poses3d.json
    of cairn triangulate) are measured against ground truth of the same format by MPJPE, PCK3D and PCP.

    cairn evaluate person val.json

    cairn evaluate person runs/mine val.json

    cairn evaluate iss --repeatability pairs.json

    cairn evaluate --tracking clip.cairn.jsonl tracks.json

    cairn evaluate triangulation/poses3d.json truth.json

    cairn evaluate skulls.cairn landmarks/ --shapes skulls/
    """
    from cairn.api.evaluate import evaluate as measure
    from cairn.api.repeatability import Repeatability
    from cairn.api.report import Comparison
    from cairn.api.report3d import Report3D
    from cairn.api.shapes import LandmarkReport
    from cairn.api.tracking_report import TrackingReport
    from cairn.cli.logs import API, show_log
    from cairn.cli.metrics import (
        print_comparison,
        print_landmarks,
        print_repeatability,
        print_report,
        print_report_3d,
        print_tracking,
    )
    from cairn.cli.progress import bars
    from cairn.files import ensure_writable_folder, unused_folder

    show_log(API)
    if repeatability is not None:
        with bars() as progress:
            measured = measure(
                given, repeatability=repeatability, num_keypoints=num_keypoints, out=out, progress=progress
            )
        assert isinstance(measured, Repeatability)
        print_repeatability(measured)
        return
    *models, labels = given or [""]
    if not models:
        got = f"only {labels}" if labels else "nothing"
        raise CairnError(f"expected one or several models and, last, the labels to measure on; got {got}")
    if out is None:
        ensure_writable_folder(Path())  # an error now, not after the last image
    with bars() as progress:
        result = measure(
            models[0] if len(models) == 1 else models,
            labels,
            num_keypoints=num_keypoints,
            shapes=shapes,
            tracking=tracking,
            images=images,
            metric=metric,
            threshold=threshold,
            mean=mean,
            skeleton=skeleton,
            split=split.value if split else None,
            confidence=confidence,
            category=category,
            exclude=exclude,
            gt=gt,
            limit=limit,
            size=size,
            net_resolution=net_resolution,
            scales=scales,
            scale_gap=scale_gap,
            device=device,
            threads=threads,
            refine=refine if refine_with is None else refine_with,
            settings=settings,
            out=out,
            progress=progress,
        )
    assert not isinstance(result, Repeatability)
    if out is None:
        name = "comparison" if isinstance(result, Comparison) else f"evaluation-{result.name}"
        result = result.save(unused_folder(name))
    if isinstance(result, Report3D):
        print_report_3d(result)
    elif isinstance(result, TrackingReport):
        print_tracking(result)
    elif isinstance(result, LandmarkReport):
        print_landmarks(result)
    elif isinstance(result, Comparison):
        print_comparison(result)
    else:
        print_report(result)
    print(f"{', '.join(entry.name for entry in result.files)} -> {result.folder}", file=sys.stderr)
    if not isinstance(result, TrackingReport) and not {"pck.png", "errors.png"} & {
        entry.name for entry in result.files
    }:
        print("no plot: it needs matplotlib, pip install 'cairn-pose[train]'", file=sys.stderr)
