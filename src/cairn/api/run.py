"""A training run on disk: its recipe, metrics and model."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.arguments import checked
from cairn.errors import ModelError, OutputError

if TYPE_CHECKING:
    from cairn.api.export import ExportReport
    from cairn.inference.predictor import Predictor


@dataclass(frozen=True, init=False, repr=False)
class Run:
    """The folder that `cairn.train` and `cairn.discover` write.

    Example:
        run = cairn.Run("runs/flies")
        run.metrics["AP"]
        poses = run.load()("photo.jpg")

    Attributes:
        folder: Path of the run.
    """

    folder: Path

    @checked
    def __init__(self, folder: str | Path) -> None:
        """Opens an existing run.

        Args:
            folder: Path of the run.

        Raises:
            OutputError: The folder has no recipe.toml.
        """
        object.__setattr__(self, "folder", Path(folder))
        if not (self.folder / "recipe.toml").is_file():
            raise OutputError(f"{folder} is not a training run: it has no recipe.toml")

    def __repr__(self) -> str:
        state = "" if self.model.is_file() else ", not finished"
        scores = [item for item in self.metrics.items() if not item[0].startswith("loss")]
        values = ", ".join(f"{name} {value:.4g}" for name, value in scores[:2])
        return f"Run({self.folder}: {self.method}{', ' + values if values else ''}{state})"

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def model(self) -> Path:
        """Path of the exported model with the best weights."""
        return self.folder / "model.onnx"

    @property
    def recipe(self) -> dict[str, Any]:
        """Every value of the recipe, as trained; keys of older versions are renamed."""
        from cairn.training.recipe_tables import read_recipe

        return read_recipe(self.folder / "recipe.toml")

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.recipe.get("name", self.folder.name))

    @property
    def method(self) -> str:
        """Name of the method, such as "openpose"."""
        return str(self.recipe.get("method", ""))

    @property
    def history(self) -> list[dict[str, float]]:
        """Metrics of each validation: the rows of metrics.csv, each with `epoch` and `minutes`."""
        path = self.folder / "metrics.csv"
        if not path.is_file():
            return []
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        except (ValueError, TypeError) as error:
            raise ModelError(f"{path} is not a table of metrics: {error}") from None

    @property
    def metrics(self) -> dict[str, float]:
        """Validation metrics of the exported weights; empty before the model is exported."""
        if not self.model.is_file():
            return {}
        from cairn.inference.session import metadata_of, open_session

        session, _ = open_session(self.model, 1, "cpu")
        return dict(json.loads(metadata_of(session, self.model))["metrics"])

    def load(self, **options: Any) -> Predictor:
        """Returns a predictor with the best weights, refined where the run has a refiner.

        Args:
            options: Arguments of `cairn.load`.

        Raises:
            ModelError: The run has no model yet.
        """
        from cairn.api.load import load

        if not self.model.is_file():
            raise ModelError(f"{self.folder} has no model.onnx yet: finish the run with resume()")
        return load(self.folder, **options)

    def export(self, path: str | Path, **options: Any) -> ExportReport:
        """Writes the weights to one .onnx file.

        Args:
            path: File to write.
            options: Arguments of `cairn.export`, such as `precision="int8"`.
        """
        from cairn.api.export import export

        return export(self, path, **options)

    def resume(self) -> Run:
        """Continues a run that was interrupted, and returns it when it is finished."""
        from cairn.api.training import TrainingPlan, run_plan

        return run_plan(lambda: TrainingPlan(self.recipe, {}, self.folder, resume=True), "train")
