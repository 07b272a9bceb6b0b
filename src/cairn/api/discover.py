"""`cairn.discover`: trains a model of landmarks on images alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.settings import Settings, with_settings
from cairn.arguments import checked
from cairn.errors import LabelError, RecipeError
from cairn.extras import require_training

if TYPE_CHECKING:
    from cairn.api.run import Run
    from cairn.api.training import TrainingPlan

PAIRS_PER_EPOCH = 1500
"""Images of an epoch: a small folder is repeated within an epoch, so that epochs take about equally long."""

log = logging.getLogger(__name__)


@checked
def discover(
    sources: str | Path | Iterable[str | Path] | None = None,
    *,
    landmarks: int | None = None,
    three_d: bool = False,
    cameras: str | Path | None = None,
    turntable: int | None = None,
    masks: str | None = None,
    images: str | Path | None = None,
    exclude: str | Path | None = None,
    crop: str | None = None,
    crop_margin: float | None = None,
    recipe: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    epochs: int | None = None,
    seed: int | None = None,
    name: str | None = None,
    settings: Settings = None,
) -> Run:
    """Trains a model of landmarks on images without labels, and returns the run.

    The run's folder sheets/ shows the landmarks on held-out images. `cairn.teach` gives landmarks the names of
    keypoints.

    With `three_d`, the landmarks are 3D keypoints, trained on views of objects with known cameras: a subfolder
    for each object, with an image for each camera; or a label file whose images lie in such folders.
    `cairn.Keypoints3D` detects them in one image.

    Example:
        run = cairn.discover("faces/", landmarks=10)
        run = cairn.discover("views/", three_d=True, cameras="cameras.toml")

    Args:
        sources: Folders of images with one instance each; or label files, for their images.
        landmarks: Number of landmarks. Default: 10.
        three_d: Whether to learn 3D keypoints, from views with cameras.
        cameras: With `three_d`, the file of cameras, whose names are those of the images. Default: cameras.toml in the
            folder (of the images, or beside the label file), or in the subfolder of each object.
        turntable: With `three_d`, instead of cameras: number of equally spaced views of each object on a turntable, in
            the order of their names.
        masks: With `three_d`, where the foreground comes from: alpha, files (a folder masks beside the images),
            background (a folder background beside the objects, of images without one, with the names of the cameras),
            or black. Default: the first that applies.
        images: Folder of the images that label files list.
        exclude: List of image names, or labels, whose images are excluded.
        crop: What each image is cropped to: "boxes" or "landmarks" of label files, one view of each instance;
            "motion", what moves in frames of a static camera; or "none", the whole image. Default: none.
        crop_margin: Side of a crop over the longer side of its box. Default: 1.25.
        recipe: Recipe (.toml) that replaces the default values.
        out: Folder of the run. Default: runs/NAME.
        resume: Whether to continue the run in `out`; no other argument is allowed then.
        epochs: Number of epochs of about 1500 images, default 5; with `three_d` of 2000 pairs of views, default 20.
        seed: Random seed for initialization, data order and warps. Default: 0.
        name: Name of the model. Default: landmarks, or that of the folder with `three_d`.
        settings: Other values of the recipe by dotted key.

    Raises:
        MissingExtra: The extra `train` is not installed.
        RecipeError: The arguments contradict one another, or the recipe is invalid.
        LabelError: The images cannot be used.
        OutputError: The run folder is in use or cannot be written to.
    """
    require_training()
    from cairn.api.discover3d import Views, discover_views, is_of_views
    from cairn.api.training import recipe_to_resume, run_plan
    from cairn.methods.landmarks import METHOD

    views = Views(three_d, cameras, turntable, masks, images)
    if three_d or is_of_views(resume, out):
        shared = {"network.keypoints": landmarks, "run.epochs": epochs, "seed": seed, "name": name}
        flat = {"exclude": exclude, "crop": crop, "crop-margin": crop_margin}
        return discover_views(
            sources, views, shared, flat, (recipe, settings), None if out is None else Path(out), resume
        )
    views.check_absent()
    from cairn.methods.landmarks.training import summary

    paths = [sources] if isinstance(sources, str | Path) else list(sources or ())
    values: dict[str, Any] = {"network.landmarks": landmarks, "run.epochs": epochs, "seed": seed, "name": name}
    values |= {"crop.by": crop, "crop.margin": crop_margin}
    values = {key: value for key, value in values.items() if value is not None}
    if resume:
        if out is None or paths or recipe or images or exclude or settings or values:
            raise RecipeError("resume needs --out RUN and no other option: it uses the recipe of the run")
        recipe = recipe_to_resume(Path(out))
    if images and not any(Path(path).is_file() for path in paths):
        raise RecipeError("--images goes with a label file: it is the folder of the images that the file lists")

    def plan() -> TrainingPlan:
        if exclude and not paths:
            raise RecipeError("--exclude needs images or labels to exclude from: set it in data.train of the recipe")
        given = {"method": METHOD.name} | ({} if recipe is None else _read(recipe))
        return _plan(with_settings(given, settings), _sources(paths, images, exclude), values, recipe, out, resume)

    run = run_plan(plan, "discover")
    log.info("%s", summary(run.folder))
    return run


def _read(recipe: str | Path) -> dict[str, Any]:
    from cairn.training.recipe_tables import read_recipe

    return read_recipe(recipe)


def _sources(
    paths: Sequence[str | Path], images: str | Path | None, exclude: str | Path | None
) -> list[dict[str, Any]]:
    from cairn.api.training import label_source

    if wrong := [path for path in paths if not isinstance(path, str | PathLike)]:
        raise LabelError(f"sources must be paths, got {wrong[0]!r:.40}")
    if missing := [path for path in paths if not Path(path).exists()]:
        raise LabelError(f"no folder of images, and no label file, at {missing[0]}")
    excluded = {"exclude": str(exclude)} if exclude else {}
    return [label_source(path, None if Path(path).is_dir() else images) | excluded for path in paths]


def _plan(
    tables: dict[str, Any],
    sources: list[dict[str, Any]],
    values: dict[str, Any],
    recipe: str | Path | None,
    out: str | Path | None,
    resume: bool,
) -> TrainingPlan:
    """Returns a complete recipe of the method `landmarks`, and the folder of its run."""
    from cairn.api.training import TrainingPlan
    from cairn.methods.landmarks import METHOD
    from cairn.methods.landmarks.recipe import Recipe
    from cairn.methods.landmarks.training import repeated
    from cairn.training.recipe_tables import check_recipe, put

    if tables["method"] != METHOD.name:
        raise RecipeError(f"cairn discover trains the method {METHOD.name}, and the recipe is of {tables['method']}")
    if sources:
        put(tables, "data.train", sources)
    for key, value in values.items():
        put(tables, key, value)
    checked = check_recipe(Recipe, tables)
    if "crop.margin" in values and checked.crop.by == "none":
        raise RecipeError("--crop-margin needs --crop boxes, landmarks or motion")
    if sources and not recipe:
        put(tables, "data.train", repeated(checked, PAIRS_PER_EPOCH))
        checked = check_recipe(Recipe, tables)
    return TrainingPlan(tables, {}, Path(out) if out else Path("runs") / checked.name, resume)
