"""An hourglass in training that records its learning rates, and may be interrupted."""

from __future__ import annotations

from typing import Any

import cairn.methods.hourglass.training as hourglass


class RecordedRates(hourglass.HourglassModule):
    """Records the learning rate of each step, and may be interrupted.

    Attributes:
        rates: The learning rates; a subclass has a list of its own.
        stop_at: Epoch that begins with an interruption; -1 for none.
    """

    rates: list[float] = []  # noqa: RUF012
    stop_at = -1

    def training_step(self, batch: Any, index: int) -> Any:
        """Returns the loss of a step."""
        if (self.current_epoch, index) == (self.stop_at, 0):
            raise KeyboardInterrupt
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return super().training_step(batch, index)
