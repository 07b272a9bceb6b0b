"""What happens beside the steps of a training run: its table of metrics, its images, its files, its average."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from cairn.errors import ModelError
from cairn.files import atomic_write
from cairn.media.images import read_image
from cairn.training.engine.module import OF_JOINT, KeypointModule
from cairn.visualization.overlay import draw

MAX_JOINTS, TABLE_WIDTH = 24, 100
"""Joints, and characters of a line, of the table on the terminal; metrics.csv has all joints."""

SHOWN = 8
"""Images whose predictions TensorBoard shows."""

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
        before = self._rows[-1] if self._rows else {}
        self._rows.append(row)
        if not trainer.is_global_zero:
            return
        with atomic_write(self.path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(row), restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows({name: f"{value:.5g}" for name, value in each.items()} for each in self._rows)
        of_all = (f"{name} {value:.5g}" for name, value in row.items() if not name.startswith(OF_JOINT))
        log.info("%s", "\n".join(["  ".join(of_all), *joint_table(row, before)]))


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


def joint_table(row: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Lines with PCK of each joint, and how it has changed since `before`; of many joints, the worst."""
    joints = [name for name in row if name.startswith(OF_JOINT) and math.isfinite(row[name])]
    title = "  PCK of joints"
    if len(joints) > MAX_JOINTS:
        title += f", the worst {MAX_JOINTS} of {len(joints)}"
        joints = sorted(joints, key=lambda name: row[name])[:MAX_JOINTS]
    cells = []
    for name in joints:
        change = row[name] - before.get(name, math.nan)
        changed = f" {change:+6.1f}" if math.isfinite(change) else " " * 7 * bool(before)
        cells.append((name.removeprefix(OF_JOINT), f"{row[name]:6.1f}{changed}"))
    if not cells:
        return []
    wide = max(len(name) for name, _ in cells)
    texts = [f"{name:<{wide}}{value}" for name, value in cells]
    columns = max(1, TABLE_WIDTH // (len(texts[0]) + 4))
    rows = -(-len(texts) // columns)  # read downwards, as joints are listed
    return [title, *("    " + "    ".join(texts[i::rows]) for i in range(rows))]


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
    """Validation images with what was found in them, for TensorBoard."""

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if not isinstance(pl_module, KeypointModule) or trainer.logger is None:
            return
        for index, poses in enumerate(pl_module.predictions[:SHOWN]):
            image = draw(read_image(pl_module.val.images[index].path), poses)
            trainer.logger.experiment.add_image(  # type: ignore[attr-defined]
                f"val/{index}", image, trainer.current_epoch + 1, dataformats="HWC"
            )


class WholeFileCheckpoints(TorchCheckpointIO):
    """Writes beside, then renames: a run that is killed while it saves keeps its last checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic_write(path) as beside:
            super().save_checkpoint(checkpoint, beside, storage_options)


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """An exponential moving average that starts short, so that early validations see recent weights.

    Of all tensors of a kind at a time: one by one a GPU would wait for the next more than it computes.
    """

    def average(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        change = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, change)
        else:  # counters
            torch._foreach_copy_(averaged, current)

    return average
