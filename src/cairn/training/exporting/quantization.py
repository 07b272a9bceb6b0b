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

from cairn.datasets.formats.coco_rows import AREA_PER_BOX
from cairn.datasets.labels import LabelledPicture, Labels
from cairn.errors import ModelError
from cairn.evaluation.metrics.summary import main_figure
from cairn.evaluation.metrics.oks import library
from cairn.evaluation.protocols import DIAGONAL
from cairn.evaluation.evaluate import (
    evaluate,
    find_labelled,
    in_joints,
    labelled_rows,
    measure_pck,
    pair_objects,
    predict,
)
from cairn.media.images import image_size
from cairn.inference.network import Maps, Network, OnnxNetwork
from cairn.files import whole_file
from cairn.structures.poses import Annotation, Poses
from cairn.inference.predictor import large_enough
from cairn.inference.model_spec import Fit, ModelSpec
from cairn.training.exporting.precision import Precision, noise, precision_of, restate, to_fp16, to_fp32, to_int8

MOST_SHOWN = 100  # pictures to calibrate on: more widen the ranges of layers, and help no further
TIMED = 16  # of them for the time

FINER = {"fp16": "fp32", "int8": "fp32 or fp16"}
"""What a model can be in, for it to be written in fewer bits."""

Calibration = Labels | Sequence[Path]
"""Pictures; a model of single objects is shown the labelled ones, or else the whole of each picture."""

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
    most_loss: float | None = None,
    say: Callable[[Cost], None] | None = None,
) -> Cost:
    """Write the model at `source` to `target` in fewer bits than it has.

    calibration  for int8; at most MOST_SHOWN of them, evenly spread, are used
    validation   what the loss is measured on. None, or none with an object: how far the keypoints that fp32 finds in
                 the calibration's pictures are found again, where there are any
    most_loss    in percentage points
    say          told the cost before the file is there
    Raises ModelError, and writes nothing, where the source has not more bits, there is nothing to calibrate on, the
    loss is above `most_loss`, or fp16 cannot hold the weights.
    """
    network = OnnxNetwork(source, threads=1)
    if (stored := precision_of(source)) in ("int8", precision):
        raise ModelError(f"{source} is in {stored} already: give the model in {FINER[precision]}")
    pictures = spread(calibration) if calibration is not None else None
    if validation is not None and not _has_objects(validation):
        validation = None
    if validation is not None and network.spec.input.fit == "letterbox":
        library()  # what is not installed is said before any work
    with whole_file(target) as beside:
        if precision == "int8":
            if pictures is None or not len(pictures):
                raise ModelError("int8 is calibrated on pictures, and there are none")
            # Its tool writes more than the one file on its way.
            with tempfile.TemporaryDirectory() as folder:
                made, wide = Path(folder) / "int8.onnx", source
                if stored == "fp16":
                    to_fp32(source, wide := Path(folder) / "fp32.onnx")
                to_int8(wide, made, shown(network, predictor_of, pictures))
                beside.write_bytes(made.read_bytes())
        else:
            to_fp16(source, beside)
        lowered = OnnxNetwork(beside, threads=1)
        timed = pictures if pictures is not None else validation
        samples = list(islice(shown(network, predictor_of, timed), TIMED)) if timed is not None else []
        speed = times_as_fast(network, lowered, samples or list(noise(network.spec)))
        figure, before, after = loss(network, lowered, predictor_of, pictures, validation)
        cost = Cost(figure, before, after, speed, beside.stat().st_size / 1e6)
        if say:
            say(cost)
        if most_loss is not None and not before - after <= most_loss:
            raise ModelError(f"{precision} loses {before - after:.2f} of {figure}; at most {most_loss:g} was allowed")
        restate(beside, _stated(network.spec, precision, cost, pictures, validation))
    return cost


def spread(calibration: Calibration, most: int = MOST_SHOWN) -> Calibration:
    """At most so many pictures, evenly from the first to the last."""
    chosen = np.unique(np.linspace(0, len(calibration) - 1, min(most, len(calibration))).round().astype(int))
    if isinstance(calibration, Labels):
        return replace(calibration, pictures=tuple(calibration.pictures[i] for i in chosen))
    return [calibration[i] for i in chosen]


def shown(network: Network, predictor_of: PredictorOf, calibration: Calibration) -> Iterator[NDArray[np.float32]]:
    """(B, 3, h, w) each: what the network is shown of the pictures."""
    watched = _Watched(network)
    finder = predictor_of(watched)
    boxes = isinstance(calibration, Labels) and network.spec.input.fit == "crop"
    for picture in calibration.pictures if isinstance(calibration, Labels) else calibration:
        watched.seen.clear()
        if boxes and isinstance(picture, LabelledPicture):
            find_labelled(finder, picture, network.spec.skeleton)
        else:
            finder(_path(picture))
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
    pictures: Calibration | None,
    validation: Labels | None,
) -> tuple[str, float, float]:
    """(figure, before, after) on the labels, or on the finds of `before` in the pictures; "" without either."""
    if validation is not None:
        finders = [in_joints(predictor_of(network), network.spec.skeleton, validation) for network in (before, after)]
        (figure, first), (_, second) = (
            main_figure(evaluate(finder, validation, before.spec.input.fit)) for finder in finders
        )
        return figure, first, second
    if pictures is None:
        return "", float("nan"), float("nan")
    truth = finds_as_labels(predictor_of(before), before.spec, pictures)
    fit: Fit = "letterbox" if before.spec.input.fit == "letterbox" else "whole"
    if not _has_objects(truth):
        raise ModelError(f"{before.spec.name} finds nothing in the {len(pictures)} pictures: give others, or labels")
    pairs = pair_objects(truth, tuple(predict(predictor_of(after), truth)), fit)
    return "keypoints of fp32 found again, %:", 100.0, measure_pck(pairs, DIAGONAL, mean="pooled").value


def finds_as_labels(finder: Callable[[Path], Poses], spec: ModelSpec, pictures: Calibration) -> Labels:
    """What a model finds in pictures, as if somebody had labelled it."""
    labelled = []
    listed: Sequence[LabelledPicture | Path] = pictures.pictures if isinstance(pictures, Labels) else pictures
    for i, picture in enumerate(listed):
        path = _path(picture)
        poses = finder(path)
        poses = poses[np.flatnonzero(poses.found.any(axis=1))]
        boxes = large_enough(poses.boxes).astype(np.float32)
        annotation = Annotation(
            keypoints=np.where(poses.found[..., None], poses.keypoints, np.float32(np.nan)),
            visibility=np.where(poses.found, 2, 0).astype(np.uint8),
            boxes=boxes,
            areas=AREA_PER_BOX * boxes[:, 2] * boxes[:, 3],
            crowd=np.zeros(len(poses), bool),
        )
        labelled.append(LabelledPicture(i, path, image_size(path), annotation))
    return Labels(spec.skeleton, tuple(labelled), np.ones(len(spec.skeleton), bool))


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
    spec: ModelSpec, precision: Precision, cost: Cost, pictures: Calibration | None, validation: Labels | None
) -> ModelSpec:
    """With its precision, and the figure that was measured in place of those of fp32."""
    provenance: dict[str, Any] = {**spec.provenance, "precision": precision}
    if precision == "int8" and pictures is not None:
        provenance["calibrated_on_pictures"] = len(pictures)
    figures = {cost.figure: cost.after} if validation is not None else {}
    return spec.model_copy(update={"provenance": provenance, "figures": figures})


def _path(picture: LabelledPicture | Path) -> Path:
    return picture.path if isinstance(picture, LabelledPicture) else picture


def _has_objects(labels: Labels) -> bool:
    return any(len(labelled_rows(picture)) for picture in labels)
