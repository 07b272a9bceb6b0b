"""A training run from its recipe to the exported model. `RunFolder` lists the files that it writes."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from cairn.datasets.labels import Labels
from cairn.files import atomic_write
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.autoconfig.choices import epoch_limits
from cairn.training.data.loading import EpochBatches, TrainingSet, training_loader
from cairn.training.data.record import check_unchanged
from cairn.training.data.sources import Sources, check_data
from cairn.training.engine.error_translation import translated_errors
from cairn.training.engine.initial_weights import build_module
from cairn.training.engine.memory import is_out_of_memory, with_smaller_batch
from cairn.training.engine.module import KeypointModule
from cairn.training.engine.processes import Processes, first_before_others, joined, on_first
from cairn.training.engine.replan import Replan
from cairn.training.engine.results import export_run, load_weights, write_curves, write_validation
from cairn.training.engine.threads import Threads, numbers_of_threads, workers_of
from cairn.training.engine.trainer import make_trainer
from cairn.training.method import TrainingMethod
from cairn.training.recipe import Recipe, Run
from cairn.training.run_folder import (
    RunFolder,
    check_classes,
    read_classes,
    removed_on_failure,
    start_run,
    write_classes,
    write_recipe,
)
from cairn.training.toml import to_toml
from cairn.wording import counted

log = logging.getLogger(__name__)


def train(
    method: TrainingMethod,
    recipe: Recipe,
    run: Path,
    resume: bool = False,
    reasons: Mapping[str, str] | None = None,
) -> Path:
    """Trains by a recipe. Under torchrun all processes call this and train one network.

    Args:
        method: The method of the recipe.
        recipe: All settings.
        run: The folder of the run.
        resume: Whether to continue the run in that folder from its last checkpoint.
        reasons: Reasons for values of the recipe, by `section.name`; they are written beside the values.

    Returns:
        The path of the exported model.

    Raises:
        RecipeError: The recipe cannot be used.
        LabelError: The labels cannot be used.
        ModelError: The pretrained weights or the checkpoint cannot be used.
        OutputError: The folder is in use and `resume` is false, or it cannot be written to.
    """
    reasons = dict(reasons or {})
    folder = RunFolder(run)
    with joined() as group:
        is_new = not run.exists()
        on_first(lambda: start_run(recipe, run, resume, reasons))
        with removed_on_failure(run, keep=resume or not group.first, is_new=is_new):
            torch.set_num_threads(numbers_of_threads(recipe.run, group)[0])  # until steps are timed
            skeleton, sources, val = first_before_others(lambda: method.read_data(recipe, run))
            resumed = resume and folder.last.is_file()
            if resumed:
                check_classes(val.classes, run)
            on_first(lambda: _check_data(sources, val, folder, resume))
            if group.first:
                with atomic_write(folder.skeleton) as beside:
                    beside.write_text(to_toml(skeleton.to_dict()), encoding="utf-8")
                write_classes(val.classes, run)
            training = method.training_set(recipe, skeleton, sources)
            module = build_module(method, recipe, skeleton, val, training, resumed)
        _log_data(module, training, skeleton)
        started = time.time()
        while not _fits(module, training, run, resumed, group, reasons):
            recipe = with_smaller_batch(module.recipe, group.count)
            log.info(
                "out of memory: continuing with batches of %d images, %d batches per step",
                recipe.run.batch_size,
                recipe.run.accumulate,
            )
            reasons |= dict.fromkeys(("run.batch_size", "run.accumulate"), "memory did not suffice for more")
            write_recipe(recipe, run, reasons)
            resumed = folder.last.is_file()
            module = build_module(method, recipe, skeleton, val, training, resumed)
        log.info("trained for %.1f minutes", (time.time() - started) / 60)
        return _finish(module, run) if group.first else folder.model


def _check_data(sources: Sources, val: Labels, folder: RunFolder, resume: bool) -> None:
    """Checks the labels, and that they are those that a resumed run began with."""
    check_unchanged(sources, val, folder, resume)
    check_data(sources, val)


def export_from(method: TrainingMethod, recipe: Recipe, run: Path, checkpoint: str, target: Path) -> Path:
    """Exports weights of a run.

    Args:
        method: The method of the recipe.
        recipe: The recipe of the run; names and thresholds in it may differ from those of the run.
        run: The folder of the run.
        checkpoint: "best" or "last".
        target: The .onnx file to write.

    Returns:
        The path of the exported model.
    """
    folder = RunFolder(run)
    skeleton = load_skeleton(str(folder.skeleton))
    none = Labels(skeleton, (), np.ones(len(skeleton), bool), read_classes(run))
    module = method.module(recipe, skeleton, none)
    return export_run(module, folder.checkpoint(checkpoint), run, target)


def _fits(
    module: KeypointModule, training: TrainingSet, run: Path, resumed: bool, group: Processes, reasons: dict[str, str]
) -> bool:
    """Trains to the end of the recipe, from the last checkpoint if resumed; False if memory ran out."""
    recipe, last = module.recipe, RunFolder(run).last
    trainer = make_trainer(module, recipe, run, group, _callbacks(recipe, len(training), run, group, reasons))
    if resumed:
        load_weights(module, last)  # reports a damaged checkpoint in one line
    loader = training_loader(
        training,
        recipe.run.batch_size,
        workers_of(recipe.run, group),
        pin=torch.cuda.is_available(),
        accumulate=recipe.run.accumulate,
        rank=group.rank,
        processes=group.count,
    )
    assert isinstance(loader.batch_sampler, EpochBatches)
    module.weight = loader.batch_sampler.weight
    _log_device(trainer, recipe.run, group)
    try:
        with translated_errors():
            trainer.fit(
                module,
                loader,
                DataLoader(_share(len(module.val), group), batch_size=1, collate_fn=list),  # type: ignore[arg-type]  # list is a valid collate_fn
                ckpt_path=last if resumed else None,
                weights_only=True,
            )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if group.count > 1:  # the other processes wait for this one, and end with it
            with_smaller_batch(recipe, group.count)
    else:
        return True
    gc.collect()  # frees what the frames of the error held
    torch.cuda.empty_cache()
    return False


def _callbacks(recipe: Recipe, samples: int, run: Path, group: Processes, reasons: dict[str, str]) -> list[Callback]:
    """Callbacks that select threads and epochs by the pace of the run, where the user has not set them."""
    callbacks: list[Callback] = []
    counts = numbers_of_threads(recipe.run, group)
    if len(counts) > 1:
        callbacks.append(Threads(counts))
    if recipe.run.minutes and recipe.optimizer.schedule != "plateau":  # its length is that of the validations

        def write(planned: Recipe, reason: str) -> None:
            reasons["run.epochs"] = reason
            write_recipe(planned, run, reasons)

        batch = recipe.run.batch_size * recipe.run.accumulate
        callbacks.append(Replan(epoch_limits(samples, batch, bool(recipe.pretrained)), write))
    return callbacks


def _share(count: int, group: Processes) -> list[int]:
    """Indices of the validation images of one process, padded with -1 to the same number in all processes."""
    indices = list(range(count)) + [-1] * (-count % group.count)
    return indices[group.rank :: group.count]


def _finish(module: KeypointModule, run: Path) -> Path:
    """Exports the best weights, and writes curves and the report of the validation images."""
    folder = RunFolder(run)
    checkpoint = folder.best if folder.best.is_file() else folder.last
    model = export_run(module, checkpoint, run, folder.model)
    write_curves(run, module.monitor)
    write_validation(module, model, run)
    return model


def _log_data(module: KeypointModule, training: TrainingSet, skeleton: Skeleton) -> None:
    log.info(
        "%d training samples, %d validation images, skeleton %s with %d keypoints, %.2f M parameters",
        len(training),
        len(module.val),
        skeleton.name,
        len(skeleton),
        sum(p.numel() for p in module.network.parameters()) / 1e6,
    )


def _log_device(trainer: lightning.Trainer, run: Run, group: Processes) -> None:
    device, numbers = trainer.strategy.root_device, numbers_of_threads(run, group)
    threads = ("up to " if len(numbers) > 1 else "") + counted(max(numbers), "thread")
    processes = f", {group.count} processes" if group.count > 1 else ""
    log.info("device %s, %s, precision %s%s", device, threads, trainer.precision, processes)
