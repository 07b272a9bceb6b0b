"""The learning rate schedule of a run, and how it continues where the number of steps changes during the run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cairn.training.recipe import Optimizer


@dataclass(frozen=True)
class Progress:
    """Step of a run -> position on the curve of its schedule.

    The curve is that of the steps planned at the start. Where another number of steps is planned later, the steps that
    remain pass through the rest of the curve at an even rate: the learning rate does not jump, and the last step is
    the end of the curve.

    Attributes:
        curve: Number of steps planned at the start; 0 before that.
        total: Number of steps planned last.
        step: Step at which these were planned.
        position: Position on the curve at that step.
    """

    curve: int = 0
    total: int = 0
    step: int = 0
    position: float = 0.0

    def at(self, step: int) -> float:
        """Returns the position at a step, from 0 to `curve`."""
        if self.total == self.curve and self.position == self.step:
            return step  # exactly: nothing was changed
        rate = (self.curve - self.position) / max(1, self.total - self.step)
        return min(max(0.0, self.position + (step - self.step) * rate), self.curve)

    def ending_at(self, total: int, step: int) -> Progress:
        """Returns the progress of a run for which another number of steps is planned.

        Args:
            total: Number of steps of the whole run.
            step: Number of steps taken.
        """
        return self if total == self.total else Progress(self.curve, total, step, self.at(step))


def factor_at(settings: Optimizer, total: int) -> Callable[[float], float]:
    """Returns a function: position on the curve -> learning rate relative to the learning rate of the recipe.

    Args:
        settings: The schedule.
        total: Number of steps of the curve.
    """
    warm = max(1, round(settings.warmup * total)) if settings.warmup else 0

    def factor(position: float) -> float:
        if position < warm:
            return min(1.0, (position + 1) / warm)
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (position - warm) / max(1, total - warm))))
        if settings.schedule == "steps":
            return settings.factor ** sum(position >= share * total for share in settings.milestones)
        return 1.0

    return factor
