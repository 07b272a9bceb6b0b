"""A learning rate that drops where validation no longer improves (Newell et al., ECCV 2016, section 3.4)."""

from __future__ import annotations

import logging
import math
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from cairn.training.recipe import Optimizer
from cairn.wording import counted

log = logging.getLogger(__name__)


class Plateau(Callback):
    """Multiplies the learning rate by a factor after validations in a row without improvement.

    Its state is part of each checkpoint, so that a resumed run drops when an uninterrupted one would. All processes
    have the same metrics, and drop together.

    Attributes:
        settings: Factor, patience and number of drops.
        monitor: Name of the metric; larger is better.
        best: Its best value.
        waited: Validations since then, or since the last drop.
        drops: Number of drops so far.
    """

    def __init__(self, settings: Optimizer, monitor: str) -> None:
        self.settings = settings
        self.monitor = monitor
        self.best = -math.inf
        self.waited = 0
        self.drops = 0

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Counts a validation, and drops the learning rate of all parts of the network."""
        if trainer.sanity_checking or not self.dropped(float(trainer.callback_metrics[self.monitor])):
            return
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= self.settings.factor
                group["initial_lr"] *= self.settings.factor  # from which the schedule computes the next steps
        for config in trainer.lr_scheduler_configs:
            config.scheduler.base_lrs = [rate * self.settings.factor for rate in config.scheduler.base_lrs]
        log.info(
            "%s has not improved in %s: learning rate x %g to %.3g",
            self.monitor,
            counted(self.settings.patience, "validation"),
            self.settings.factor,
            self.settings.learning_rate * self.settings.factor**self.drops,
        )

    def dropped(self, value: float) -> bool:
        """Counts a value of the metric; returns whether the learning rate drops now."""
        if value > self.best:
            self.best, self.waited = value, 0
            return False
        self.waited += 1
        if self.waited < self.settings.patience or self.drops == self.settings.drops:
            return False
        self.waited, self.drops = 0, self.drops + 1
        return True

    def state_dict(self) -> dict[str, Any]:
        """The state in a checkpoint."""
        return {"best": self.best, "waited": self.waited, "drops": self.drops}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state; the learning rates are part of those of the optimizer and the schedule."""
        self.best, self.waited, self.drops = (state_dict[name] for name in ("best", "waited", "drops"))
