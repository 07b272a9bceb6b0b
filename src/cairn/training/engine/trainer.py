"""The Lightning trainer of a run: precision, processes, callbacks, loggers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import lightning
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger

from cairn.training.autoconfig.machine import in_bf16
from cairn.training.engine.callbacks import (
    AtomicCheckpointIO,
    BestCheckpoint,
    EpochBar,
    LastEpochValidates,
    MetricsTable,
    PredictionImages,
    moving_average,
)
from cairn.training.engine.plateau import Plateau
from cairn.training.engine.processes import Processes
from cairn.training.engine.training_module import TrainingModule
from cairn.training.recipe import BasicRecipe
from cairn.training.run_folder import RunFolder


def make_trainer(
    module: TrainingModule,
    recipe: BasicRecipe,
    run: Path,
    group: Processes = Processes(),
    more: Sequence[Callback] = (),
) -> lightning.Trainer:
    """Returns a trainer whose first process writes checkpoints and logs into the folder of the run.

    Args:
        module: The network to train.
        recipe: All settings.
        run: The folder of the run.
        group: The processes that train together.
        more: Callbacks beside those that every run has.
    """
    return lightning.Trainer(
        accelerator="auto",
        devices=group.here,
        num_nodes=group.machines,
        strategy="ddp" if group.count > 1 else "auto",
        precision="bf16-mixed" if in_bf16(recipe.run.precision) else "32-true",
        max_epochs=recipe.run.epochs,
        accumulate_grad_batches=recipe.run.accumulate,
        gradient_clip_val=recipe.optimizer.clip or None,
        check_val_every_n_epoch=min(recipe.run.validate_every, recipe.run.epochs),
        num_sanity_val_steps=1,
        log_every_n_steps=20,
        logger=TensorBoardLogger(run, name=RunFolder(run).tensorboard.name, version=""),
        callbacks=[*_callbacks(recipe, RunFolder(run), module.monitor), *more],
        # The environment is explicit: inside a Slurm allocation Lightning would take Slurm's tasks for its processes.
        plugins=[AtomicCheckpointIO(), TorchElasticEnvironment() if group.count > 1 else LightningEnvironment()],
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _callbacks(recipe: BasicRecipe, folder: RunFolder, monitor: str) -> list[Callback]:
    callbacks: list[Callback] = [
        BestCheckpoint(folder.checkpoints, monitor),
        ModelCheckpoint(folder.checkpoints, "last", enable_version_counter=False, save_on_train_epoch_end=True),
        MetricsTable(folder.metrics, monitor),
        PredictionImages(folder.validation),
        LastEpochValidates(),
    ]
    if recipe.optimizer.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=moving_average(recipe.optimizer.ema)))
    if recipe.run.patience:
        callbacks.append(
            EarlyStopping(monitor, patience=recipe.run.patience, mode="max", check_finite=False, verbose=False)
        )
    if recipe.optimizer.schedule == "plateau":
        callbacks.append(Plateau(recipe.optimizer, monitor))
    if sys.stderr.isatty():
        callbacks.append(EpochBar(refresh_rate=5))
    return callbacks
