"""What happens beside the steps of a training run: its table of metrics, its pictures, its files, its average."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from cairn.errors import ModelError
from cairn.image import read_image
from cairn.output import whole_file
from cairn.render import draw
from cairn.training.module import KeypointModule

SHOWN = 8
"""Pictures whose predictions TensorBoard shows."""

log = logging.getLogger(__name__)


class MetricsTable(Callback):
    """A row in a CSV file for each validation; on resuming it goes on where the checkpoint was."""

    def __init__(self, path: Path, monitor: str) -> None:
        self.path = path
        self.monitor = monitor
        self._rows: list[dict[str, float]] = []
        self._started = time.time()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._rows = [row for row in read_metrics(self.path) if row["epoch"] <= trainer.current_epoch]
        before = self._rows[-1]["minutes"] if self._rows else 0.0
        self._started = time.time() - 60 * before

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith("_step")}
        if self.monitor not in values or (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch:
            return
        minutes = (time.time() - self._started) / 60
        row = {"epoch": float(trainer.current_epoch + 1), "minutes": round(minutes, 2)}
        row |= {name: value for name, value in values.items() if name != "loss_epoch"}
        self._rows.append(row)
        with whole_file(self.path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(row), restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows({name: f"{value:.5g}" for name, value in each.items()} for each in self._rows)
        log.info("%s", "  ".join(f"{name} {value:.5g}" for name, value in row.items()))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a run's table; none where there is no table yet. Raises ModelError where it is none."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is not the table of a run: {error}") from None
    if not all({"epoch", "minutes"} <= set(row) for row in rows):
        raise ModelError(f"{path} is not the table of a run: expected the columns epoch and minutes")
    return rows


class EpochBar(TQDMProgressBar):
    """Counts epochs from 1, as the table does."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}")


class LastEpochValidates(Callback):
    """Whatever `validate_every` is: the last weights are those of the smallest learning rate, and often the best."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


class BestCheckpoint(ModelCheckpoint):
    """best.ckpt by a metric; on resuming it is known for the best in whatever place the folder lies now."""

    def __init__(self, folder: Path, monitor: str) -> None:
        super().__init__(
            folder, "best", monitor=monitor, mode="max", enable_version_counter=False, save_on_train_epoch_end=False
        )

    @property
    def state_key(self) -> str:
        """As its parent's, under which runs have kept it."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(self.dirpath or "") / Path(path).name) if path else ""

        paths = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path")}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": scores})


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
        with whole_file(path) as beside:
            super().save_checkpoint(checkpoint, beside, storage_options)


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential moving average that starts short, so that early validations see recent weights."""

    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        keep = min(decay, (1 + float(count)) / (10 + float(count)))
        return averaged * keep + current * (1 - keep)

    return average
