"""The results of a run: exported model with provenance, curves, report of the validation images."""

from __future__ import annotations

import logging
import math
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import torch

from cairn.errors import CairnError, ModelError
from cairn.evaluation.evaluate import measure
from cairn.evaluation.reports.report import FILES, write_report
from cairn.files import atomic_write
from cairn.inference.network import OnnxNetwork
from cairn.inference.spec import Spec
from cairn.training.checkpoints.reading import current_names
from cairn.training.engine.callbacks import read_metrics
from cairn.training.engine.module import PER_JOINT, KeypointModule
from cairn.training.engine.training_module import TrainingModule
from cairn.training.exporting.onnx_file import export
from cairn.training.recipe import BasicRecipe
from cairn.training.run_folder import RunFolder

S = TypeVar("S", bound=Spec)
"""A class of specifications, as a type variable."""

log = logging.getLogger(__name__)


def export_run(module: KeypointModule, checkpoint: Path, run: Path, target: Path) -> Path:
    """Exports a checkpoint, with its provenance and its metrics.

    Args:
        module: The module of the run's recipe.
        checkpoint: The checkpoint.
        run: The folder of the run, for the metrics.
        target: The .onnx file to write.

    Returns:
        `target`.

    Raises:
        ModelError: The checkpoint cannot be loaded, or ONNX and torch compute different outputs.
    """
    epoch = load_weights(module, checkpoint)
    export(module.export_module(), with_provenance(module.spec(), module.recipe, epoch, run), target)
    return target


def load_weights(module: TrainingModule, checkpoint: Path) -> int:
    """Loads the weights of a checkpoint into a module.

    Returns:
        The epoch of the checkpoint, from 0.

    Raises:
        ModelError: The checkpoint is missing, damaged, or of another network.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        epoch, weights = int(state["epoch"]), current_names(state["state_dict"])
    except OSError as error:
        raise ModelError(f"cannot read checkpoint {checkpoint}: {error.strerror}") from None
    except Exception as error:  # torch raises many unrelated types for a damaged file
        raise ModelError(f"{checkpoint} is damaged or not a checkpoint of a run ({type(error).__name__})") from None
    try:
        module.load_state_dict(weights)
    except (RuntimeError, TypeError):
        raise ModelError(f"{checkpoint} does not have the weights of the network in the recipe") from None
    return epoch


def with_provenance(spec: S, recipe: BasicRecipe, epoch: int, run: Path) -> S:
    """Returns the spec with seed, epoch, date, version and commit of Cairn, and the metrics of that epoch.

    Args:
        spec: The specification of the model.
        recipe: The recipe; it gives license, sources and, where the model has one, draw_threshold.
        epoch: The epoch of the weights, from 0.
        run: The folder of the run.
    """
    provenance: dict[str, str | int | float] = {
        **spec.provenance,
        **_version(),
        "trained": datetime.now(UTC).date().isoformat(),
        "seed": recipe.seed,
        "epoch": epoch + 1,
        "epochs": recipe.run.epochs,
        "data": ", ".join(map(str, recipe.files)),
        **_commit(),
    }
    metrics: dict[str, float] = {}
    for row in read_metrics(RunFolder(run).metrics):
        if row.pop("epoch") == epoch + 1:
            provenance["minutes"] = row.pop("minutes")
            metrics = {
                name: value for name, value in row.items() if math.isfinite(value) and not name.startswith(PER_JOINT)
            }
    stated = {
        name: getattr(recipe, name)
        for name in ("license", "sources", "draw_threshold")
        if name in type(recipe).model_fields and name in type(spec).model_fields
    }
    return spec.model_copy(update=stated | {"provenance": provenance, "metrics": metrics})


def write_curves(run: Path, monitor: str) -> None:
    """Plots losses and overall metrics over epochs into curves.png.

    Args:
        run: The folder of the run.
        monitor: Name of the main metric, drawn as a thick line.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(RunFolder(run).metrics)
    if not rows:
        return
    names = list(rows[-1])
    losses = [name for name in names if name.startswith("loss/")] or ["loss"]
    others = [n for n in names if n not in ("epoch", "minutes", "loss", *losses) and not n.startswith(PER_JOINT)]
    figure = Figure((10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, plotted in zip(figure.subplots(1, 2), (losses, others), strict=True):
        for name in plotted:
            points = [(row["epoch"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, linewidth=2.5 if name == monitor else 1, marker=".")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    with atomic_write(RunFolder(run).curves) as beside:
        figure.savefig(beside, dpi=100)


def write_validation(module: KeypointModule, model: Path, run: Path) -> None:
    """Writes the report of the exported model on the validation images, as `cairn evaluate` does.

    Writes nothing if no validation image has labels; logs a line if their labels do not suffice for any metric.

    Args:
        module: The module of the run.
        model: The exported model.
        run: The folder of the run.
    """
    if not any(image.annotation.labeled.any() for image in module.val):
        return
    network = OnnxNetwork(model)
    started = time.perf_counter()
    predictions = tuple(replace(module.predict(network, index), image=None) for index in range(len(module.val)))
    seconds = (time.perf_counter() - started) / len(module.val)
    folder = RunFolder(run).report
    for name in FILES:  # of an earlier report of this run
        (folder / name).unlink(missing_ok=True)
    try:
        evaluation = measure(module.val, predictions, task=network.spec.task, seconds=seconds)
        write_report(evaluation, folder, {"model": module.recipe.name, "labels": "the run's validation images"})
    except CairnError as error:  # the model is exported: a run does not fail for want of a report
        log.info("no report: %s", error)
    else:
        log.info("validation images: %s", folder / "report.html")


def _version() -> dict[str, str]:
    """The version of Cairn, if it is installed and not only on the path."""
    try:
        return {"cairn": version("cairn-pose")}
    except PackageNotFoundError:
        return {}


def _commit() -> dict[str, str]:
    """The commit of the working copy of this code; nothing if it is installed."""
    if not (Path(__file__).parents[4] / ".git").exists():  # git would search the folders above
        return {}
    try:
        result = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": result.stdout.strip()}
