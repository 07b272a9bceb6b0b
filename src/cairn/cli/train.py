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
    recipe: Annotated[Path | None, typer.Argument(help="A recipe (.toml), or nothing and --data.")] = None,
    method: Annotated[
        str | None,
        typer.Option(help="openpose (several objects) or hourglass (one). [by the labels]", show_default=False),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Labels to learn from (COCO keypoints).")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of their images [images/ beside the labels].")] = None,
    val: Annotated[Path | None, typer.Option(help="Labels to validate on [a share of --data, set aside].")] = None,
    val_images: Annotated[Path | None, typer.Option(help="Folder of their images [as --images].")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Weights to start from: an embedded model, an .onnx file, the folder of a run, imagenet, or none. "
            "[of several objects: person]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run [runs/NAME].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out was stopped.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images at a time.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and augmentation.")] = None,
    name: Annotated[str | None, typer.Option(help="What the model is called.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other value: section.name=value; may be repeated.")
    ] = None,
) -> None:
    """Train a model from labels; writes a run folder with model.onnx in it.

    cairn train --data labels.json chooses everything by the labels and this machine, and says why.
    Every value can be set: cairn train recipes/person.toml --set optimizer.learning_rate=1e-3
    """
    quiet_training()
    from cairn.methods.autoconfig import training_of
    from cairn.training.engine.loop import train as run_training
    from cairn.training.engine.processes import joined, on_first
    from cairn.training.recipe import check_recipe, put

    def prepare() -> tuple[Any, dict[str, str], Path]:
        """In the first process alone, for all: a recipe as it is to be run, why, and where."""
        if resume and out is None:
            raise RecipeError("--resume goes with --out RUN, the folder of the run to go on with")
        extra = {"run.epochs": epochs, "run.batch_size": batch, "seed": seed, "name": name, "pretrained": start}
        extra = {key: value for key, value in extra.items() if value is not None}
        if resume and (extra or recipe or method or data or val or settings):
            raise RecipeError("--resume takes the run's own recipe: give nothing beside --out")
        tables = _tables(recipe, method, data, images, val, val_images, out if resume else None, settings or [])
        for key, value in extra.items():
            put(tables, key, value)
        return _completed(tables, chosen=recipe is None and not resume, out=out)

    with joined() as group:
        tables, reasons, run = on_first(prepare)
        training = training_of(tables)
        try:
            model = run_training(training, check_recipe(training.recipe, tables), run, resume, reasons)
        except (KeyboardInterrupt, SystemExit):
            if group.first and (run / "recipe.toml").is_file():
                print(f"cairn: stopped; go on with: cairn train --resume --out {quote(str(run))}", file=sys.stderr)
            raise
        if group.first:
            print(model)


def quiet_training() -> None:
    """Before lightning is imported: lines of ours only. Raises MissingExtra where it is not installed."""
    import logging
    import os
    import warnings

    need("torch", "lightning", "onnx", "onnxscript")
    import lightning.pytorch  # sets levels of its own, so it comes first  # noqa: F401

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=_AboveBars())
    # Of several processes that torchrun has started, one speaks.
    logging.getLogger("cairn").setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)
    for other in ("torch.onnx", "lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(other).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # they are addressed to those who write training code


def need(*packages: str) -> None:
    """Raises MissingExtra for the first package that is not installed; imports none."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(package, "train")


def _tables(
    recipe: Path | None,
    method: str | None,
    data: Path | None,
    images: Path | None,
    val: Path | None,
    val_images: Path | None,
    resumed: Path | None,
    settings: list[str],
) -> dict[str, Any]:
    """What was said by hand. Raises RecipeError where it contradicts itself."""
    from cairn.training.recipe import override, put, read_recipe

    if (images and not data) or (val_images and not val):
        raise RecipeError("--images goes with --data, and --val-images with --val")
    if resumed:
        recipe = resumed / "recipe.toml"
    if recipe and method:
        raise RecipeError("give a recipe file or --method, one of the two")
    if not (recipe or method or data):
        raise RecipeError("give labels to learn from, --data labels.json, or a recipe file")
    tables = override(read_recipe(recipe) if recipe else {}, settings)
    if method:
        put(tables, "method", method)
    if data:
        put(tables, "data.train", [_source(data, images)])
        put(tables, "data.val", [])
    if val:
        put(tables, "data.val", [_source(val, val_images or images)])
    return tables


def _completed(tables: dict[str, Any], chosen: bool, out: Path | None) -> tuple[dict[str, Any], dict[str, str], Path]:
    """The tables of a recipe that can be run, reasons for what was chosen in it, and the folder of the run."""
    from cairn.files import unused_folder
    from cairn.methods.autoconfig import configure, training_of, with_network
    from cairn.training.autoconfig.choices import Choice
    from cairn.training.recipe import check_recipe
    from cairn.training.run_folder import check_free

    if "method" in tables:
        training_of(tables)  # a method that does not exist is told before its labels are looked at
    if chosen and isinstance(tables.get("data"), Mapping) and tables["data"].get("train"):
        if out:
            check_free(out)  # before the labels are read and the machine is timed
        choice = configure(tables)
    else:
        choice = with_network(Choice(tables))
    checked = check_recipe(training_of(choice.tables).recipe, choice.tables)
    for key, reason in choice.reasons.items():
        print(f"{key} = {_shown(choice.tables, key)}: {reason}", file=sys.stderr)
    run = out or (
        unused_folder(Path("runs") / checked.name) if "name" in choice.reasons else Path("runs") / checked.name
    )
    return choice.tables, choice.reasons, run


def _shown(tables: Mapping[str, Any], key: str) -> Any:
    *section, name = key.split(".")
    return (tables[section[0]] if section else tables)[name]


class _AboveBars:
    """stderr for lines that must not run into a progress bar."""

    def write(self, text: str) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]  # Lightning's

        tqdm.write(text, file=sys.stderr, end="")

    def flush(self) -> None:
        sys.stderr.flush()


def _source(labels: Path, images: Path | None) -> dict[str, Any]:
    return {"labels": str(labels)} | ({"images": str(images)} if images else {})
