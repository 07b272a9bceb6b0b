"""The refiner of a run: whether it is used, and how."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.datasets.labels import Labels
from cairn.evaluation.evaluate import Evaluation, evaluate
from cairn.evaluation.prediction import annotated_instances, predict_annotated_boxes
from cairn.evaluation.reports.report import FILES, write_report
from cairn.files import atomic_write
from cairn.inference.base import BasePredictor
from cairn.inference.boxes import large_enough
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Network, OnnxNetwork
from cairn.inference.protocol import Predictor
from cairn.inference.refine import SECOND_MARGIN, WIDE_MARGIN, RefinedPredictor
from cairn.methods import get_method
from cairn.structures.poses import Poses
from cairn.training.exporting.precision import restate
from cairn.training.run_folder import RunFolder

MARGINS = (1.25, 1.5, 1.75, 2.0)
"""Sides of crops that are tried, relative to the bounding box of the detected keypoints; annotated ones are larger."""

WIDE = 2.0
"""Margin of a wider crop beside that of the training: one around some of the keypoints contains all of them."""

CHANCE = 0.5
"""Points of AP by which more crops may be worse on a few validation images, and are still better on others."""

TRIED = 300
"""Maximum number of validation images on which these settings are tried; the best is measured on all."""

log = logging.getLogger(__name__)


class Remembered(BasePredictor[Poses]):
    """Runs a predictor of whole images once on each image, and remembers its poses.

    Attributes:
        predictor: The predictor.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._poses: dict[bytes, Poses] = {}

    @property
    def spec(self) -> ModelSpec:
        """That of the predictor."""
        return self.predictor.spec

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of the predictor."""
        return self.predictor.networks

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Poses:
        """Returns the poses of an image; boxes are not used."""
        key = blake2b(pixels.tobytes()).digest()
        if key not in self._poses:
            self._poses[key] = replace(self.predictor(pixels), image=None)
        return self._poses[key]

    def decode_raw(self, raw: Poses) -> Poses:
        """Returns the poses, which `infer` has decoded."""
        return raw


def choose_refined(run: Path, refiner: Path, val: Labels) -> bool:
    """Writes the refiner of a run beside its model where it increases the AP of the validation images.

    It has a flip test, as the results of the paper. A narrow and a wide crop of each detection, and others around the
    keypoints, are used unless one crop is better on the validation images, whose margin is then the best there. The
    report of the run is then that of both models.

    Args:
        run: The folder of the run, with its model.
        refiner: The folder of the refiner's run, with its model.
        val: The validation images.

    Returns:
        Whether it does.
    """
    folder, source = RunFolder(run), RunFolder(refiner).model
    folder.refiner_model.unlink(missing_ok=True)
    if not any(image.annotation.labeled.any() for image in val):
        return False
    whole, crops = OnnxNetwork(folder.model), OnnxNetwork(source)
    first = Remembered(get_method(whole.spec.method).predictor(whole))
    alone = evaluate(first, val)
    some = replace(val, images=val.images[:: -(-len(val) // TRIED)])
    second = _second_margin(get_method(crops.spec.method).predictor(crops), some)

    def refined(spec: ModelSpec, labels: Labels = some) -> Evaluation:
        crops.spec = spec
        return evaluate(RefinedPredictor(first, get_method(spec.method).predictor(crops)), labels)

    spec = _with(crops.spec, "flip", True) if crops.spec.skeleton.flip_pairs else crops.spec
    once = max(((refined(each), each) for each in _with_margins(spec)), key=lambda tried: _ap(tried[0]))
    more = _with(_with(spec, WIDE_MARGIN, WIDE), SECOND_MARGIN, second)
    several = refined(more), more
    best, spec = several if _ap(several[0]) > max(0.0, _ap(once[0]) - CHANCE) else once
    if len(some) < len(val):
        best = refined(spec, val)
    if _ap(best) <= _ap(alone):
        log.info("validation images: AP %.1f, and with the refiner %.1f: it is not used", _ap(alone), _ap(best))
        return False
    with atomic_write(folder.refiner_model) as beside:
        shutil.copyfile(source, beside)
        restate(beside, spec)
    for name in FILES:  # of the first model alone
        (folder.report / name).unlink(missing_ok=True)
    write_report(best, folder.report, {"model": whole.spec.name, "labels": "the run's validation images"})
    log.info("validation images: AP %.1f, and with the refiner %.1f: it is used", _ap(alone), _ap(best))
    return True


def _second_margin(crops: Predictor, labels: Labels) -> float:
    """Returns the margin around keypoints of a model of crops whose crops are as large as those that it is trained on.

    Its predictions in annotated boxes tell: annotated ones are larger than the boxes around keypoints.
    """
    shares = [1.0]
    for image in labels:
        annotated = annotated_instances(image).boxes
        found = large_enough(predict_annotated_boxes(crops, image, labels.skeleton).boxes)
        shares += (annotated[:, 2:].max(axis=1) / found[:, 2:].max(axis=1)).tolist()
    return round(crops.spec.input.margin * float(np.nanmedian(shares)), 2)


def _with(spec: ModelSpec, setting: str, value: float | bool) -> ModelSpec:
    return spec.model_copy(update={"decode": {**spec.decode, setting: value}})


def _with_margins(spec: ModelSpec) -> Iterator[ModelSpec]:
    for margin in MARGINS:
        yield spec.model_copy(update={"input": spec.input.model_copy(update={"margin": margin})})


def _ap(evaluation: Evaluation) -> float:
    return (evaluation.oks or {}).get("AP", 0.0)
