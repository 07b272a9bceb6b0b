"""Automatic configuration of two models: one of all instances of an image, and its refiner.

The refiner is a model of one instance per crop that `cairn train` trains after the first model, on the same labels. A
crop that an instance fills teaches more keypoints per second than a whole image does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cairn.errors import RecipeError
from cairn.methods import all_methods
from cairn.methods.autoconfig import configure, detects_several, facts_of, image_training_of, suits_refiner

if TYPE_CHECKING:
    from pathlib import Path

    from cairn.methods.openpose.recipe import Recipe
    from cairn.training.autoconfig.choices import Choice, LabelFacts

KEPT = {"name", "seed", "data", "skeleton", "license", "sources", "draw_threshold"}
"""Values of the recipe that the refiner shares."""


def configure_all(tables: Mapping[str, Any], refiner: bool | None = None) -> Choice:
    """Completes the tables of a recipe, with a refiner or without.

    Args:
        tables: The values that the user sets; `data.train` is required.
        refiner: Whether a refiner is trained, too. Default: for many images of several instances that are no people,
            unless pretrained weights, the network or the number of epochs are set, which are those of one model.

    Raises:
        CairnError: The labels cannot be read, or the recipe cannot be used.
    """
    facts = facts_of(tables)
    if refiner is None:
        of_one = "pretrained" in tables or "network" in tables or "epochs" in tables.get("run", {})
        refiner = not of_one and suits_refiner(tables, facts)
    return configure_both(tables, facts) if refiner else configure(tables, facts=facts)


def configure_both(tables: Mapping[str, Any], facts: LabelFacts | None = None) -> Choice:
    """Completes the tables of a recipe, and adds that of a refiner.

    Args:
        tables: The values that the user sets; `data.train` is required.
        facts: `facts_of` these tables, where the labels have been read already.

    Returns:
        The complete recipe, with a reason for each value that the user does not set; its `refiner` is the recipe of
        the second model.

    Raises:
        CairnError: The labels cannot be read, or the recipe cannot be used.
        RecipeError: The labels have one instance in each image.
    """
    from cairn.training.autoconfig.choices import WITH_REFINER, Choice
    from cairn.training.autoconfig.machine import measure_machine

    facts = facts or facts_of(tables)
    if not detects_several(tables, facts):
        raise RecipeError("a refiner is for a model of several instances in an image, and the labels have one each")
    first, second = WITH_REFINER
    total = tables.get("run", {}).get("minutes") or first + second
    shares = (total * minutes / (first + second) for minutes in WITH_REFINER)
    whole, crops = ({**tables, "run": {**tables.get("run", {}), "minutes": minutes}} for minutes in shares)
    choice = configure(whole, refined=True, facts=facts)
    choose_refiner, name = next(
        (chooser, method.name)
        for method in all_methods()
        if method.autoconfig is not None and (chooser := method.autoconfig().refiner) is not None
    )
    defaults = choose_refiner(measure_machine())
    shared = {key: value for key, value in choice.under(crops).tables.items() if key in KEPT}
    run = {**defaults.get("run", {}), **crops["run"]}
    chosen = configure({**defaults, **shared, "run": run, "method": name}, facts=facts)
    reason = "its crops teach more per second than whole images"
    recipe = {**chosen.tables, "name": f"{choice.tables['name']}-refiner"}
    choice = choice.with_value("refiner", recipe, reason)
    return Choice(choice.tables, choice.reasons | {f"refiner.{key}": why for key, why in chosen.reasons.items()})


def train_refiner(recipe: Recipe, run: Path, reasons: Mapping[str, str]) -> None:
    """Trains the refiner of a run, or resumes its training, and keeps it where it increases AP.

    Args:
        recipe: The recipe of the run; its `refiner` is that of the refiner.
        run: The folder of the run, whose model is trained.
        reasons: Reasons for values of the recipe by dotted key.
    """
    from cairn.methods.refined import choose_refined
    from cairn.training.engine.processes import on_first
    from cairn.training.engine.quiet import quietly
    from cairn.training.recipe_tables import check_recipe
    from cairn.training.run_folder import RunFolder

    tables = recipe.refiner
    training = image_training_of(tables)
    folder = RunFolder(run).refiner
    own = {key.removeprefix("refiner."): why for key, why in reasons.items() if key.startswith("refiner.")}
    if not RunFolder(folder).model.is_file():
        training.train(check_recipe(training.recipe, tables), folder, RunFolder(folder).recipe.is_file(), own)
    with quietly():
        _, _, val = image_training_of(recipe.model_dump()).read_data(recipe, run)
    on_first(lambda: choose_refined(run, folder, val))
