"""`cairn discover`: landmarks of a kind of object, from images alone."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from cairn.errors import RecipeError

PAIRS_AN_EPOCH = 1500
"""A small folder is gone through several times an epoch, so that an epoch takes about as long whatever its size."""


def discover(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of images, each with one object; or label files, for their images."),
    ] = None,
    landmarks: Annotated[int | None, typer.Option(help="How many to look for. [10]", show_default=False)] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images that label files list.", show_default=False)
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe (.toml) in place of the usual values.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [runs/NAME]", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out was stopped.")] = False,
    epochs: Annotated[
        int | None, typer.Option(help=f"Each of about {PAIRS_AN_EPOCH} images. [5]", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and warps. [0]", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="What the model is called. [landmarks]", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other value: section.name=value; may be repeated.")
    ] = None,
) -> None:
    """Find landmarks that all images have in common; no labels are needed.

    Writes a run folder: look at sheets/, where a landmark has the same color on every image. Then give the
    landmarks names with cairn teach.
    """
    from cairn.cli.train import quiet_training
    from cairn.methods.autoconfig import training_of
    from cairn.methods.landmarks.training import repeated, summary

    quiet_training()
    from cairn.training.engine.loop import train as run_training
    from cairn.training.recipe import check_recipe, override, put, read_recipe

    if resume:
        others = (sources, recipe, images, settings)
        if out is None or any(others) or any(v is not None for v in (landmarks, epochs, seed, name)):
            raise RecipeError("--resume goes with --out RUN, and with nothing else: it takes the run's own recipe")
        recipe = out / "recipe.toml"
    tables: dict[str, Any] = read_recipe(recipe) if recipe else {}
    tables = override({"method": "landmarks", **tables}, settings or [])
    if tables["method"] != "landmarks":
        raise RecipeError(f"cairn discover is for the method landmarks, and the recipe is of {tables['method']}")
    if images and not any(path.is_file() for path in sources or ()):
        raise RecipeError("--images goes with a label file, whose images it says where to find")
    if sources:
        put(tables, "data.train", [_source(path, images) for path in sources])
    given = (("network.landmarks", landmarks), ("run.epochs", epochs), ("seed", seed), ("name", name))
    for key, value in given:
        if value is not None:
            put(tables, key, value)
    training = training_of(tables)
    checked = check_recipe(training.recipe, tables)
    if sources and not recipe:
        put(tables, "data.train", repeated(checked, PAIRS_AN_EPOCH))
        checked = check_recipe(training.recipe, tables)
    run = out or Path("runs") / checked.name
    try:
        model = run_training(training, checked, run, resume)
    except (KeyboardInterrupt, SystemExit):
        if (run / "recipe.toml").is_file():
            print(f"cairn: stopped; go on with: cairn discover --resume --out {quote(str(run))}", file=sys.stderr)
        raise
    print(summary(run), file=sys.stderr)
    print(model)


def _source(path: Path, images: Path | None) -> dict[str, Any]:
    return {"labels": str(path)} | ({"images": str(images)} if images and not path.is_dir() else {})
