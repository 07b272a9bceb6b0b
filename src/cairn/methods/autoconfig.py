"""What `cairn train` chooses where nobody has said it: from the labels, the machine, and the weights to start from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.errors import RecipeError

if TYPE_CHECKING:
    from cairn.training.autoconfig.choices import Choice, LabelFacts

SAYS_NOTHING = ("train", "training", "labels", "annotations", "keypoints", "instances", "coco", "data", "result")
"""Names of label files that are no names of what is labeled: their folder's is taken."""

SEVERAL, SINGLE = "openpose", "hourglass"

STARTED_RATE, BESIDE_SLOW_BACKBONE = 1e-3, 3e-3
"""Learning rate of weights that have learned before, and of what stands on a backbone that has a lower one of its own."""

OF_ANY_BACKBONE = {"lite", "frozen", "backbone_lr_factor"}
"""Settings that name no network: they hold for whichever is chosen."""

USUAL_START = {SEVERAL: "person", SINGLE: "person-single"}
"""What a method starts from where nobody says anything of weights or network."""


def choose(tables: Mapping[str, Any]) -> Choice:
    """A whole recipe around `tables`, which hold what was said by hand, and `data.train` at least.

    Raises what reading the labels, or training by the recipe, would.
    """
    from cairn.methods import method as package_of
    from cairn.structures.skeleton import skeleton
    from cairn.training.autoconfig.choices import Choice, measure_labels
    from cairn.training.autoconfig.machine import measure_machine
    from cairn.training.backbones.imagenet import IMAGENET
    from cairn.training.checkpoints.pretrained import read_start
    from cairn.training.data.sources import read_source
    from cairn.training.recipe import NOTHING, LabelSource, check_recipe

    source = LabelSource.model_validate(tables["data"]["train"][0])
    joints = skeleton(tables["skeleton"]) if "skeleton" in tables else None
    facts = measure_labels(read_source(source, joints))
    start = read_start(str(tables["pretrained"])) if tables.get("pretrained") not in (None, NOTHING, IMAGENET) else None
    choice = Choice().with_value("name", name_of(source.labels), "after the labels")
    if "method" not in tables:
        of_start = (start.method, f"that of {start.name}") if start is not None else None
        choice = choice.with_value("method", *(of_start or _method(facts)))
    choice = choice.under(tables)
    usual = USUAL_START.get(str(choice.tables["method"]))
    if usual and "pretrained" not in tables and not _names_network(tables):
        choice = choice.with_value("pretrained", usual, "it has seen many photographs; --from none starts from nothing")
    package = package_of(str(choice.tables["method"])).__name__
    training = import_module(f"{package}.training")
    if find_spec(f"{package}.autoconfig") is not None:
        choice = choice.filled_from(import_module(f"{package}.autoconfig").choose(facts, measure_machine()))
    choice = with_network(choice)
    recipe = check_recipe(training.Recipe, choice.tables)
    if recipe.pretrained:
        choice = choice.filled_from(Choice().with_value("optimizer.learning_rate", *_rate(recipe)))
    return _with_length(choice, training, tables)


def with_network(choice: Choice) -> Choice:
    """With the network of the weights that it starts from, where it names none itself.

    Raises RecipeError where another method could not start from these.
    """
    from cairn.methods import method as package_of
    from cairn.training.autoconfig.choices import Choice, choose_backbone
    from cairn.training.backbones.imagenet import IMAGENET
    from cairn.training.checkpoints.pretrained import read_start
    from cairn.training.recipe import NOTHING

    if choice.tables.get("pretrained") in (None, NOTHING) or _names_network(choice.tables):
        return choice
    method = str(choice.tables.get("method"))
    package = package_of(method).__name__
    training = import_module(f"{package}.training")
    if choice.tables["pretrained"] == IMAGENET:
        if not hasattr(training, "IMAGENET_NETWORK"):
            raise RecipeError(f"{method} has no network that starts from ImageNet")
        network, reason = training.IMAGENET_NETWORK, "the one that starts from ImageNet"
    else:
        start = read_start(str(choice.tables["pretrained"]))
        if start.method != method or not hasattr(training, "network_of"):
            raise RecipeError(f"{start.name} is a model of {start.method}: {method} cannot start from it")
        network, reason = training.network_of(start.weights, len(start.skeleton)), f"that of {start.name}"
    suited = (
        choose_backbone(import_module(f"{package}.autoconfig").BACKBONE_LR_FACTOR) if "lite" in network else Choice()
    )
    for name, value in network.items():
        suited = suited.with_value(f"network.{name}", value, reason)
    return choice.filled_from(suited)


def name_of(labels: Path) -> str:
    """The file's name, or its folder's where that of the file says nothing."""
    path = labels.resolve()
    words = path.stem.lower().replace("-", "_").replace(".", "_").split("_")
    return path.parent.name or path.stem if words[0] in SAYS_NOTHING else path.stem


def free_folder(name: str) -> Path:
    """runs/NAME, or runs/NAME-2 and so on, where something lies there already."""
    number = 1
    while True:
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder
        number += 1


def _names_network(tables: Mapping[str, Any]) -> bool:
    """Whether the recipe says which network."""
    network = tables.get("network", {})
    return not isinstance(network, Mapping) or bool(set(network) - OF_ANY_BACKBONE)


def _method(facts: LabelFacts) -> tuple[str, str]:
    if facts.most > 1:
        return SEVERAL, f"up to {facts.most} objects in an image"
    return SINGLE, "one object in each image"


def _rate(recipe: Any) -> tuple[float, str]:
    """The learning rate of a recipe that starts from weights, and why."""
    if getattr(recipe.network, "backbone_lr_factor", 1) < 1:
        return BESIDE_SLOW_BACKBONE, "of what is new: the backbone learns at a share of it"
    return STARTED_RATE, "the weights have learned before"


def _with_length(choice: Choice, training: Any, tables: Mapping[str, Any]) -> Choice:
    """With epochs by the pace that is measured, and a batch that memory suffices for; what was said by hand stays."""
    from cairn.training.autoconfig.choices import EPOCHS, choose_length, started_epochs
    from cairn.training.autoconfig.machine import measure_pace
    from cairn.training.engine.memory import with_smaller_batch
    from cairn.training.recipe import check_recipe

    said = tables.get("run", {})
    if "epochs" in said:
        return choice
    recipe = check_recipe(training.Recipe, choice.tables)
    while (measured := measure_pace(training, recipe)) is None:
        recipe = with_smaller_batch(recipe)
        for name in ("batch_size", "accumulate"):
            choice = choice.with_value(f"run.{name}", getattr(recipe.run, name), "memory does not suffice for more")
    samples, validated, pace = measured
    epochs = started_epochs(samples, recipe.run.batch_size * recipe.run.accumulate) if recipe.pretrained else EPOCHS
    return choice.filled_from(choose_length(samples, validated, pace, epochs=epochs))
