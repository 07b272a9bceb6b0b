"""`cairn.discover` with `three_d`: 3D keypoints from views with cameras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.settings import Settings, with_settings
from cairn.errors import RecipeError

if TYPE_CHECKING:
    from cairn.api.run import Run
    from cairn.api.training import TrainingPlan

METHOD = "keypointnet"


@dataclass(frozen=True)
class Views:
    """Options for views; see `cairn.discover`."""

    three_d: bool = False
    cameras: str | Path | None = None
    turntable: int | None = None
    masks: str | None = None
    images: str | Path | None = None

    @property
    def given(self) -> list[str]:
        """Names of the options for views alone that were given beside `three_d`."""
        return [name for name in ("cameras", "turntable", "masks") if getattr(self, name) is not None]

    def source(self, path: Path) -> dict[str, str]:
        """Returns an entry of `data.train` of a recipe."""
        given = {"path": path, "cameras": self.cameras, "images": self.images if path.is_file() else None}
        return {name: str(value) for name, value in given.items() if value is not None}

    def check_absent(self) -> None:
        """Raises RecipeError where an option was given without `three_d`."""
        if self.given:
            raise RecipeError(f"--{self.given[0]} is for views of objects: add --three-d")


def is_of_views(resume: bool, out: str | Path | None) -> bool:
    """Whether a run that is resumed is one of views."""
    if not resume or out is None or not (Path(out) / "recipe.toml").is_file():
        return False
    from cairn.training.recipe_tables import read_recipe

    return bool(read_recipe(Path(out) / "recipe.toml").get("method") == METHOD)


def discover_views(
    sources: str | Path | Iterable[str | Path] | None,
    views: Views,
    shared: Mapping[str, Any],
    flat: Mapping[str, Any],
    given: tuple[str | Path | None, Settings],
    out: Path | None,
    resume: bool,
) -> Run:
    """Trains a model of 3D keypoints, and returns the run.

    Args:
        sources: Folders of views, or label files of their images.
        views: Options for views.
        shared: Values of the recipe by dotted key, None where not given.
        flat: Options for images without cameras, which must be None.
        given: The recipe that replaces the default values, and other values by dotted key.
        out: Folder of the run; None is runs/NAME.
        resume: Whether to continue the run in `out`.

    Raises:
        RecipeError: The arguments contradict one another, or the recipe is invalid.
        CameraError: The cameras cannot be used.
        ImageError: The images or masks cannot be used.
    """
    from cairn.api.training import recipe_to_resume, run_plan

    recipe, settings = given
    paths = [Path(sources)] if isinstance(sources, str | Path) else [Path(path) for path in sources or ()]
    values = {key: value for key, value in shared.items() if value is not None}
    if wrong := [name for name, value in flat.items() if value is not None]:
        raise RecipeError(f"--{wrong[0]} is for images without cameras: omit it, or --three-d")
    if resume:
        if out is None or paths or recipe or settings or values or views.given or views.images:
            raise RecipeError("resume needs --out RUN and no other option: it uses the recipe of the run")
        recipe = recipe_to_resume(out)
    if views.cameras is not None and views.turntable is not None:
        raise RecipeError("a turntable has no file of cameras: give --cameras or --turntable, not both")

    def plan() -> TrainingPlan:
        from cairn.training.recipe_tables import read_recipe

        tables = with_settings({"method": METHOD} | ({} if recipe is None else read_recipe(recipe)), settings)
        return _plan(tables, paths, views, values, out, resume)

    return run_plan(plan, "discover")


def _plan(
    tables: dict[str, Any], paths: list[Path], views: Views, values: dict[str, Any], out: Path | None, resume: bool
) -> TrainingPlan:
    from cairn.api.training import TrainingPlan
    from cairn.methods.keypointnet.recipe import Recipe
    from cairn.training.recipe_tables import check_recipe, put

    if tables["method"] != METHOD:
        raise RecipeError(f"--three-d trains the method {METHOD}, and the recipe is of {tables['method']}")
    if paths:
        put(tables, "data.train", [views.source(path) for path in paths])
        first = paths[0].resolve()
        values = {"name": first.name if first.is_dir() else first.stem} | values if "name" not in tables else values
    elif views.cameras is not None:
        raise RecipeError("--cameras needs a folder of views, or a label file")
    if views.images is not None and not any(path.is_file() for path in paths):
        raise RecipeError("--images goes with a label file: it is the folder of the images that the file lists")
    for key, value in {"data.turntable": views.turntable, "data.masks": views.masks, **values}.items():
        if value is not None:
            put(tables, key, value)
    checked = check_recipe(Recipe, tables)
    return TrainingPlan(tables, {}, out or Path("runs") / checked.name, resume)
