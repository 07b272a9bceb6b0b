"""The number of epochs of a run with a target duration, planned again where the pace of the machine changes."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from cairn.training.autoconfig.choices import Spent, choose_length_again, validation_interval
from cairn.training.engine.module import KeypointModule
from cairn.training.engine.processes import on_first
from cairn.training.recipe import Recipe
from cairn.wording import counted

log = logging.getLogger(__name__)

MEASURED = 30.0
"""Minimum seconds of steps of which the pace is the median, so that a few slow ones do not count."""


class Replan(Callback):
    """Plans the epochs again at the end of an epoch. Steps that are taken stay; see `Progress` for the schedule.

    The time that the run has taken is part of each checkpoint, so that a resumed run keeps to the same target. All
    processes plan what the first one measures.

    Attributes:
        limits: Minimum and maximum number of epochs.
        write: Writes the recipe, with its new number of epochs, into the folder of the run.
    """

    def __init__(self, limits: tuple[int, int], write: Callable[[Recipe, str], None]) -> None:
        """Begins to measure.

        Args:
            limits: Minimum and maximum number of epochs.
            write: (recipe, reason for its number of epochs) -> None.
        """
        self.limits = limits
        self.write = write
        self._before = 0.0  # seconds of the run until it was interrupted
        self._started = self._step_started = self._validation_started = time.monotonic()
        self._steps: list[float] = []  # seconds of each batch since the pace was measured last, with its loading
        self._validation = 0.0  # seconds of the last validation

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock of the run."""
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock of a step."""
        self._step_started = time.monotonic()

    def on_train_batch_end(self, *_: Any) -> None:
        """Counts a step."""
        now = time.monotonic()
        self._steps.append(now - self._step_started)
        self._step_started = now

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock of a validation."""
        self._validation_started = time.monotonic()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Counts a validation."""
        if not trainer.sanity_checking:
            self._validation = time.monotonic() - self._validation_started

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measures the pace, and plans again where it has changed."""
        assert isinstance(pl_module, KeypointModule)
        if not on_first(lambda: sum(self._steps) >= MEASURED):
            return
        spent = Spent(
            epochs=trainer.current_epoch + 1,
            seconds=self._seconds(),
            epoch=statistics.median(self._steps) * int(trainer.num_training_batches),
            validation=self._validation,
        )
        self._steps.clear()
        run = pl_module.recipe.run
        epochs = on_first(lambda: choose_length_again(spent, run.epochs, run.minutes, self.limits))
        if epochs != run.epochs:
            self._plan(epochs, spent, trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The state in a checkpoint."""
        return {"seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state."""
        self._before = float(state_dict["seconds"])

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _plan(self, epochs: int, spent: Spent, trainer: lightning.Trainer, module: KeypointModule) -> None:
        run = module.recipe.run
        values = {"epochs": epochs, "validate_every": validation_interval(epochs)}
        reason = (
            f"planned again after {counted(spent.epochs, 'epoch')}, of {spent.epoch:.0f} s each now, "
            f"for {run.minutes:g} minutes; {run.epochs} before"
        )
        module.recipe = module.recipe.model_copy(update={"run": run.model_copy(update=values)})
        trainer.fit_loop.max_epochs = epochs
        trainer.check_val_every_n_epoch = values["validate_every"]
        module.plan_steps(trainer.global_step)
        if trainer.is_global_zero:
            self.write(module.recipe, reason)
        log.info("run.epochs = %d: %s", epochs, reason)
