"""A model in fewer bits, with what that costs: said before the file is there."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import AREA_PER_BOX, LabeledImage, Labels
from cairn.errors import ModelError
from cairn.evaluation.evaluate import evaluate
from cairn.evaluation.keypoint_metrics import measure_pck
from cairn.evaluation.metrics.oks import library
from cairn.evaluation.metrics.summary import main_metric
from cairn.evaluation.pairing import pair_instances
from cairn.evaluation.prediction import (
    annotated_instances,
    predict_all_images,
    predict_annotated_boxes,
    predict_in_skeleton,
)
from cairn.evaluation.protocols import DIAGONAL
from cairn.files import atomic_write
from cairn.inference.model_spec import ModelSpec, Task
from cairn.inference.network import Maps, Network, OnnxNetwork
from cairn.inference.predictor import large_enough
from cairn.media.images import image_size
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.training.exporting.precision import Precision, noise, precision_of, restate, to_fp16, to_fp32, to_int8

MAX_SHOWN = 100  # images to calibrate on: more widen the ranges of layers, and help no further
TIMED = 16  # of them for the time

FINER = {"fp16": "fp32", "int8": "fp32 or fp16"}
"""What a model can be in, for it to be written in fewer bits."""

Calibration = Labels | Sequence[Path]
"""Images; a model of single objects is shown the labeled ones, or else the whole of each image."""

PredictorOf = Callable[[Network], Any]
"""Binds a network to its method's preprocessing and decoding."""


@dataclass(frozen=True)
class Cost:
    """What a model loses and gains.

    figure         the name of the figure; "" where nothing could be measured
    before, after  in percent
    speed          times as fast, the network alone, on one core of this machine
    """

    figure: str
    before: float
    after: float
    speed: float
    megabytes: float

    def __str__(self) -> str:
        loss = f"{self.figure} {self.before:.2f} -> {self.after:.2f}, " if self.figure else ""
        return f"{loss}{self.speed:.1f}x as fast, {self.megabytes:.1f} MB"


def lower(
    source: Path,
    target: Path,
    precision: Precision,
    predictor_of: PredictorOf,
    calibration: Calibration | None = None,
    validation: Labels | None = None,
    max_metric_drop: float | None = None,
    say: Callable[[Cost], None] | None = None,
) -> Cost:
    """Write the model at `source` to `target` in fewer bits than it has.

    calibration  for int8; at most MAX_SHOWN of them, evenly spread, are used
    validation   what the loss is measured on. None, or none with an object: how far the keypoints that fp32 finds in
                 the calibration's images are found again, where there are any
    max_metric_drop    in percentage points
    say          told the cost before the file is there
    Raises ModelError, and writes nothing, where the source has not more bits, there is nothing to calibrate on, the
    loss is above `max_metric_drop`, or fp16 cannot hold the weights.
    """
    network = OnnxNetwork(source, threads=1)
    if (stored := precision_of(source)) in ("int8", precision):
        raise ModelError(f"{source} is in {stored} already: give the model in {FINER[precision]}")
    images = spread(calibration) if calibration is not None else None
    if validation is not None and not _has_objects(validation):
        validation = None
    if validation is not None and network.spec.task == "multi_instance":
        library()  # what is not installed is said before any work
    with atomic_write(target) as beside:
        if precision == "int8":
            if images is None or not len(images):
                raise ModelError("int8 is calibrated on images, and there are none")
            # Its tool writes more than the one file on its way.
            with tempfile.TemporaryDirectory() as folder:
                made, wide = Path(folder) / "int8.onnx", source
                if stored == "fp16":
                    to_fp32(source, wide := Path(folder) / "fp32.onnx")
                to_int8(wide, made, shown(network, predictor_of, images))
                beside.write_bytes(made.read_bytes())
        else:
            to_fp16(source, beside)
        lowered = OnnxNetwork(beside, threads=1)
        timed = images if images is not None else validation
        samples = list(islice(shown(network, predictor_of, timed), TIMED)) if timed is not None else []
        speed = times_as_fast(network, lowered, samples or list(noise(network.spec)))
        figure, before, after = loss(network, lowered, predictor_of, images, validation)
        cost = Cost(figure, before, after, speed, beside.stat().st_size / 1e6)
        if say:
            say(cost)
        if max_metric_drop is not None and not before - after <= max_metric_drop:
            raise ModelError(
                f"{precision} loses {before - after:.2f} of {figure}; at most {max_metric_drop:g} was allowed"
            )
        restate(beside, _stated(network.spec, precision, cost, images, validation))
    return cost


def spread(calibration: Calibration, most: int = MAX_SHOWN) -> Calibration:
    """At most so many images, evenly from the first to the last."""
    chosen = np.unique(np.linspace(0, len(calibration) - 1, min(most, len(calibration))).round().astype(int))
    if isinstance(calibration, Labels):
        return replace(calibration, images=tuple(calibration.images[i] for i in chosen))
    return [calibration[i] for i in chosen]


def shown(network: Network, predictor_of: PredictorOf, calibration: Calibration) -> Iterator[NDArray[np.float32]]:
    """(B, 3, h, w) each: what the network is shown of the images."""
    watched = _Watched(network)
    finder = predictor_of(watched)
    boxes = isinstance(calibration, Labels) and network.spec.task == "crop"
    for image in calibration.images if isinstance(calibration, Labels) else calibration:
        watched.seen.clear()
        if boxes and isinstance(image, LabeledImage):
            predict_annotated_boxes(finder, image, network.spec.skeleton)
        else:
            finder(_path(image))
        yield from watched.seen


def times_as_fast(before: Network, after: Network, images: Sequence[NDArray[np.float32]]) -> float:
    """Median of the processor's times, taken in turns; both networks should have one thread."""
    times: tuple[list[float], list[float]] = [], []
    for batch in (images[0], *images):  # the first once more, to warm up
        for network, taken in zip((before, after), times, strict=True):
            started = time.process_time()
            network(batch)
            taken.append(time.process_time() - started)
    return statistics.median(times[0][1:]) / statistics.median(times[1][1:])


def loss(
    before: Network,
    after: Network,
    predictor_of: PredictorOf,
    images: Calibration | None,
    validation: Labels | None,
) -> tuple[str, float, float]:
    """(figure, before, after) on the labels, or on the finds of `before` in the images; "" without either."""
    if validation is not None:
        finders = [predict_in_skeleton(predictor_of(network), network.spec.skeleton, validation) for network in (before, after)]
        (figure, first), (_, second) = (
            main_metric(evaluate(finder, validation, before.spec.task)) for finder in finders
        )
        return figure, first, second
    if images is None:
        return "", float("nan"), float("nan")
    truth = finds_as_labels(predictor_of(before), before.spec, images)
    task: Task = "multi_instance" if before.spec.task == "multi_instance" else "single_instance"
    if not _has_objects(truth):
        raise ModelError(f"{before.spec.name} finds nothing in the {len(images)} images: give others, or labels")
    pairs = pair_instances(truth, tuple(predict_all_images(predictor_of(after), truth)), task)
    return "keypoints of fp32 found again, %:", 100.0, measure_pck(pairs, DIAGONAL, mean="pooled").value


def finds_as_labels(finder: Callable[[Path], Poses], spec: ModelSpec, images: Calibration) -> Labels:
    """What a model finds in images, as if somebody had labeled it."""
    labeled = []
    listed: Sequence[LabeledImage | Path] = images.images if isinstance(images, Labels) else images
    for i, image in enumerate(listed):
        path = _path(image)
        poses = finder(path)
        poses = poses[np.flatnonzero(poses.detected.any(axis=1))]
        boxes = large_enough(poses.boxes).astype(np.float32)
        annotation = Annotation(
            keypoints=np.where(poses.detected[..., None], poses.keypoints, np.float32(np.nan)),
            visibility=np.where(poses.detected, 2, 0).astype(np.uint8),
            boxes=boxes,
            areas=AREA_PER_BOX * boxes[:, 2] * boxes[:, 3],
            crowd=np.zeros(len(poses), bool),
        )
        labeled.append(LabeledImage(i, path, image_size(path), annotation))
    return Labels(spec.skeleton, tuple(labeled), np.ones(len(spec.skeleton), bool))


class _Watched:
    """A network that keeps what it was shown."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.spec = network.spec
        self.seen: list[NDArray[np.float32]] = []

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        self.seen.append(images)
        return self.network(images)


def _stated(
    spec: ModelSpec, precision: Precision, cost: Cost, images: Calibration | None, validation: Labels | None
) -> ModelSpec:
    """With its precision, and the figure that was measured in place of those of fp32."""
    provenance: dict[str, Any] = {**spec.provenance, "precision": precision}
    if precision == "int8" and images is not None:
        provenance["calibrated_on_images"] = len(images)
    figures = {cost.figure: cost.after} if validation is not None else {}
    return spec.model_copy(update={"provenance": provenance, "metrics": figures})


def _path(image: LabeledImage | Path) -> Path:
    return image.path if isinstance(image, LabeledImage) else image


def _has_objects(labels: Labels) -> bool:
    return any(len(annotated_instances(image)) for image in labels)
