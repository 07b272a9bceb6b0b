"""A training run on arrays, such as poses or point clouds, from its recipe to the exported model.

It writes the same files as a run on labeled images (`RunFolder`), and resumes as that does.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cairn.errors import RecipeError
from cairn.training.data.loading import EpochSampler
from cairn.training.engine.error_translation import translated_errors
from cairn.training.engine.processes import joined
from cairn.training.engine.results import load_weights, with_provenance, write_curves
from cairn.training.engine.threads import Threads, numbers_of_threads, workers_of
from cairn.training.engine.trainer import make_trainer
from cairn.training.engine.training_module import TrainingModule
from cairn.training.exporting.onnx_file import Graph, export_graph
from cairn.training.method import ArrayTraining
from cairn.training.recipe import BasicRecipe
from cairn.training.run_folder import RunFolder, removed_on_failure, start_run

log = logging.getLogger(__name__)


class ArrayData(Protocol):
    """The training data of a method: the batches of an epoch."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        ...

    def batch(self, epoch: int, index: int) -> dict[str, NDArray[Any]]:
        """Returns the arrays of one batch by name; the same for the same epoch and index."""
        ...


class ArrayModule(TrainingModule):
    """A network that trains on arrays. A method implements the five abstract members."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Returns the metrics of the network, which is in evaluation mode, on the validation data."""

    @abstractmethod
    def graph(self) -> Graph:
        """Returns the network as it is exported."""

    def validation_step(self, *_: Any) -> None:
        """Does nothing: `measure` has the validation data."""

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics."""
        if not self.trainer.sanity_checking:
            with torch.no_grad():
                self.log_dict(self.measure(), prog_bar=True)


def train(
    method: ArrayTraining,
    recipe: BasicRecipe,
    run: Path,
    resume: bool = False,
    reasons: Mapping[str, str] | None = None,
) -> Path:
    """Trains by a recipe.

    Args:
        method: The method of the recipe.
        recipe: All settings.
        run: The folder of the run.
        resume: Whether to continue the run in that folder from its last checkpoint.
        reasons: Reasons for values of the recipe, by `section.name`; they are written beside the values.

    Returns:
        The path of the exported model.

    Raises:
        RecipeError: The recipe cannot be used, or several processes were started.
        OutputError: The folder is in use and `resume` is false, or it cannot be written to.
        CairnError: The data cannot be used.
    """
    folder = RunFolder(run)
    with joined() as group:
        if group.count > 1:
            raise RecipeError(f"{recipe.method} trains in one process, got {group.count}: start it without torchrun")
        is_new = not run.exists()
        start_run(recipe, run, resume, reasons)
        with removed_on_failure(run, keep=resume, is_new=is_new):
            data = method.read_data(recipe)
            lightning.seed_everything(recipe.seed, workers=True, verbose=False)
            module = method.module(recipe, data)
        resumed = resume and folder.last.is_file()
        if resumed:
            load_weights(module, folder.last)  # reports a damaged checkpoint in one line
        counts = numbers_of_threads(recipe.run, group)
        trainer = make_trainer(module, recipe, run, group, [Threads(counts)] if len(counts) > 1 else [])
        millions = sum(p.numel() for p in module.network.parameters()) / 1e6
        log.info("%d batches in an epoch, %.2f M parameters, %s", len(data), millions, trainer.strategy.root_device)
        started = time.time()
        with translated_errors():
            trainer.fit(
                module,
                _loader(data, recipe, workers_of(recipe.run, group)),
                DataLoader([0], batch_size=1),  # type: ignore[arg-type]  # a list is a data set
                ckpt_path=folder.last if resumed else None,
                weights_only=True,
            )
        log.info("trained for %.1f minutes", (time.time() - started) / 60)
        model = _export(module, folder.best if folder.best.is_file() else folder.last, run, folder.model)
        write_curves(run, module.monitor)
        return model


def export_from(method: ArrayTraining, recipe: BasicRecipe, run: Path, checkpoint: str, target: Path) -> Path:
    """Exports weights of a run.

    Args:
        method: The method of the recipe.
        recipe: The recipe of the run.
        run: The folder of the run.
        checkpoint: "best" or "last".
        target: The .onnx file to write.

    Returns:
        `target`.
    """
    return _export(method.module(recipe, method.read_data(recipe)), RunFolder(run).checkpoint(checkpoint), run, target)


def _export(module: ArrayModule, checkpoint: Path, run: Path, target: Path) -> Path:
    epoch = load_weights(module, checkpoint)
    export_graph(module.graph(), with_provenance(module.spec(), module.recipe, epoch, run), target)
    return target


@dataclass(frozen=True)
class _Batches(Dataset[dict[str, Tensor]]):
    """The batches of all epochs: item n of N batches is batch n mod N of epoch n div N."""

    data: ArrayData

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, item: int) -> dict[str, Tensor]:
        arrays = self.data.batch(*divmod(item, len(self.data)))
        return {name: torch.from_numpy(values) for name, values in arrays.items()}


def _loader(data: ArrayData, recipe: BasicRecipe, workers: int) -> DataLoader[dict[str, Tensor]]:
    return DataLoader(
        _Batches(data),
        batch_size=None,
        sampler=EpochSampler(len(data), recipe.seed),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
