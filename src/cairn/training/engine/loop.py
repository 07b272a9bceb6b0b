"""A training run: a folder that holds its recipe, split, logs and checkpoints, and can be taken up again.

RUN/recipe.toml        every value, as run, and why it was chosen where Cairn chose it
RUN/skeleton.toml      the joints learned, for export
RUN/split.json         which images were set aside, where the recipe names no validation set
RUN/metrics.csv        a row for each validation, with a column for each joint
RUN/tensorboard/       losses, metrics, images of predictions
RUN/checkpoints/       last.ckpt; best.ckpt by the method's metric
RUN/model.onnx         the best weights, ready for use
RUN/curves.png         losses and metrics over epochs
RUN/report/            the exported model on the validation images, as `cairn evaluate` has it
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from torch.utils.data import DataLoader

from cairn.datasets.labels import Labels
from cairn.errors import CairnError, ModelError, OutputError, RecipeError
from cairn.files import atomic_write, ensure_writable_folder
from cairn.machine import available_cores
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.autoconfig.machine import in_bf16
from cairn.training.backbones.imagenet import IMAGENET
from cairn.training.checkpoints.pretrained import carry_over, folded_norms, read_start, restore_norms
from cairn.training.data.loading import EpochBatches, TrainingSet, training_loader
from cairn.training.engine.callbacks import (
    BestCheckpoint,
    EpochBar,
    LastEpochValidates,
    MetricsTable,
    ShownPredictions,
    WholeFileCheckpoints,
    moving_average,
)
from cairn.training.engine.memory import is_out_of_memory, with_smaller_batch
from cairn.training.engine.module import KeypointModule
from cairn.training.engine.processes import Processes, first_before_others, joined, on_first
from cairn.training.engine.results import export_run, load_weights, write_curves, write_validation
from cairn.training.method import TrainingMethod
from cairn.training.recipe import Recipe, to_toml

MODEL = "model.onnx"

LOST_WORKER = "DataLoader worker"
"""What torch's error begins with when a process that prepares images is gone."""

SIGNAL = 1.0
"""Seconds within which the signal that ended a worker reaches this process, where it was for both."""

SEEN = 64
"""Images that a network which starts from an exported file is shown, for the statistics of its normalization."""

log = logging.getLogger(__name__)


def train(
    method: TrainingMethod,
    recipe: Recipe,
    run: Path,
    resume: bool = False,
    reasons: Mapping[str, str] | None = None,
) -> Path:
    """Train by a recipe in the folder `run`; returns the exported model.

    reasons  for values of the recipe, by `section.name`, to stand beside them in the run's
    Under torchrun all processes call this, and train one network.
    Raises RecipeError or LabelError where the recipe or its labels cannot be used, ModelError where the weights to
    start from cannot be, OutputError where the folder is taken and `resume` is not asked for, or cannot be written to.
    """
    reasons = dict(reasons or {})
    last = run / "checkpoints" / "last.ckpt"
    with joined() as group:
        on_first(lambda: start_run(recipe, run, resume, reasons))
        with _nothing_left_behind(run, resume or not group.first):
            torch.set_num_threads(recipe.run.threads or max(1, available_cores() // group.here))
            joints, sources, val = first_before_others(lambda: method.read_data(recipe, run))
            if group.first:
                with atomic_write(run / "skeleton.toml") as beside:
                    beside.write_text(to_toml(joints.to_dict()), encoding="utf-8")
            training = method.training_set(recipe, joints, sources)
            module = _module(method, recipe, joints, val, training, begun=resume and last.is_file())
        _describe(module, training, joints)
        started = time.time()
        while not _fits(module, training, run, resume and last.is_file(), group):
            recipe = with_smaller_batch(recipe, group.count)
            log.info(
                "out of memory: going on with batches of %d, %d a step", recipe.run.batch_size, recipe.run.accumulate
            )
            reasons |= dict.fromkeys(("run.batch_size", "run.accumulate"), "memory did not suffice for more")
            write_recipe(recipe, run, reasons)
            resume = True
            module = _module(method, recipe, joints, val, training, begun=last.is_file())
        log.info("trained for %.1f minutes", (time.time() - started) / 60)
        return _finish(module, run) if group.first else run / MODEL


def export_from(method: TrainingMethod, recipe: Recipe, run: Path, checkpoint: str, target: Path) -> Path:
    """Export a run's "best" or "last" weights to `target`, with names and thresholds as `recipe` has them now."""
    joints = load_skeleton(str(run / "skeleton.toml"))
    nothing = Labels(joints, (), np.ones(len(joints), bool))
    module = method.module(recipe, joints, nothing)
    return export_run(module, run / "checkpoints" / f"{checkpoint}.ckpt", run, target)


def start_run(recipe: Recipe, run: Path, resume: bool, reasons: Mapping[str, str] | None = None) -> None:
    """Makes the folder and writes the recipe into it. Raises OutputError where it is in use or cannot be made."""
    if resume and not (run / "recipe.toml").is_file():
        raise OutputError(f"there is no run to resume in {run}: it has no recipe.toml")
    ensure_writable_folder(run)
    if not resume:
        check_free(run)
        write_recipe(recipe, run, reasons)


def check_free(run: Path) -> None:
    """Raises OutputError where a new run could not have this place."""
    if run.exists() and not run.is_dir():
        raise OutputError(f"cannot write into the folder {run}: it is a file")
    if run.is_dir() and any(run.iterdir()):
        raise OutputError(f"{run} is not empty: choose another --out, or --resume it")


def write_recipe(recipe: Recipe, run: Path, reasons: Mapping[str, str] | None = None) -> None:
    with atomic_write(run / "recipe.toml") as beside:
        beside.write_text(to_toml(recipe.model_dump(mode="json"), reasons), encoding="utf-8")


def make_trainer(
    module: KeypointModule, recipe: Recipe, run: Path, group: Processes = Processes()
) -> lightning.Trainer:
    """Writes checkpoints and logs into the run's folder: the first process does."""
    callbacks: list[Callback] = [
        BestCheckpoint(run / "checkpoints", module.monitor),
        ModelCheckpoint(run / "checkpoints", "last", enable_version_counter=False, save_on_train_epoch_end=True),
        MetricsTable(run / "metrics.csv", module.monitor),
        ShownPredictions(),
        LastEpochValidates(),
    ]
    if recipe.optimizer.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=moving_average(recipe.optimizer.ema)))
    if recipe.run.patience:
        callbacks.append(
            EarlyStopping(module.monitor, patience=recipe.run.patience, mode="max", check_finite=False, verbose=False)
        )
    if sys.stderr.isatty():
        callbacks.append(EpochBar(refresh_rate=5))
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
        logger=TensorBoardLogger(run, name="tensorboard", version=""),
        callbacks=callbacks,
        # Said, not guessed: within an allocation of Slurm, Lightning would take its tasks for processes.
        plugins=[WholeFileCheckpoints(), TorchElasticEnvironment() if group.count > 1 else LightningEnvironment()],
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _module(
    method: TrainingMethod, recipe: Recipe, joints: Skeleton, val: Labels, training: TrainingSet, begun: bool
) -> KeypointModule:
    """The network to train, its weights drawn by seed or those that the recipe starts from.

    begun  it will be given those of a checkpoint
    """
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    module = method.module(recipe, joints, val)
    if not recipe.pretrained or begun:
        return module
    if recipe.pretrained == IMAGENET:
        module.start_from_imagenet()
        log.info("starts from features that were learned on ImageNet")
        return module
    start = read_start(recipe.pretrained)
    now = module.channels()
    if not now or start.method != recipe.method:
        raise ModelError(f"{start.name} is a model of {start.method}, from which {recipe.method} cannot start")
    then = method.module(recipe, start.skeleton, Labels(start.skeleton, (), np.ones(len(start.skeleton), bool)))
    carried, places = carry_over(module.network, start, now, then.channels())
    images = (training[i]["image"][None] for i in range(min(SEEN, len(training))))
    folded = folded_norms(module.network, start.weights)
    restore_norms(module.network, folded, (torch.from_numpy(image).float() for image in images))
    log.info("starts from %s: all of its features, %d of %d places of joints and limbs", start.name, carried, places)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    return module


def _fits(module: KeypointModule, training: TrainingSet, run: Path, begun: bool, group: Processes) -> bool:
    """Trains to the end of the recipe, from the last checkpoint where it has begun; False where memory ran out."""
    recipe, last = module.recipe, run / "checkpoints" / "last.ckpt"
    trainer = make_trainer(module, recipe, run, group)
    if begun:
        load_weights(module, last)  # what is wrong with it is said in one line
    settings = recipe.run
    loader = training_loader(
        training,
        settings.batch_size,
        settings.workers,
        torch.cuda.is_available(),
        settings.accumulate,
        group.rank,
        group.count,
    )
    assert isinstance(loader.batch_sampler, EpochBatches)
    module.weight = loader.batch_sampler.weight
    device, threads = trainer.strategy.root_device, torch.get_num_threads()
    log.info("on %s, %d threads, precision %s, %d processes", device, threads, trainer.precision, group.count)
    try:
        with _plain_endings():
            trainer.fit(
                module,
                loader,
                DataLoader(_share(len(module.val), group), batch_size=1, collate_fn=list),  # type: ignore[arg-type]
                ckpt_path=last if begun else None,
                weights_only=True,
            )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if group.count > 1:  # the others wait for this one, and end with it
            with_smaller_batch(recipe, group.count)
    else:
        return True
    gc.collect()  # what the error's frames held
    torch.cuda.empty_cache()
    return False


def _share(count: int, group: Processes) -> list[int]:
    """The validation images of one process, as many as every other has: -1 stands for none."""
    indices = list(range(count)) + [-1] * (-count % group.count)
    return indices[group.rank :: group.count]


def _finish(module: KeypointModule, run: Path) -> Path:
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    model = export_run(module, best if best.is_file() else last, run, run / MODEL)
    write_curves(run, module.monitor)
    write_validation(module, model, run)
    return model


def _describe(module: KeypointModule, training: TrainingSet, joints: Skeleton) -> None:
    log.info(
        "%d samples to learn from, %d images to validate on, %s with %d joints, %.2f M parameters",
        len(training),
        len(module.val),
        joints.name,
        len(joints),
        sum(p.numel() for p in module.network.parameters()) / 1e6,
    )


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
    """Keeps Lightning's bar off stdout, and lets interrupts and users' errors through as what they are.

    Who ends a group of processes ends those that prepare images too, which may be noticed before, or after.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as end:
        if end.code == 1:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        if LOST_WORKER not in str(error):
            raise
        if isinstance(ending := error.__context__, SystemExit | KeyboardInterrupt):
            raise ending from None
        time.sleep(SIGNAL)
        raise RecipeError(
            f"{str(error).strip().rstrip('.')}: for want of memory, perhaps; lower run.cache, or set run.workers=0"
        ) from None
    except CairnError as error:
        *_, last = str(error).splitlines()  # a worker's error comes as the text of its traceback
        raise type(error)(last.removeprefix(f"{type(error).__module__}.{type(error).__qualname__}: ")) from None
