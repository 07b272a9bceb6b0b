"""`cairn export`: one file that carries everything needed to use a trained model."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.errors import CairnError, LabelError, OutputError

if TYPE_CHECKING:
    from cairn.datasets.labels import Labels
    from cairn.inference.model_spec import ModelSpec
    from cairn.inference.network import Network
    from cairn.inference.predictor import Predictor
    from cairn.training.exporting.precision_report import Calibration, PrecisionReport


class Checkpoint(StrEnum):
    BEST = "best"
    LAST = "last"


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def export(
    model: Annotated[str, typer.Argument(help="Folder of a training run; or an .onnx file or embedded model.")],
    target: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    precision: Annotated[Precision, typer.Option(help="Numbers that the network computes in.")] = Precision.FP32,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Labels or a folder: images on which int8 measures the range of each layer. [those of the run]",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labels on which the loss of fp16 or int8 is measured. [the run's to validate on; what --calibrate "
            "has beside the images that it takes]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the labels' images. [as `cairn evaluate`]", show_default=False)
    ] = None,
    max_metric_drop: Annotated[
        float | None,
        typer.Option(help="Write nothing where the figure falls by more percentage points.", show_default=False),
    ] = None,
    checkpoint: Annotated[
        Checkpoint | None, typer.Option(help="Which weights of a run. [best]", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="What the file of a run states: name, license, sources, decode.THRESHOLD=value."),
    ] = None,
) -> None:
    """Write a run's weights to one .onnx file, checked against torch; or any model in fewer bits.

    cairn export runs/flies flies.onnx --set decode.peak_threshold=0.2

    cairn export runs/flies flies-int8.onnx --precision int8

    cairn export person person-int8.onnx --precision int8 --calibrate mine.json

    Of fp16 and int8 it is said what they lose before the file is written.
    """
    if target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    if precision is Precision.FP32 and (calibrate or labels or images or max_metric_drop is not None):
        raise CairnError("--calibrate, --labels, --images and --max-metric-drop go with --precision fp16 or int8")
    if images and not (calibrate or labels):
        raise CairnError("--images goes with --calibrate or --labels")
    if not Path(model).is_dir():
        if checkpoint or settings:
            raise CairnError(f"--checkpoint and --set are for the folder of a run, and {model} is a finished model")
        if precision is Precision.FP32:
            raise CairnError(f"{model} is a finished model: give --precision fp16 or int8, or the folder of a run")
        _lower(_file_of(model), target, precision, calibrate, labels, images, max_metric_drop)
        return
    run = Path(model)
    if precision is Precision.FP32:
        print(_export_run(run, target, checkpoint, settings))
        return
    with TemporaryDirectory() as folder:
        source = _export_run(run, Path(folder) / "fp32.onnx", checkpoint, settings)
        _lower(source, target, precision, calibrate, labels, images, max_metric_drop, run)


def _export_run(run: Path, target: Path, checkpoint: Checkpoint | None, settings: list[str] | None) -> Path:
    from cairn.cli.train import quiet_training
    from cairn.methods.autoconfig import training_of

    quiet_training()
    from cairn.training.engine.loop import export_from
    from cairn.training.recipe import check_recipe, override, read_recipe

    tables = override(read_recipe(run / "recipe.toml"), settings or [])
    training = training_of(tables)
    weights = (checkpoint or Checkpoint.BEST).value
    return export_from(training, check_recipe(training.recipe, tables), run, weights, target)


def _lower(
    source: Path,
    target: Path,
    precision: Precision,
    calibrate: Path | None,
    labels: Path | None,
    images: Path | None,
    max_metric_drop: float | None,
    run: Path | None = None,
) -> None:
    from cairn.cli.train import need
    from cairn.methods import get_method

    need("onnx")
    from cairn.inference.network import OnnxNetwork
    from cairn.training.exporting.quantization import quantize

    spec = OnnxNetwork(source, threads=1).spec
    calibration, validation = _images(spec, precision, calibrate, labels, images, run)
    if max_metric_drop is not None and calibration is None and validation is None:
        raise CairnError("--max-metric-drop needs something to measure on: give --labels")

    def predictor_of(network: Network) -> Predictor:
        return get_method(spec.method).predictor(network)

    def say(report: PrecisionReport) -> None:
        print(report, file=sys.stderr)
        if not report.metric:
            print("its loss was not measured: that takes --labels", file=sys.stderr)

    quantize(source, target, precision.value, predictor_of, calibration, validation, max_metric_drop, say)
    print(target)


def _images(
    spec: ModelSpec,
    precision: Precision,
    calibrate: Path | None,
    labels: Path | None,
    images: Path | None,
    run: Path | None,
) -> tuple[Calibration | None, Labels | None]:
    """What to calibrate on, and what to measure on: as given, else the run's, else from one set of labels both."""
    from cairn.datasets.reading import read_labels
    from cairn.media.sources import find_sources
    from cairn.training.exporting.quantization import spread

    calibration: Calibration | None = None
    validation = read_labels(labels, images, spec.skeleton) if labels else None
    if calibrate and calibrate.is_dir():
        calibration = [each.name.path for each in find_sources([str(calibrate)]) if not each.is_clip]
    elif calibrate:
        given = read_labels(calibrate, images, spec.skeleton)
        calibration = given
        if validation is None:
            calibration = spread(given, max(1, len(given) // 2))
            used = {image.id for image in calibration.images}  # type: ignore[union-attr]  # labels stay labels
            validation = replace(given, images=tuple(each for each in given if each.id not in used))
            if not any(each.annotation.labeled.any() for each in validation):
                raise LabelError(f"{calibrate} has no labeled image left to measure the loss on: give --labels")
    if run and not (calibrate and labels):
        learned, held = _of_run(run)
        calibration = learned if calibration is None else calibration
        validation = held if validation is None else validation
    if precision is Precision.INT8 and calibration is None:
        raise CairnError("int8 is calibrated on your images: give --calibrate labels.json, or a folder of them")
    return calibration, validation


def _of_run(run: Path) -> tuple[Labels, Labels]:
    """The labels that a run learned from, and those that it validated on."""
    from cairn.methods.autoconfig import training_of
    from cairn.training.recipe import check_recipe, read_recipe

    tables = read_recipe(run / "recipe.toml")
    training = training_of(tables)
    try:
        _, sources, held = training.read_data(check_recipe(training.recipe, tables), run)
    except LabelError as error:
        raise LabelError(f"{error}; or give --calibrate and --labels") from None
    return sources[0][0], held


def _file_of(model: str) -> Path:
    from cairn.inference import zoo

    return Path(model) if model.endswith(".onnx") or Path(model).is_file() else zoo.path_to_learn_from(model)
