"""Quantizes an exported model to fp16 or int8, and reports the cost before the file is written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import ModelError
from cairn.evaluation.metrics.oks import library
from cairn.evaluation.prediction import annotated_instances, predict_annotated_boxes
from cairn.files import atomic_write
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Maps, Network, OnnxNetwork
from cairn.training.exporting.precision import Precision, noise, precision_of, restate, to_fp16, to_fp32, to_int8
from cairn.training.exporting.precision_report import Calibration, PrecisionReport, compare_metrics, path_of, speedup

MAX_CALIBRATION = 100
"""Maximum number of calibration images: more widen the ranges of layers, and do not raise accuracy."""

TIMED = 16
"""Number of network inputs to measure the speed on."""

HIGHER = {"fp16": "fp32", "int8": "fp32 or fp16"}
"""Precisions of a model that can be quantized to this one."""

PredictorOf = Callable[[Network], Any]
"""Network -> a predictor with its method's preprocessing and decoding."""


@dataclass(frozen=True)
class _Images:
    """The images of a quantization.

    Attributes:
        calibration: Images that give the ranges of layers, thinned out.
        validation: Labels to measure metrics on; None if they have no annotated instance.
    """

    calibration: Calibration | None
    validation: Labels | None


def quantize(
    source: Path,
    target: Path,
    precision: Precision,
    predictor_of: PredictorOf,
    calibration: Calibration | None = None,
    validation: Labels | None = None,
    max_metric_drop: float | None = None,
    report: Callable[[PrecisionReport], None] | None = None,
) -> PrecisionReport:
    """Writes a model in lower precision.

    Args:
        source: The .onnx file, in fp32 or fp16.
        target: The .onnx file to write.
        precision: "fp16" or "int8".
        predictor_of: Builds the predictor of the model's method.
        calibration: Images for int8. At most `MAX_CALIBRATION` of them, evenly spread, are used.
        validation: Labels to measure the metric on. Without annotated instances in them, the keypoints that the source
            detects in the calibration images serve as ground truth.
        max_metric_drop: Maximum drop of the metric, in percentage points.
        report: Is called with the report before the file is written.

    Returns:
        The report.

    Raises:
        ModelError: The source is not of higher precision, there is no calibration image, fp16 cannot hold the weights,
            or the metric drops by more than `max_metric_drop`. Nothing is written.
    """
    network = OnnxNetwork(source, threads=1)
    if (stored := precision_of(source)) in ("int8", precision):
        raise ModelError(f"{source} is in {stored} already: give the model in {HIGHER[precision]}")
    images = _Images(
        calibration=spread(calibration) if calibration is not None else None,
        validation=validation if validation is not None and _has_instances(validation) else None,
    )
    if images.validation is not None and network.spec.task == "multi_instance":
        library()  # reports a missing package before any work
    with atomic_write(target) as beside:
        if precision == "int8":
            _write_int8(network, source, beside, predictor_of, images.calibration)
        else:
            to_fp16(source, beside)
        quantized = OnnxNetwork(beside, threads=1)
        result = _measure(network, quantized, predictor_of, images, beside.stat().st_size / 1e6)
        if report:
            report(result)
        if max_metric_drop is not None and not result.before - result.after <= max_metric_drop:
            drop = result.before - result.after
            raise ModelError(
                f"{result.metric} drops by {drop:.2f} in {precision}; the maximum drop is {max_metric_drop:g}"
            )
        restate(beside, _stated(network.spec, precision, result, images))
    return result


def spread(calibration: Calibration, maximum: int = MAX_CALIBRATION) -> Calibration:
    """Returns at most `maximum` of the images, evenly spread from the first to the last."""
    count = len(calibration)
    selected = np.unique(np.linspace(0, count - 1, min(maximum, count)).round().astype(int))
    if isinstance(calibration, Labels):
        return replace(calibration, images=tuple(calibration.images[i] for i in selected))
    return [calibration[i] for i in selected]


def network_inputs(
    network: Network, predictor_of: PredictorOf, calibration: Calibration
) -> Iterator[NDArray[np.float32]]:
    """Yields the preprocessed inputs of a network for images, (B, 3, h, w) each.

    A model of crops gets the crops of the annotated instances, or the whole image if there are no labels.
    """
    recorder = _Recorder(network)
    predictor = predictor_of(recorder)
    boxes = isinstance(calibration, Labels) and network.spec.task == "crop"
    for image in calibration.images if isinstance(calibration, Labels) else calibration:
        recorder.inputs.clear()
        if boxes and isinstance(image, LabeledImage):
            predict_annotated_boxes(predictor, image, network.spec.skeleton)
        else:
            predictor(path_of(image))
        yield from recorder.inputs


def _write_int8(
    network: Network, source: Path, target: Path, predictor_of: PredictorOf, calibration: Calibration | None
) -> None:
    """Writes the int8 file, by way of fp32 if the source is in fp16."""
    if calibration is None or not len(calibration):
        raise ModelError("int8 needs calibration images, and there are none")
    with tempfile.TemporaryDirectory() as folder:  # onnxruntime writes temporary files beside its target
        int8, fp32 = Path(folder) / "int8.onnx", source
        if precision_of(source) == "fp16":
            to_fp32(source, fp32 := Path(folder) / "fp32.onnx")
        to_int8(fp32, int8, network_inputs(network, predictor_of, calibration))
        target.write_bytes(int8.read_bytes())


def _measure(
    network: Network, quantized: Network, predictor_of: PredictorOf, images: _Images, megabytes: float
) -> PrecisionReport:
    timed = images.calibration if images.calibration is not None else images.validation
    inputs = list(islice(network_inputs(network, predictor_of, timed), TIMED)) if timed is not None else []
    speed = speedup(network, quantized, inputs or list(noise(network.spec)))
    predictors = predictor_of(network), predictor_of(quantized)
    metric, before, after = compare_metrics(*predictors, network.spec, images.calibration, images.validation)
    return PrecisionReport(metric, before, after, speed, megabytes)


class _Recorder:
    """A network that keeps its inputs."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.spec = network.spec
        self.device = network.device
        self.threads = network.threads
        self.inputs: list[NDArray[np.float32]] = []

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        self.inputs.append(images)
        return self.network(images)


def _stated(spec: ModelSpec, precision: Precision, result: PrecisionReport, images: _Images) -> ModelSpec:
    """The specification with its precision; the measured metric replaces those of fp32."""
    provenance: dict[str, Any] = {**spec.provenance, "precision": precision}
    if precision == "int8" and images.calibration is not None:
        provenance["calibrated_on_images"] = len(images.calibration)
    metrics = {result.metric: result.after} if images.validation is not None else {}
    return spec.model_copy(update={"provenance": provenance, "metrics": metrics})


def _has_instances(labels: Labels) -> bool:
    return any(len(annotated_instances(image)) for image in labels)
