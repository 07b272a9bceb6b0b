"""`cairn export`: writes a model to one .onnx file, or a web page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Checkpoint(StrEnum):
    """Weights of a run."""

    BEST = "best"
    LAST = "last"


class Format(StrEnum):
    """What to write."""

    ONNX = "onnx"
    WEB = "web"


class Precision(StrEnum):
    """Precision of the weights of a file."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def export(
    model: Annotated[str, typer.Argument(help="Training run, .onnx file or bundled model.")],
    target: Annotated[Path, typer.Argument(help="File to write (.onnx); with --format web a new folder.")],
    precision: Annotated[Precision, typer.Option(help="Precision of the weights.")] = Precision.FP32,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Labels or a folder: images to calibrate int8 on. [the training images of the run]",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labels to measure the change of the metric on. [the validation labels of the run; or the labels of "
            "--calibrate that are not used to calibrate]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    max_metric_drop: Annotated[
        float | None,
        typer.Option(help="Maximum drop of the metric in percentage points, to write the file.", show_default=False),
    ] = None,
    checkpoint: Annotated[Checkpoint | None, typer.Option(help="Weights of a run. [best]", show_default=False)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Value that the file of a run states: name, license, sources, decode.THRESHOLD=value; repeatable.",
            show_default=False,
        ),
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Resizing of images and decoding in the graph, for programs without Cairn.")
    ] = False,
    format: Annotated[
        Format, typer.Option(help="One .onnx file; or a folder with a web page that detects in the browser.")
    ] = Format.ONNX,
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the npm package onnxruntime-web, for --format web. [npm downloads it]", show_default=False
        ),
    ] = None,
) -> None:
    """Export a run to one .onnx file, checked against torch; quantize any model; or export one for other programs.

    For fp16 and int8, prints the change of the metric before the file is written.

    cairn export runs/flies flies.onnx --set decode.peak_threshold=0.2

    cairn export runs/flies flies-int8.onnx --precision int8

    cairn export person person-int8.onnx --precision int8 --calibrate mine.json

    cairn export person person-decoded.onnx --decode

    cairn export person web/ --format web
    """
    from cairn.api.export import export as write
    from cairn.cli.logs import API, show_log, show_training_log

    if Path(model).is_dir():
        show_training_log()
    else:
        show_log(API)
    report = write(
        model,
        target,
        precision=precision.value,
        calibrate=calibrate,
        labels=labels,
        images=images,
        max_metric_drop=max_metric_drop,
        checkpoint=checkpoint.value if checkpoint else None,
        settings=settings,
        decode=decode,
        format=format.value,
        runtime=runtime,
    )
    print(report.path)
