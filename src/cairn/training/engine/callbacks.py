"""Callbacks of a run: table of metrics, progress bar, checkpoints, images of predictions, moving average of weights."""

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
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from cairn.errors import ModelError
from cairn.files import atomic_write
from cairn.media.images import read_image, write_image
from cairn.training.engine.module import PER_JOINT, KeypointModule
from cairn.visualization.overlay import draw

MAX_JOINTS, TABLE_WIDTH = 24, 100
"""Maximum number of keypoints, and of characters in a line, of the table on the terminal; metrics.csv has all."""

MAX_IMAGES = 8
"""Number of validation images whose predictions are drawn."""

CHANCE = 0.01
"""Share of a metric by which a later validation may be worse than the best one and is still no worse."""

HIGHEST = "highest"
"""Key of the highest value of the metric in the state of a checkpoint."""

log = logging.getLogger(__name__)


class MetricsTable(Callback):
    """Writes one row of a CSV file for each validation; a resumed run drops the rows after its checkpoint."""

    def __init__(self, path: Path, monitor: str) -> None:
        self.path = path
        self.monitor = monitor
        self._rows: list[dict[str, float]] = []
        self._started = time.time()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Reads the rows up to the checkpoint, and continues counting minutes."""
        self._rows = [row for row in read_metrics(self.path) if row["epoch"] <= trainer.current_epoch]
        before = self._rows[-1]["minutes"] if self._rows else 0.0
        self._started = time.time() - 60 * before

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Adds a row, writes the file, and logs the metrics."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith("_step")}
        if self.monitor not in values or (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
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
        overall = (f"{name} {value:.5g}" for name, value in row.items() if not name.startswith(PER_JOINT))
        log.info("%s", "\n".join(["  ".join(overall), *joint_table(row, before)]))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Returns the rows of a run's metrics.csv; an empty list if the file does not exist yet.

    Raises:
        ModelError: The file is not the table of a run.
    """
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
    """Returns lines with the PCK of each keypoint and its change.

    Args:
        row: Metrics of a validation. Of more than `MAX_JOINTS` keypoints, only those with the lowest PCK are listed.
        before: Metrics of the validation before; may be empty.
    """
    joints = [name for name in row if name.startswith(PER_JOINT) and math.isfinite(row[name])]
    title = "  PCK per keypoint"
    if len(joints) > MAX_JOINTS:
        title += f", the lowest {MAX_JOINTS} of {len(joints)}"
        joints = sorted(joints, key=lambda name: row[name])[:MAX_JOINTS]
    cells = []
    for name in joints:
        change = row[name] - before.get(name, math.nan)
        changed = f" {change:+6.1f}" if math.isfinite(change) else " " * 7 * bool(before)
        cells.append((name.removeprefix(PER_JOINT), f"{row[name]:6.1f}{changed}"))
    if not cells:
        return []
    wide = max(len(name) for name, _ in cells)
    texts = [f"{name:<{wide}}{value}" for name, value in cells]
    columns = max(1, TABLE_WIDTH // (len(texts[0]) + 4))
    rows = -(-len(texts) // columns)  # ordered by column, as the skeleton lists them
    return [title, *("    " + "    ".join(texts[i::rows]) for i in range(rows))]


class EpochBar(TQDMProgressBar):
    """A progress bar that counts epochs from 1, as the table of metrics does."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Labels the bar with the epoch."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}")


class LastEpochValidates(Callback):
    """Validates after the last epoch, whatever `validate_every` is.

    The last weights have the lowest learning rate and are often the best.
    """

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Turns validation on in the last epoch."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


class BestCheckpoint(ModelCheckpoint):
    """Keeps best.ckpt by a metric; a resumed run recognizes it if the folder has moved.

    Of validations whose metric is the highest but for `CHANCE`, the latest counts as the best: where a few validation
    images are predicted well from early on, the metric changes by chance alone, and later weights are more exact.
    """

    def __init__(self, folder: Path, monitor: str) -> None:
        super().__init__(
            folder, "best", monitor=monitor, mode="max", enable_version_counter=False, save_on_train_epoch_end=False
        )
        self._highest = -math.inf

    def check_monitor_top_k(self, trainer: lightning.Trainer, current: Tensor | None = None) -> bool:
        """Returns whether the weights with this value of the metric are kept."""
        if current is None:
            return False
        value = float(current)
        if not math.isnan(value):
            self._highest = max(self._highest, value)
        is_best = not self.best_k_models or value >= self._highest - CHANCE * abs(self._highest)
        return bool(trainer.strategy.reduce_boolean_decision(is_best))

    @property
    def state_key(self) -> str:
        """The key of the parent class, under which existing checkpoints hold the state."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def state_dict(self) -> dict[str, Any]:
        """Returns the state, with the highest value of the metric: the kept weights may have a lower one."""
        return {**super().state_dict(), HIGHEST: self._highest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state, with paths in the folder where the run is now."""

        def here(path: str) -> str:
            return str(Path(self.dirpath or "") / Path(path).name) if path else ""

        paths = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path")}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": scores})
        kept = max(map(float, scores.values()), default=-math.inf)
        self._highest = state_dict.get(HIGHEST, kept)  # absent in checkpoints of earlier versions


class PredictionImages(Callback):
    """Writes validation images with their predictions to TensorBoard, and the latest ones into a folder.

    Args:
        folder: Folder of the latest ones, 0.jpg, 1.jpg, ...
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draws the predictions of the first `MAX_IMAGES` validation images."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if not isinstance(pl_module, KeypointModule) or not isinstance(trainer.logger, TensorBoardLogger):
            return
        for index, poses in enumerate(pl_module.predictions[:MAX_IMAGES]):
            image = draw(read_image(pl_module.val.images[index].path), poses)
            write_image(self.folder / f"{index}.jpg", image)
            trainer.logger.experiment.add_image(f"val/{index}", image, trainer.current_epoch + 1, dataformats="HWC")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a temporary file and renames it: a run that is killed while it saves keeps its previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves a checkpoint."""
        with atomic_write(path) as beside:
            super().save_checkpoint(checkpoint, beside, storage_options)


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """Returns an update of exponentially averaged weights, for Lightning's `WeightAveraging`.

    The decay of update n is min(decay, (1 + n) / (10 + n)), so that early validations use recent weights. All tensors
    of a type are updated in one call, because a GPU spends more time on launching one call for each than on computing.
    """

    def average(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        change = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, change)
        else:  # counters
            torch._foreach_copy_(averaged, current)

    return average
