"""`cairn train`: a model from labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from cairn.errors import MissingExtra, RecipeError


def train(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe (.toml), or nothing and --method.")] = None,
    method: Annotated[str | None, typer.Option(help="Method, where no recipe is given: openpose, hourglass.")] = None,
    data: Annotated[Path | None, typer.Option(help="Labels to learn from (COCO keypoints).")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of their pictures [images/ beside the labels].")] = None,
    val: Annotated[Path | None, typer.Option(help="Labels to validate on [a share of --data, set aside].")] = None,
    val_images: Annotated[Path | None, typer.Option(help="Folder of their pictures [as --images].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run [runs/NAME].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out was stopped.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and augmentation.")] = None,
    name: Annotated[str | None, typer.Option(help="What the model is called.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other value: section.name=value; may be repeated.")
    ] = None,
) -> None:
    """Train a model from labels; writes a run folder with model.onnx in it.

    Every value of a recipe can be set: cairn train recipes/person.toml --set optimiser.learning_rate=1e-3
    """
    quiet_training()
    from cairn.training.fit import train as run_training
    from cairn.training.recipe import check_recipe, override, put, read_recipe

    if (images and not data) or (val_images and not val):
        raise RecipeError("--images goes with --data, and --val-images with --val")

    if resume:
        if out is None:
            raise RecipeError("--resume goes with --out RUN, the folder of the run to go on with")
        if recipe or method or data or val or settings or any(v is not None for v in (epochs, batch, seed, name)):
            raise RecipeError("--resume takes the run's own recipe: give nothing beside --out")
        recipe = out / "recipe.toml"
    if (recipe is None) == (method is None):
        raise RecipeError("give a recipe file or --method, one of the two")
    tables: dict[str, Any] = read_recipe(recipe) if recipe else {"method": method}
    tables = override(tables, settings or [])
    if data:
        put(tables, "data.train", [_source(data, images)])
        put(tables, "data.val", [])
    if val:
        put(tables, "data.val", [_source(val, val_images or images)])
    for key, value in (("run.epochs", epochs), ("run.batch", batch), ("seed", seed), ("name", name)):
        if value is not None:
            put(tables, key, value)
    training = training_of(tables)
    checked = check_recipe(training.Recipe, tables)
    run = out or Path("runs") / checked.name
    try:
        print(run_training(training, checked, run, resume))
    except (KeyboardInterrupt, SystemExit):
        if (run / "recipe.toml").is_file():
            print(f"cairn: stopped; go on with: cairn train --resume --out {quote(str(run))}", file=sys.stderr)
        raise


def quiet_training() -> None:
    """Before lightning is imported: lines of ours only. Raises MissingExtra where it is not installed."""
    import logging
    import warnings

    need("torch", "lightning", "onnx", "onnxscript")
    import lightning.pytorch  # sets levels of its own, so it comes first  # noqa: F401

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=_AboveBars())
    logging.getLogger("cairn").setLevel(logging.INFO)
    for other in ("torch.onnx", "lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(other).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # they are addressed to those who write training code


def need(*packages: str) -> None:
    """Raises MissingExtra for the first package that is not installed; imports none."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(package, "train")


def training_of(tables: Mapping[str, Any]) -> Any:
    """The training module of the method that a recipe names. Raises RecipeError or ModelError where there is none."""
    from importlib import import_module

    from cairn.load import method

    if "method" not in tables:
        raise RecipeError("the recipe names no method")
    return import_module(f"{method(str(tables['method'])).__name__}.training")


class _AboveBars:
    """stderr for lines that must not run into a progress bar."""

    def write(self, text: str) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]  # Lightning's

        tqdm.write(text, file=sys.stderr, end="")

    def flush(self) -> None:
        sys.stderr.flush()


def _source(labels: Path, images: Path | None) -> dict[str, Any]:
    return {"labels": str(labels)} | ({"images": str(images)} if images else {})
