"""`cairn.train`: trains a model on labeled images."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.run import Run
from cairn.api.settings import Settings, with_settings
from cairn.arguments import checked
from cairn.errors import RecipeError
from cairn.extras import require_training

if TYPE_CHECKING:
    from cairn.api.training import TrainingPlan

log = logging.getLogger(__name__)


@checked
def train(
    data: str | Path | None = None,
    *,
    val: str | Path | None = None,
    images: str | Path | None = None,
    val_images: str | Path | None = None,
    split: str | None = None,
    confidence: float | None = None,
    category: str | None = None,
    exclude: str | Path | None = None,
    method: str | None = None,
    recipe: str | Path | None = None,
    pretrained: str | Path | Run | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    name: str | None = None,
    refiner: bool | None = None,
    settings: Settings = None,
) -> Run:
    """Trains a model on labeled images, and returns the run.

    Values that are not given are selected automatically from the labels and the machine. The run's recipe.toml holds
    every value, with the reason for each selected one.

    Example:
        run = cairn.train("labels.json", epochs=50)
        run.metrics

    Args:
        data: Labels to train on, a file or a folder; or a recipe (.toml).
        val: Labels to validate on. Default: the split val of `data`, or where it has none, a held-out share.
        images: Folder of the images of `data`. Default: images/ beside the labels, or their own folder.
        val_images: Folder of the images of `val`. Default: as `images`.
        split: Split of `data` to train on: train, val or test. Default: train, or all images where `data` has no
            splits.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, for labels that are
            predictions. Default: 0.5.
        category: Category to train on, where the labels have several. Default: all with the same keypoints.
        exclude: List of image names, or labels, whose images in `data` are excluded.
        method: Name of the method: "openpose" (several instances) or "hourglass" (one). Default: by the labels.
        recipe: Recipe (.toml), where `data` is a label file.
        pretrained: Pretrained weights: a bundled model, an .onnx file, a run, or "none" to train from scratch; for the
            backbone alone, a file of VGG-19, MobileNet v1 or MoveNet, "movenet" or "imagenet". Default: the bundled
            model of people of the same task; for 400 images or more of other objects, a backbone of ImageNet.
        out: Folder of the run. Default: runs/NAME.
        resume: Whether to continue the run in `out`; no other argument is allowed then.
        epochs: Number of epochs.
        batch_size: Batch size.
        seed: Random seed for initialization, data order and augmentation.
        name: Name of the model. Default: the name of the label file.
        refiner: Whether to train a second model, which predicts the keypoints of each detected instance again in a
            crop, for labels with several instances in an image. It is used where it is better on the validation
            images. Default: for 400 images or more of other objects than people, where epochs, weights and network are
            automatic.
        settings: Other values of the recipe by dotted key, such as `{"optimizer.learning_rate": 1e-3}`.

    Raises:
        MissingExtra: The extra `train` is not installed.
        RecipeError: The arguments contradict one another, or the recipe is invalid.
        LabelError: The labels cannot be used.
        ModelError: The pretrained weights cannot be used.
        OutputError: The run folder is in use or cannot be written to.
    """
    require_training()
    from cairn.api.training import run_plan

    if data is not None and Path(data).suffix == ".toml":
        if recipe is not None:
            raise RecipeError(f"two recipes are given, {data} and {recipe}: give one, and labels")
        data, recipe = None, data
    values = {"run.epochs": epochs, "run.batch_size": batch_size, "seed": seed, "name": name}
    values["pretrained"] = (
        None if pretrained is None else str(pretrained.folder if isinstance(pretrained, Run) else pretrained)
    )
    request = _Request(
        recipe=recipe,
        method=method,
        data=_Labels(data, images, val, val_images, _reading_values(split, confidence, category, exclude)),
        values={key: value for key, value in values.items() if value is not None},
        settings=settings,
        refiner=refiner,
        out=None if out is None else Path(out),
        resume=resume,
    )
    return run_plan(lambda: _plan(request), "train")


@dataclass(frozen=True)
class _Labels:
    """Label files, the folders of their images, and how they are read (`LabelSource`)."""

    train: str | Path | None
    images: str | Path | None
    val: str | Path | None
    val_images: str | Path | None
    reading: dict[str, Any]


def _reading_values(
    split: str | None, confidence: float | None, category: str | None, exclude: str | Path | None
) -> dict[str, Any]:
    """Returns how labels are read, as values of a source of a recipe."""
    from cairn.api.reading import check_label_values

    check_label_values(split, confidence)
    values = {"split": split, "confidence": confidence, "category": category}
    values["exclude"] = None if exclude is None else str(exclude)
    return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class _Request:
    """The arguments of `train`; `values` are recipe values by dotted key."""

    recipe: str | Path | None
    method: str | None
    data: _Labels
    values: Mapping[str, Any]
    settings: Settings
    refiner: bool | None
    out: Path | None
    resume: bool


def _plan(request: _Request) -> TrainingPlan:
    """Returns a complete recipe with reasons, and the folder of its run."""
    from cairn.training.recipe_tables import put

    data = request.data
    if request.resume:
        if request.out is None:
            raise RecipeError("resume needs the folder of the run: --out RUN")
        others = (
            request.values, request.recipe, request.method, data.train, data.val, data.reading, request.settings,
            request.refiner,
        )  # fmt: skip
        if any(bool(value) for value in others):
            raise RecipeError("resume uses the recipe of the run: give no other option beside --out")
    tables = _tables(request)
    for key, value in request.values.items():
        put(tables, key, value)
    given = with_settings({}, request.settings).get("run", {})
    if ("run.epochs" in request.values or "epochs" in given) and "minutes" not in given:
        put(tables, "run.minutes", 0)  # that of a recipe would change the number of epochs
    return _completed(tables, request)


def _tables(request: _Request) -> dict[str, Any]:
    """Returns the values that were given. Raises RecipeError where they contradict one another."""
    from cairn.api.training import label_source, recipe_to_resume
    from cairn.methods.autoconfig import trains_on_arrays
    from cairn.training.recipe_tables import put, read_recipe

    data, recipe = request.data, request.recipe
    if (data.images and not data.train) or (data.val_images and not data.val):
        raise RecipeError("--images needs labels to train on, and --val-images needs --val")
    if data.reading and not data.train:
        raise RecipeError(f"--{next(iter(data.reading))} needs labels to train on: set it in data.train of the recipe")
    if request.resume and request.out:
        recipe = recipe_to_resume(request.out)
    if recipe and request.method:
        raise RecipeError("give a recipe or --method, not both")
    if not (recipe or request.method or data.train):
        raise RecipeError("no training data: give labels, as in cairn train labels.json, or a recipe (.toml)")
    tables = with_settings(read_recipe(recipe) if recipe else {}, request.settings)
    if request.method:
        put(tables, "method", request.method)
    if "method" in tables and trains_on_arrays(tables):
        return _with_arrays(tables, data)
    if data.train:
        put(tables, "data.train", [label_source(data.train, data.images) | data.reading])
        put(tables, "data.val", [])
    if data.val:
        reading = {key: value for key, value in data.reading.items() if key not in ("split", "exclude")}
        put(tables, "data.val", [label_source(data.val, data.val_images or data.images) | reading])
    return tables


def _with_arrays(tables: dict[str, Any], data: _Labels) -> dict[str, Any]:
    """Adds the files of a method that trains on arrays. Raises RecipeError for options that are for labeled images."""
    from cairn.methods.autoconfig import name_of
    from cairn.training.recipe_tables import put

    options = {"images": data.images, "val_images": data.val_images, **data.reading}
    if given := [name for name, value in options.items() if value]:
        option = given[0].replace("_", "-")
        raise RecipeError(f"--{option} is for labeled images, and {tables['method']} does not train on them")
    if data.train:
        put(tables, "data.train", [{"path": str(data.train)}])
        put(tables, "data.val", [])
        tables.setdefault("name", name_of(Path(data.train)))
    if data.val:
        put(tables, "data.val", [{"path": str(data.val)}])
    return tables


def _completed(tables: dict[str, Any], request: _Request) -> TrainingPlan:
    """Fills in what was not given, and logs the reason for each selected value."""
    from cairn.api.training import TrainingPlan
    from cairn.files import unused_folder
    from cairn.methods.autoconfig import training_of, trains_on_arrays, with_network
    from cairn.methods.refiner import configure_all
    from cairn.training.autoconfig.choices import Choice
    from cairn.training.recipe_tables import check_recipe
    from cairn.training.run_folder import check_free

    if "method" in tables:
        training_of(tables)  # an unknown method is an error before its labels are read
    arrays = "method" in tables and trains_on_arrays(tables)
    automatic = request.recipe is None and not request.resume and not arrays
    if automatic and isinstance(tables.get("data"), Mapping) and tables["data"].get("train"):
        if request.out:
            check_free(request.out)  # before the labels are read and the machine is timed
        choice = configure_all(tables, request.refiner)
    elif request.refiner is not None:
        raise RecipeError(
            "--refiner and --no-refiner need labels to train on, without a recipe: a recipe has a refiner where it has "
            "a table of that name"
        )
    else:
        choice = Choice(tables) if arrays else with_network(Choice(tables))
    name = check_recipe(training_of(choice.tables).recipe, choice.tables).name
    for key, reason in choice.reasons.items():
        if key == "refiner":
            log.info("a refiner is trained, too: %s", reason)
            continue
        log.info("%s = %s: %s", key, _value(choice.tables, key), reason)
    default = unused_folder(Path("runs") / name) if "name" in choice.reasons else Path("runs") / name
    return TrainingPlan(choice.tables, choice.reasons, request.out or default, request.resume)


def _value(tables: Mapping[str, Any], key: str) -> Any:
    value: Any = tables
    for part in key.split("."):
        value = value[part]
    return value
