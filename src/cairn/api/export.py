"""`cairn.export`: writes a model to one .onnx file, in fp32, fp16 or int8, or for programs without Cairn."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from cairn.api.reading import calibration_labels, evaluation_labels
from cairn.api.run import Run
from cairn.api.settings import Settings, optional_path, with_settings
from cairn.arguments import checked
from cairn.errors import CairnError, LabelError, ModelError, OutputError
from cairn.extras import require, require_training
from cairn.inference.zoo import own_refiner

if TYPE_CHECKING:
    from typing import Any

    from cairn.datasets.labels import Labels
    from cairn.inference.model_spec import ModelSpec
    from cairn.inference.network import Network
    from cairn.inference.predictor import Predictor
    from cairn.training.exporting.precision_report import Calibration, PrecisionReport

Format = Literal["onnx", "web"]
Precision = Literal["fp32", "fp16", "int8"]
Checkpoint = Literal["best", "last"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class ExportReport:
    """What `cairn.export` returns.

    Attributes:
        path: The file, or the folder of a web page, that was written.
        precision: Precision of its weights.
        metric: Name of the metric that was measured before and after; empty where none was.
        before: The metric before quantization, in percent; NaN where none was measured.
        after: The metric after quantization.
        speedup: Time of the network before over after, on one core; 1 for fp32.
        megabytes: Size of the file, or of all files of the folder.
    """

    path: Path
    precision: Precision
    metric: str = ""
    before: float = float("nan")
    after: float = float("nan")
    speedup: float = 1.0
    megabytes: float = 0.0

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        metric = f", {self.metric} {self.before:.2f} -> {self.after:.2f}" if self.metric else ""
        return f"ExportReport({self.path}: {self.precision}{metric}, {self.megabytes:.1f} MB)"


@checked
def export(
    model: str | Path | Run,
    path: str | Path,
    *,
    precision: Precision = "fp32",
    calibrate: str | Path | None = None,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    max_metric_drop: float | None = None,
    checkpoint: Checkpoint | None = None,
    settings: Settings = None,
    decode: bool = False,
    format: Format = "onnx",
    runtime: str | Path | None = None,
) -> ExportReport:
    """Writes a run's weights to one .onnx file, checked against torch; or quantizes any model.

    For fp16 and int8 the change of the metric is measured and logged before the file is written. With `decode`, or as a
    web page, any model is written for programs without Cairn.

    Example:
        cairn.export("runs/flies", "flies-int8.onnx", precision="int8")

    Args:
        model: Training run; or an .onnx file or bundled model to quantize.
        path: File to write (.onnx); of format "web" a new folder.
        precision: Precision of the weights: "fp32", "fp16" or "int8".
        calibrate: Labels or a folder: images to calibrate int8 on. Default: the training images of the run.
        labels: Labels to measure the change of the metric on. Default: the validation labels of the run; or the
            labels of `calibrate` that are not used to calibrate.
        images: Folder of the images of the labels.
        max_metric_drop: Maximum drop of the metric in percentage points; nothing is written where it is larger.
        checkpoint: Weights of a run: "best" or "last". Default: best.
        settings: Values of a run's recipe that the file states: name, license, sources, decoder settings.
        decode: Whether the graph resizes images and decodes keypoints, for programs without Cairn.
        format: "onnx"; or "web": a folder with a page that detects in the browser, which any web server can serve.
        runtime: Folder of the npm package onnxruntime-web, for format "web". Default: npm downloads it.

    Raises:
        CairnError: The arguments contradict one another.
        ModelError: The model cannot be used, or the metric drops too far.
        LabelError: The labels cannot be used.
        OutputError: The file cannot be written.
        MissingExtra: The extra `train` is not installed.
    """
    target = Path(path)
    if format not in ("onnx", "web"):
        raise CairnError(f"format must be onnx or web, got {format!r}")
    if runtime is not None and format != "web":
        raise CairnError("--runtime goes with --format web")
    if format == "web" and target.suffix == ".onnx":
        raise OutputError(f"--format web writes a folder, got {target}: give a name without .onnx")
    if format == "onnx" and target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    if precision not in ("fp32", "fp16", "int8"):
        raise CairnError(f"precision must be fp32, fp16 or int8, got {precision!r}")
    data = _Data(optional_path(calibrate), optional_path(labels), optional_path(images), max_metric_drop)
    data.check(precision)
    if refiner := own_refiner(Path(model)):
        log.warning("%s has a refiner, which stays a file of its own: use both with --refine-with %s", model, refiner)
    plain = _Plain(precision, data, checkpoint, settings)
    if not decode and format == "onnx":
        return _export_plain(model, target, plain)
    from cairn.api.standalone import Standalone, write_standalone

    if (checkpoint or settings) and not Path(model).is_dir():
        raise CairnError(f"--checkpoint and --set are for a training run, and {model} is a finished model")
    finished = precision == "fp32" and not Path(model).is_dir()
    with TemporaryDirectory() as folder:
        beside = Path(folder) / f"{target.stem or 'model'}.onnx"
        first = None if finished else _export_plain(model, beside, plain)
        written = write_standalone(
            str(model) if first is None else first.path, target, Standalone(format == "web", optional_path(runtime))
        )
    report = first or ExportReport(target, written.precision)
    return replace(report, path=target, precision=written.precision, megabytes=written.megabytes)


@dataclass(frozen=True)
class _Plain:
    """How a model is exported without decoding."""

    precision: Precision
    data: _Data
    checkpoint: Checkpoint | None
    settings: Settings


def _export_plain(model: str | Path | Run, target: Path, options: _Plain) -> ExportReport:
    """Writes a model file; see `export`."""
    precision, data, checkpoint, settings = options.precision, options.data, options.checkpoint, options.settings
    if not Path(model).is_dir():
        if checkpoint or settings:
            raise CairnError(f"--checkpoint and --set are for a training run, and {model} is a finished model")
        file = _file_of(str(model))
        if not file.is_file():
            raise ModelError(f"no model file or run folder at {model}")
        if precision == "fp32":
            raise CairnError(
                f"{model} is a finished model: give --precision fp16 or int8, --decode, or the folder of a run"
            )
        return _quantize(file, target, precision, data)
    run = Path(model)
    if precision == "fp32":
        written = _export_run(run, target, checkpoint, settings)
        return ExportReport(written, precision, megabytes=written.stat().st_size / 1e6)
    with TemporaryDirectory() as folder:
        source = _export_run(run, Path(folder) / "fp32.onnx", checkpoint, settings)
        return _quantize(source, target, precision, data, run)


@dataclass(frozen=True)
class _Data:
    """Images to calibrate on, and labels to measure the metric on."""

    calibrate: Path | None
    labels: Path | None
    images: Path | None
    max_metric_drop: float | None

    def check(self, precision: Precision) -> None:
        """Raises CairnError where the options contradict one another."""
        if precision == "fp32" and (self.calibrate or self.labels or self.images or self.max_metric_drop is not None):
            raise CairnError("--calibrate, --labels, --images and --max-metric-drop need --precision fp16 or int8")
        if self.images and not (self.calibrate or self.labels):
            raise CairnError("--images goes with --calibrate or --labels")


def _export_run(run: Path, target: Path, checkpoint: Checkpoint | None, settings: Settings) -> Path:
    require_training()
    from cairn.methods.autoconfig import training_of
    from cairn.training.recipe_tables import check_recipe

    tables = with_settings(Run(run).recipe, settings)
    training = training_of(tables)
    return training.export(check_recipe(training.recipe, tables), run, checkpoint or "best", target)


def _without_images(source: Path, target: Path, precision: Precision, data: _Data) -> ExportReport:
    """Converts the weights of a model whose input is not an image: nothing is calibrated or measured."""
    from cairn.files import atomic_write
    from cairn.training.exporting.precision import precision_of, to_fp16, to_int8_weights

    if (present := precision_of(source)) != "fp32":
        raise CairnError(f"{source} is in {present} already: give a model in fp32, or the run")
    if data.calibrate or data.labels or data.max_metric_drop is not None:
        raise CairnError("--calibrate, --labels and --max-metric-drop are for models of images")
    with atomic_write(target) as beside:
        (to_fp16 if precision == "fp16" else to_int8_weights)(source, beside)
    return ExportReport(target, precision, megabytes=target.stat().st_size / 1e6)


def _quantize(source: Path, target: Path, precision: Precision, data: _Data, run: Path | None = None) -> ExportReport:
    require("onnx", extra="train")
    from cairn.inference.network import OnnxNetwork
    from cairn.inference.session import task_of
    from cairn.inference.spec import USES

    if task_of(source) in USES:
        return _without_images(source, target, precision, data)
    from cairn.methods import get_method
    from cairn.training.exporting.quantization import quantize

    spec = OnnxNetwork(source, threads=1).spec
    calibration, validation = _images(spec, precision, data, run)
    if data.max_metric_drop is not None and calibration is None and validation is None:
        raise CairnError("--max-metric-drop needs labels to measure the metric on: give --labels")

    def predictor_of(network: Network) -> Predictor:
        predictor: Predictor = get_method(spec.method).predictor(network)
        return predictor

    def report(result: PrecisionReport) -> None:
        log.info("%s", result)
        if not result.metric:
            log.info("the metric was not measured: give --labels to measure it")

    result = quantize(source, target, precision, predictor_of, calibration, validation, data.max_metric_drop, report)
    megabytes = target.stat().st_size / 1e6
    return ExportReport(target, precision, result.metric, result.before, result.after, result.speed, megabytes)


def _images(
    spec: ModelSpec, precision: Precision, data: _Data, run: Path | None
) -> tuple[Calibration | None, Labels | None]:
    """Returns images to calibrate on, and labels to measure on.

    As given; otherwise those of the run; otherwise one set of labels is divided.
    """
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.reading import read_labels

    validation = None
    if data.labels:
        given = read_labels(data.labels, ReadOptions(data.images, skeleton=spec.skeleton))
        validation = evaluation_labels(given, data.labels)
    calibration, rest = _calibration(spec, data, divide=validation is None)
    validation = validation or rest
    if run and not (data.calibrate and data.labels):
        trained_on, held_out = _labels_of(run)
        calibration = trained_on if calibration is None else calibration
        validation = held_out if validation is None else validation
    if precision == "int8" and calibration is None:
        raise CairnError("int8 is calibrated on images: give --calibrate labels.json, or a folder of images")
    return calibration, validation


def _calibration(spec: ModelSpec, data: _Data, divide: bool) -> tuple[Calibration | None, Labels | None]:
    """Returns the images of `calibrate`, and the labels among them that are kept to measure on."""
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.reading import read_labels
    from cairn.datasets.splits import is_label_folder
    from cairn.media.sources import find_sources
    from cairn.training.exporting.quantization import spread

    if data.calibrate is None:
        return None, None
    if data.calibrate.is_dir() and not is_label_folder(data.calibrate):
        return [each.name.path for each in find_sources([str(data.calibrate)]) if not each.is_clip], None
    given = read_labels(data.calibrate, ReadOptions(data.images, skeleton=spec.skeleton))
    given = calibration_labels(given, data.calibrate)
    if not divide:
        return given, None
    calibration: Any = spread(given, max(1, len(given) // 2))  # labels stay labels
    used = {image.id for image in calibration.images}
    rest = replace(given, images=tuple(each for each in given if each.id not in used))
    if not any(each.annotation.labeled.any() for each in rest):
        raise LabelError(f"{data.calibrate} has no labeled image left to measure the metric on: give --labels")
    return calibration, rest


def _labels_of(run: Path) -> tuple[Labels, Labels]:
    """Returns the training labels of a run, and its validation labels."""
    from cairn.methods.autoconfig import image_training_of
    from cairn.training.recipe_tables import check_recipe

    tables = Run(run).recipe
    training = image_training_of(tables)
    try:
        _, sources, held_out = training.read_data(check_recipe(training.recipe, tables), run)
    except LabelError as error:
        raise LabelError(f"{error}; or give --calibrate and --labels") from None
    return sources[0][0], held_out


def _file_of(model: str) -> Path:
    """Returns the .onnx file of a model that is given by name or path."""
    from cairn.inference import zoo

    return Path(model) if model.endswith(".onnx") or Path(model).is_file() else zoo.path_to_learn_from(model)
