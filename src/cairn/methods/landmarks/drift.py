"""Ends a run whose landmarks stop following the images."""

from __future__ import annotations

import logging
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

VALIDATIONS = 2
"""Validations in a row that show a rise before the run ends."""

log = logging.getLogger(__name__)


class StopOnDrift(Callback):
    """Ends a run once the metric `still` has risen: landmarks settle on a fixed grid, and do not come back from it.

    Attributes:
        rise: Percentage points over the lowest value of `still` so far.
    """

    def __init__(self, rise: float) -> None:
        self.rise = rise
        self._lowest = 100.0
        self._risen = 0

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compares `still` with its lowest value."""
        if trainer.sanity_checking or "still" not in trainer.callback_metrics:
            return
        still = float(trainer.callback_metrics["still"])
        self._lowest = min(self._lowest, still)
        self._risen = self._risen + 1 if still > self._lowest + self.rise else 0
        if self._risen >= VALIDATIONS:
            trainer.should_stop = True
            log.warning(
                "still rose from %.0f%% to %.0f%%: landmarks settle on a fixed grid, so the run ends at epoch %d; "
                "the best weights are kept (run.max_rise sets the limit)",
                self._lowest,
                still,
                trainer.current_epoch + 1,
            )

    def state_dict(self) -> dict[str, Any]:
        """The state of an interrupted run."""
        return {"lowest": self._lowest, "risen": self._risen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores it."""
        self._lowest, self._risen = state_dict["lowest"], state_dict["risen"]
