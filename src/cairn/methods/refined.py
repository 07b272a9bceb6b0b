"""The refiner of a run: whether it is used, and in which crops."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from cairn.datasets.labels import Labels
from cairn.evaluation.evaluate import Evaluation, evaluate
from cairn.evaluation.reports.report import FILES, write_report
from cairn.files import atomic_write
from cairn.inference.network import OnnxNetwork
from cairn.inference.refine import RefinedPredictor
from cairn.methods import get_method
from cairn.training.exporting.precision import restate
from cairn.training.run_folder import RunFolder

MARGINS = (1.25, 1.5, 1.75, 2.0)
"""Sides of crops that are tried, relative to the box around the detected keypoints; annotated boxes are larger."""

log = logging.getLogger(__name__)


def choose_refined(run: Path, refiner: Path, val: Labels) -> bool:
    """Writes the refiner of a run beside its model where it increases the AP of the validation images.

    The margin of its crops is the best one of `MARGINS`. The report of the run is then that of both models.

    Args:
        run: The folder of the run, with its model.
        refiner: The folder of the refiner's run, with its model.
        val: The validation images.

    Returns:
        Whether it does.
    """
    folder = RunFolder(run)
    folder.refiner_model.unlink(missing_ok=True)
    if not any(image.annotation.labeled.any() for image in val):
        return False
    whole, crops = OnnxNetwork(folder.model), OnnxNetwork(RunFolder(refiner).model)
    first = get_method(whole.spec.method).predictor(whole)
    alone = _ap(evaluate(first, val))
    refined: Evaluation | None = None
    chosen = crops.spec
    for margin in MARGINS:
        shape = crops.spec.input.model_copy(update={"margin": margin})
        crops.spec = crops.spec.model_copy(update={"input": shape})
        evaluation = evaluate(RefinedPredictor(first, get_method(crops.spec.method).predictor(crops)), val)
        if _ap(evaluation) > (alone if refined is None else _ap(refined)):
            refined, chosen = evaluation, crops.spec
    if refined is None:
        log.info("validation images: AP %.1f; the refiner does not increase it, and is not used", alone)
        return False
    with atomic_write(folder.refiner_model) as beside:
        shutil.copyfile(RunFolder(refiner).model, beside)
        restate(beside, chosen)
    for name in FILES:  # of the first model alone
        (folder.report / name).unlink(missing_ok=True)
    write_report(refined, folder.report, {"model": whole.spec.name, "labels": "the run's validation images"})
    log.info("validation images: AP %.1f, and %.1f with the refiner, which is used", alone, _ap(refined))
    return True


def _ap(evaluation: Evaluation) -> float:
    return (evaluation.oks or {}).get("AP", 0.0)
