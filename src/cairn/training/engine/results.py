"""What a run leaves: its weights in one file, its curves, and a report of the model on the validation images."""

from __future__ import annotations

import logging
import math
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from cairn.errors import CairnError, ModelError
from cairn.evaluation.evaluate import measure
from cairn.evaluation.reports.report import FILES, write_report
from cairn.files import atomic_write
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import OnnxNetwork
from cairn.training.checkpoints.reading import current_names
from cairn.training.engine.callbacks import read_metrics
from cairn.training.engine.module import OF_JOINT, KeypointModule
from cairn.training.exporting.onnx_file import export
from cairn.training.recipe import Recipe

log = logging.getLogger(__name__)


def export_run(module: KeypointModule, checkpoint: Path, run: Path, target: Path) -> Path:
    """Export a checkpoint's weights, with where they come from and what they reached by the run's metrics.

    Raises ModelError as `load_weights` does.
    """
    epoch = load_weights(module, checkpoint)
    export(module.export_module(), with_provenance(module.spec(), module.recipe, epoch, run), target)
    return target


def load_weights(module: KeypointModule, checkpoint: Path) -> int:
    """Fills the module, and returns the epoch after which the weights were written.

    Raises ModelError where the checkpoint is missing, truncated, or of another network.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        epoch, weights = int(state["epoch"]), current_names(state["state_dict"])
    except OSError as error:
        raise ModelError(f"cannot read checkpoint {checkpoint}: {error.strerror}") from None
    except Exception as error:  # a damaged file makes torch raise a dozen unrelated types
        raise ModelError(f"{checkpoint} is damaged, or no checkpoint of a run ({type(error).__name__})") from None
    try:
        module.load_state_dict(weights)
    except (RuntimeError, TypeError):
        raise ModelError(f"{checkpoint} has other weights than the network that the recipe describes") from None
    return epoch


def with_provenance(spec: ModelSpec, recipe: Recipe, epoch: int, run: Path) -> ModelSpec:
    """The spec with seed, epoch, date, Cairn's version and commit, and the figures that were reached at that epoch."""
    provenance: dict[str, str | int | float] = {
        **_version(),
        "trained": datetime.now(UTC).date().isoformat(),
        "seed": recipe.seed,
        "epoch": epoch + 1,
        "epochs": recipe.run.epochs,
        "data": ", ".join(str(source.labels) for source in recipe.data.train),
        **_commit(),
    }
    figures: dict[str, float] = {}
    for row in read_metrics(run / "metrics.csv"):
        if row.pop("epoch") == epoch + 1:
            provenance["minutes"] = row.pop("minutes")
            figures = {
                name: value for name, value in row.items() if math.isfinite(value) and not name.startswith(OF_JOINT)
            }
    stated = {name: getattr(recipe, name) for name in ("license", "sources", "draw_threshold")}
    return spec.model_copy(update=stated | {"provenance": provenance, "metrics": figures})


def write_curves(run: Path, monitor: str) -> None:
    """RUN/curves.png: losses, and the metrics of all joints together, over epochs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(run / "metrics.csv")
    if not rows:
        return
    names = list(rows[-1])
    losses = [name for name in names if name.startswith("loss/")] or ["loss"]
    others = [n for n in names if n not in ("epoch", "minutes", "loss", *losses) and not n.startswith(OF_JOINT)]
    figure = Figure((10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, chosen in zip(figure.subplots(1, 2), (losses, others), strict=True):
        for name in chosen:
            points = [(row["epoch"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, linewidth=2.5 if name == monitor else 1, marker=".")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    with atomic_write(run / "curves.png") as beside:
        figure.savefig(beside, dpi=100)


def write_validation(module: KeypointModule, model: Path, run: Path) -> None:
    """RUN/report: the exported file on the validation images, as `cairn evaluate` would have it.

    Nothing where none of them is labeled, or their labels have nothing to measure by: then a line says so.
    """
    if not any(image.annotation.labeled.any() for image in module.val):
        return
    network = OnnxNetwork(model)
    started = time.perf_counter()
    predictions = tuple(module.predict(network, index) for index in range(len(module.val)))
    seconds = (time.perf_counter() - started) / len(module.val)
    folder = run / "report"
    for name in FILES:  # of an earlier end of this run
        (folder / name).unlink(missing_ok=True)
    try:
        evaluation = measure(module.val, predictions, task=network.spec.task, seconds=seconds)
        write_report(evaluation, folder, {"model": module.recipe.name, "labels": "the run's validation images"})
    except CairnError as error:  # the model is there, and good: hours of training do not end in an error
        log.info("no report: %s", error)
    else:
        log.info("validation images: %s", folder / "report.html")


def _version() -> dict[str, str]:
    """Cairn's, where it is installed and not just lies on the path."""
    try:
        return {"cairn": version("cairn-pose")}
    except PackageNotFoundError:
        return {}


def _commit() -> dict[str, str]:
    """The commit of the working copy that this code runs from; nothing where it is installed."""
    if not (Path(__file__).parents[4] / ".git").exists():  # git would find somebody else's, further up
        return {}
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": found.stdout.strip()}
