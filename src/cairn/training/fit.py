"""A training run: a folder that holds its recipe, split, logs and checkpoints, and can be taken up again.

    RUN/recipe.toml        every value, as run
    RUN/split.json         which pictures were set aside, where the recipe names no validation set
    RUN/metrics.csv        a row for each validation
    RUN/tensorboard/       losses, metrics, pictures of predictions
    RUN/checkpoints/       last.ckpt; best.ckpt by the method's metric
    RUN/model.onnx         the best weights, ready for use
"""

from __future__ import annotations

import csv
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader

import cairn
from cairn.annotations.coco import read_coco
from cairn.annotations.labels import Labels
from cairn.errors import LabelError, ModelError, OutputError, RecipeError
from cairn.image import read_image
from cairn.render import draw
from cairn.skeleton import Skeleton, skeleton
from cairn.spec import ModelSpec
from cairn.training.dataset import TrainingSet, training_loader
from cairn.training.export import export
from cairn.training.module import KeypointModule
from cairn.training.recipe import LabelSource, Recipe, to_toml

SHOWN = 8
"""Pictures whose predictions TensorBoard shows."""

log = logging.getLogger(__name__)

Sources = Sequence[tuple[Labels, LabelSource]]


class TrainingMethod(Protocol):
    """What a method's training module offers."""

    Recipe: type[Recipe]

    def module(self, recipe: Any, skeleton: Skeleton, val: Labels) -> KeypointModule: ...

    def training_set(self, recipe: Any, skeleton: Skeleton, sources: Sources) -> TrainingSet: ...


def train(method: TrainingMethod, recipe: Recipe, run: Path, resume: bool = False) -> Path:
    """Train by a recipe in the folder `run`; returns the exported model.

    Raises RecipeError or LabelError where the recipe or its labels cannot be used, OutputError where the
    folder is taken and `resume` is not asked for, or cannot be written to.
    """
    start_run(recipe, run, resume)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    torch.set_num_threads(recipe.run.threads or len(os.sched_getaffinity(0)))
    joints, sources, val = read_data(recipe, run)
    training = method.training_set(recipe, joints, sources)
    module = method.module(recipe, joints, val)
    log.info(
        "%d pictures to learn from, %d to validate on, %s with %d joints, %.2f M parameters",
        len(training),
        len(val),
        joints.name,
        len(joints),
        sum(p.numel() for p in module.network.parameters()) / 1e6,
    )
    trainer, best = make_trainer(module, recipe, run)
    last = run / "checkpoints" / "last.ckpt"
    started = time.time()
    trainer.fit(
        module,
        training_loader(training, recipe.run.batch, recipe.run.workers, pin=torch.cuda.is_available()),
        DataLoader(range(len(val)), batch_size=1, collate_fn=list),  # type: ignore[arg-type]
        ckpt_path=last if resume and last.is_file() else None,
        weights_only=True,
    )
    log.info("trained for %.1f minutes", (time.time() - started) / 60)
    return export_run(module, Path(best.best_model_path or last), run)


def start_run(recipe: Recipe, run: Path, resume: bool) -> None:
    """Makes the folder and writes the recipe into it. Raises OutputError where it is in use or cannot be made."""
    if resume and not (run / "recipe.toml").is_file():
        raise OutputError(f"there is no run to resume in {run}: it has no recipe.toml")
    if not resume and run.exists() and any(run.iterdir()):
        raise OutputError(f"{run} is not empty: choose another --out, or --resume it")
    try:
        run.mkdir(parents=True, exist_ok=True)
        if not resume:
            (run / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write to {run}: {error.strerror}") from None


def read_data(recipe: Recipe, run: Path) -> tuple[Skeleton, list[tuple[Labels, LabelSource]], Labels]:
    """The skeleton, the labels to learn from and those to validate on; a split that is drawn is kept in the run."""
    if not recipe.data.train:
        raise RecipeError("a recipe needs labels to learn from: --data labels.json")
    joints = skeleton(recipe.skeleton) if recipe.skeleton else None
    sources = []
    for source in recipe.data.train:
        labels = _read(source, joints)
        joints = joints or labels.skeleton
        sources.append((labels, source))
    assert joints is not None
    if recipe.data.val:
        val = [_read(source, joints) for source in recipe.data.val]
        return joints, sources, replace(val[0], pictures=tuple(picture for labels in val for picture in labels))
    (first, source), *others = sources
    held = _held_out(first, recipe.data.holdout, recipe.seed, run / "split.json")
    return joints, [(_without(first, held), source), *others], _only(first, held)


def make_trainer(module: KeypointModule, recipe: Recipe, run: Path) -> tuple[lightning.Trainer, ModelCheckpoint]:
    """The trainer, and the callback that knows where the best weights are."""
    best = ModelCheckpoint(
        run / "checkpoints", "best", monitor=module.monitor, mode="max", enable_version_counter=False
    )
    callbacks: list[Callback] = [
        best,
        ModelCheckpoint(run / "checkpoints", "last", enable_version_counter=False, save_on_train_epoch_end=True),
        MetricsTable(run / "metrics.csv", module.monitor),
        ShownPredictions(),
    ]
    if recipe.optimiser.ema:
        callbacks.append(WeightAveraging(avg_fn=_average(recipe.optimiser.ema)))
    if sys.stderr.isatty():
        callbacks.append(TQDMProgressBar(refresh_rate=5))
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        precision=_precision(recipe.run.precision),
        max_epochs=recipe.run.epochs,
        accumulate_grad_batches=recipe.run.accumulate,
        gradient_clip_val=recipe.optimiser.clip or None,
        check_val_every_n_epoch=min(recipe.run.validate_every, recipe.run.epochs),
        num_sanity_val_steps=1,
        log_every_n_steps=20,
        logger=TensorBoardLogger(run, name="tensorboard", version=""),
        callbacks=callbacks,
        plugins=[WholeFileCheckpoints()],
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    return trainer, best


def export_run(module: KeypointModule, checkpoint: Path, run: Path) -> Path:
    """Export a checkpoint's weights to RUN/model.onnx, with where they come from and what they reached.

    Raises ModelError where the checkpoint is missing, truncated, or of another network.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        module.load_state_dict(state["state_dict"])
    except OSError as error:
        raise ModelError(f"cannot read checkpoint {checkpoint}: {error.strerror}") from None
    except (RuntimeError, KeyError, EOFError, ValueError) as error:
        raise ModelError(f"{checkpoint} is no checkpoint of this run ({str(error).splitlines()[0]})") from None
    target = run / "model.onnx"
    export(module.deployed(), with_provenance(module.spec(), module.recipe, state["epoch"], run), target)
    return target


def with_provenance(spec: ModelSpec, recipe: Recipe, epoch: int, run: Path) -> ModelSpec:
    """The spec with the recipe's seed, the epoch, the date, Cairn's version and commit, and the figures at that epoch."""
    provenance: dict[str, str | int | float] = {
        "cairn": cairn.__version__,
        "trained": datetime.now(UTC).date().isoformat(),
        "seed": recipe.seed,
        "epoch": epoch + 1,
        "epochs": recipe.run.epochs,
        "data": ", ".join(str(source.labels) for source in recipe.data.train),
        **_commit(),
    }
    table = run / "metrics.csv"
    figures: dict[str, float] = {}
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                if int(row["epoch"]) == epoch + 1:
                    figures = {key: float(value) for key, value in row.items() if key not in ("epoch", "minutes") and value}
    return spec.model_copy(update={"provenance": provenance, "figures": figures})


class MetricsTable(Callback):
    """A row in a CSV file for each validation; on resuming it goes on where the checkpoint was."""

    def __init__(self, path: Path, monitor: str) -> None:
        self.path = path
        self.monitor = monitor
        self._rows: list[dict[str, Any]] = []
        self._started = time.time()

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.path.is_file():
            with self.path.open(encoding="utf-8", newline="") as rows:
                self._rows = [row for row in csv.DictReader(rows) if int(row["epoch"]) <= trainer.current_epoch]
        before = float(self._rows[-1]["minutes"]) if self._rows else 0.0
        self._started = time.time() - 60 * before

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith("_step")}
        if self.monitor not in values or (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch:
            return
        minutes = (time.time() - self._started) / 60
        row = {"epoch": trainer.current_epoch + 1, "minutes": f"{minutes:.2f}"}
        row |= {name: f"{value:.5g}" for name, value in values.items() if name != "loss_epoch"}
        self._rows.append(row)
        beside = self.path.with_suffix(".part")
        with beside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(row), restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows(self._rows)
        beside.replace(self.path)
        log.info("%s", "  ".join(f"{name} {value}" for name, value in row.items()))


class ShownPredictions(Callback):
    """Validation pictures with what was found in them, for TensorBoard."""

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.sanity_checking or not isinstance(pl_module, KeypointModule) or trainer.logger is None:
            return
        for index, poses in enumerate(pl_module.predictions[:SHOWN]):
            picture = draw(read_image(pl_module.val.pictures[index].path), poses)
            trainer.logger.experiment.add_image(  # type: ignore[attr-defined]
                f"val/{index}", picture, trainer.current_epoch + 1, dataformats="HWC"
            )


class WholeFileCheckpoints(TorchCheckpointIO):
    """Writes beside, then renames: a run that is killed while it saves keeps its last checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        beside = Path(f"{path}.part")
        super().save_checkpoint(checkpoint, beside, storage_options)
        beside.replace(path)


def _read(source: LabelSource, joints: Skeleton | None) -> Labels:
    return read_coco(source.labels, source.images, joints)


def _held_out(labels: Labels, share: float, seed: int, path: Path) -> frozenset[int]:
    """Picture ids that validate: those in the file where it exists, else drawn by seed and written to it."""
    if path.is_file():
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["val"])
    ids = np.array([picture.id for picture in labels])
    count = max(1, round(share * len(ids)))
    if count >= len(ids):
        raise LabelError(f"{len(ids)} labelled pictures cannot be split into training and validation: give --val")
    held = np.random.default_rng(seed).choice(ids, count, replace=False)
    path.write_text(json.dumps({"val": sorted(held.tolist())}), encoding="utf-8")
    return frozenset(held.tolist())


def _only(labels: Labels, ids: frozenset[int]) -> Labels:
    return replace(labels, pictures=tuple(picture for picture in labels if picture.id in ids))


def _without(labels: Labels, ids: frozenset[int]) -> Labels:
    return replace(labels, pictures=tuple(picture for picture in labels if picture.id not in ids))


def _average(decay: float):  # type: ignore[no-untyped-def]  # a function of three tensors
    """An exponential moving average that starts short, so that early validations see recent weights."""

    def average(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        keep = min(decay, (1 + float(count)) / (10 + float(count)))
        return averaged * keep + current * (1 - keep)

    return average


def _precision(setting: str) -> Any:
    if setting == "auto":
        setting = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[setting]


def _commit() -> dict[str, str]:
    """The commit of the working copy that this code runs from; nothing where it is installed."""
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
