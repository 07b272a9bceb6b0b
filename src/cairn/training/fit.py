"""A training run: a folder that holds its recipe, split, logs and checkpoints, and can be taken up again.

RUN/recipe.toml        every value, as run
RUN/skeleton.toml      the joints learnt, for export
RUN/split.json         which pictures were set aside, where the recipe names no validation set
RUN/metrics.csv        a row for each validation
RUN/tensorboard/       losses, metrics, pictures of predictions
RUN/checkpoints/       last.ckpt; best.ckpt by the method's metric
RUN/model.onnx         the best weights, ready for use
"""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from cairn.annotations.labels import Labels
from cairn.errors import CairnError, ModelError, OutputError
from cairn.output import writable_folder
from cairn.skeleton import Skeleton, skeleton
from cairn.spec import ModelSpec
from cairn.training.callbacks import (
    BestCheckpoint,
    EpochBar,
    LastEpochValidates,
    MetricsTable,
    ShownPredictions,
    WholeFileCheckpoints,
    moving_average,
    read_metrics,
)
from cairn.training.data import Sources
from cairn.training.dataset import TrainingSet, training_loader
from cairn.training.export import export
from cairn.training.module import KeypointModule
from cairn.training.recipe import Recipe, to_toml

log = logging.getLogger(__name__)


class TrainingMethod(Protocol):
    """What a method's training module offers."""

    Recipe: type[Recipe]

    def read_data(self, recipe: Any, run: Path) -> tuple[Skeleton, Sources, Labels]: ...

    def module(self, recipe: Any, skeleton: Skeleton, val: Labels) -> KeypointModule: ...

    def training_set(self, recipe: Any, skeleton: Skeleton, sources: Sources) -> TrainingSet: ...


def train(method: TrainingMethod, recipe: Recipe, run: Path, resume: bool = False) -> Path:
    """Train by a recipe in the folder `run`; returns the exported model.

    Raises RecipeError or LabelError where the recipe or its labels cannot be used, OutputError where the
    folder is taken and `resume` is not asked for, or cannot be written to.
    """
    start_run(recipe, run, resume)
    with _nothing_left_behind(run, resume):
        lightning.seed_everything(recipe.seed, workers=True, verbose=False)
        torch.set_num_threads(recipe.run.threads or _free_cores())
        joints, sources, val = method.read_data(recipe, run)
        (run / "skeleton.toml").write_text(to_toml(joints.to_dict()), encoding="utf-8")
        training = method.training_set(recipe, joints, sources)
        module = method.module(recipe, joints, val)
    log.info(
        "%d samples to learn from, %d pictures to validate on, %s with %d joints, %.2f M parameters",
        len(training),
        len(val),
        joints.name,
        len(joints),
        sum(p.numel() for p in module.network.parameters()) / 1e6,
    )
    trainer = make_trainer(module, recipe, run)
    log.info(
        "on %s, %d threads, precision %s", trainer.strategy.root_device, torch.get_num_threads(), trainer.precision
    )
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    begun = resume and last.is_file()
    if begun:
        load_weights(module, last)  # what is wrong with it is said in one line
    started = time.time()
    with _plain_endings():
        trainer.fit(
            module,
            training_loader(training, recipe.run.batch, recipe.run.workers, pin=torch.cuda.is_available()),
            DataLoader(range(len(val)), batch_size=1, collate_fn=list),  # type: ignore[arg-type]
            ckpt_path=last if begun else None,
            weights_only=True,
        )
    log.info("trained for %.1f minutes", (time.time() - started) / 60)
    return export_run(module, best if best.is_file() else last, run, run / "model.onnx")


def export_from(method: TrainingMethod, recipe: Recipe, run: Path, checkpoint: str, target: Path) -> Path:
    """Export a run's "best" or "last" weights to `target`, with names and thresholds as `recipe` has them now."""
    joints = skeleton(str(run / "skeleton.toml"))
    nothing = Labels(joints, (), np.ones(len(joints), bool))
    module = method.module(recipe, joints, nothing)
    return export_run(module, run / "checkpoints" / f"{checkpoint}.ckpt", run, target)


def start_run(recipe: Recipe, run: Path, resume: bool) -> None:
    """Makes the folder and writes the recipe into it. Raises OutputError where it is in use or cannot be made."""
    if resume and not (run / "recipe.toml").is_file():
        raise OutputError(f"there is no run to resume in {run}: it has no recipe.toml")
    writable_folder(run)
    if not resume and any(run.iterdir()):
        raise OutputError(f"{run} is not empty: choose another --out, or --resume it")
    if not resume:
        (run / "recipe.toml").write_text(to_toml(recipe.model_dump(mode="json")), encoding="utf-8")


def make_trainer(module: KeypointModule, recipe: Recipe, run: Path) -> lightning.Trainer:
    """Writes checkpoints and logs into the run's folder."""
    callbacks: list[Callback] = [
        BestCheckpoint(run / "checkpoints", module.monitor),
        ModelCheckpoint(run / "checkpoints", "last", enable_version_counter=False, save_on_train_epoch_end=True),
        MetricsTable(run / "metrics.csv", module.monitor),
        ShownPredictions(),
        LastEpochValidates(),
    ]
    if recipe.optimiser.ema:
        callbacks.append(WeightAveraging(avg_fn=moving_average(recipe.optimiser.ema)))
    if sys.stderr.isatty():
        callbacks.append(EpochBar(refresh_rate=5))
    return lightning.Trainer(
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


def export_run(module: KeypointModule, checkpoint: Path, run: Path, target: Path) -> Path:
    """Export a checkpoint's weights, with where they come from and what they reached by the run's metrics.

    Raises ModelError as `load_weights` does.
    """
    epoch = load_weights(module, checkpoint)
    export(module.deployed(), with_provenance(module.spec(), module.recipe, epoch, run), target)
    return target


def load_weights(module: KeypointModule, checkpoint: Path) -> int:
    """Fills the module, and returns the epoch after which the weights were written.

    Raises ModelError where the checkpoint is missing, truncated, or of another network.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        epoch, weights = int(state["epoch"]), state["state_dict"]
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
        "cairn": version("cairn"),
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
            figures = {name: value for name, value in row.items() if math.isfinite(value)}
    stated = {name: getattr(recipe, name) for name in ("licence", "sources", "draw_threshold")}
    return spec.model_copy(update=stated | {"provenance": provenance, "figures": figures})


@contextmanager
def _nothing_left_behind(run: Path, resume: bool) -> Iterator[None]:
    """Where a new run cannot begin, its folder is taken away again, so that the next try finds the place free."""
    try:
        yield
    except BaseException:
        if not resume:
            for name in ("recipe.toml", "skeleton.toml", "split.json"):
                (run / name).unlink(missing_ok=True)
            with suppress(OSError):  # something else is in it
                run.rmdir()
        raise


@contextmanager
def _plain_endings() -> Iterator[None]:
    """Keeps Lightning's bar off stdout, and lets interrupts and users' errors through as what they are."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as end:
        if end.code == 1:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None
        raise
    except CairnError as error:
        *_, last = str(error).splitlines()  # a worker's error comes as the text of its traceback
        raise type(error)(last.removeprefix(f"{type(error).__module__}.{type(error).__qualname__}: ")) from None


def _free_cores() -> int:
    """That this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _precision(setting: str) -> Any:
    if setting == "auto":
        setting = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[setting]


def _commit() -> dict[str, str]:
    """The commit of the working copy that this code runs from; nothing where it is installed."""
    if not (Path(__file__).parents[3] / ".git").exists():  # git would find somebody else's, further up
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
