"""Runs a complete recipe in a run folder, in one process or in those that torchrun started."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from cairn.api.run import Run
from cairn.errors import OutputError
from cairn.extras import require_training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """A recipe that is ready to run.

    Attributes:
        tables: Complete tables of the recipe.
        reasons: Reasons for values that were selected automatically, by dotted key.
        folder: Folder of the run.
        resume: Whether to continue the run in the folder.
    """

    tables: dict[str, Any]
    reasons: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("runs")
    resume: bool = False


def recipe_to_resume(run: Path) -> Path:
    """Returns the recipe of a run that is resumed.

    Raises:
        OutputError: The folder holds no run.
    """
    recipe = run / "recipe.toml"
    if not recipe.is_file():
        raise OutputError(f"there is no run to resume in {run}: it has no recipe.toml; give the folder of a run")
    return recipe


def run_plan(prepare: Callable[[], TrainingPlan], verb: str) -> Run:
    """Trains by a plan and returns the run.

    Args:
        prepare: Returns the plan; called in the first process only.
        verb: Command that resumes the run, for the notice after an interrupt.

    Raises:
        CairnError: As `cairn.training.engine.loop.train` does.
    """
    require_training()
    from cairn.methods.autoconfig import training_of
    from cairn.methods.refiner import train_refiner
    from cairn.training.engine.processes import joined, on_first
    from cairn.training.engine.quiet import without_advice
    from cairn.training.recipe_tables import check_recipe
    from cairn.training.run_folder import RunFolder

    with without_advice(), joined() as group:
        plan = on_first(prepare)
        training = training_of(plan.tables)
        try:
            recipe: Any = check_recipe(training.recipe, plan.tables)
            refiner = getattr(recipe, "refiner", None)
            if not (refiner and plan.resume and RunFolder(plan.folder).model.is_file()):
                training.train(recipe, plan.folder, plan.resume, plan.reasons)
            if refiner:
                train_refiner(recipe, plan.folder, plan.reasons)
        except (KeyboardInterrupt, SystemExit):
            if group.first and (plan.folder / "recipe.toml").is_file():
                log.warning("stopped; resume with: cairn %s --resume --out %s", verb, quote(str(plan.folder)))
            raise
    return Run(plan.folder)


def label_source(labels: str | Path, images: str | Path | None) -> dict[str, Any]:
    """Returns an entry of `data.train` or `data.val` of a recipe."""
    return {"labels": str(labels)} | ({"images": str(images)} if images else {})
