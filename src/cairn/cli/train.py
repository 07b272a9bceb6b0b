"""`cairn train`: trains a model on labeled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cairn.cli.label_options import Category, Confidence, Exclude, SplitName
from cairn.errors import RecipeError


def train(
    source: Annotated[
        str | None,
        typer.Argument(metavar="LABELS|RECIPE", help="Labels to train on, a file or a folder; or a recipe (.toml)."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Labels to train on, beside a recipe.", show_default=False)] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. [images/ beside the labels, or their folder]", show_default=False),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            help="Labels to validate on. [the split val of LABELS, or a held-out share of them]", show_default=False
        ),
    ] = None,
    val_images: Annotated[
        Path | None, typer.Option(help="Folder of the validation images. [as --images]", show_default=False)
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option(help="Split of LABELS to train on. [train, or all images without splits]", show_default=False),
    ] = None,
    confidence: Confidence = None,
    category: Category = None,
    exclude: Exclude = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Method: openpose (several instances) or hourglass (one). [by the labels]", show_default=False
        ),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--from",
            "--pretrained",
            help="Pretrained weights: a bundled model, an .onnx file, a run, or none to train from scratch; for the "
            "backbone alone, a file of VGG-19, MobileNet v1 or MoveNet, movenet or imagenet. "
            "[the bundled model of people of the same task; for 400 images or more of other objects, a backbone of "
            "imagenet]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [runs/NAME]", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    epochs: Annotated[
        int | None, typer.Option(help="Number of epochs. [by the speed of this machine]", show_default=False)
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", "--batch", help="Batch size. [by the memory of this machine]", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed for initialization, data order and augmentation. [0]", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model. [the name of the label file]", show_default=False)
    ] = None,
    refiner: Annotated[
        bool | None,
        typer.Option(
            "--refiner/--no-refiner",
            help="Second model, which predicts the keypoints of each instance again in a crop; used where better. "
            "[for several instances in 400 images or more of other objects than people]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other value of the recipe, section.name=value; repeatable.", show_default=False
        ),
    ] = None,
) -> None:
    """Train a model on labeled images.

    Values that are not given are selected automatically from the labels and the machine, with the reason for each.
    Writes a run folder with model.onnx in it.

    cairn train labels.json

    cairn train recipes/person.toml --set optimizer.learning_rate=1e-3
    """
    from cairn.cli.logs import show_training_log

    show_training_log()
    import os

    from cairn.api.train import train as run_training

    recipe = source if source is not None and Path(source).suffix == ".toml" else None
    if data is not None and source is not None and recipe is None:
        raise RecipeError(f"labels are given twice, {source} and {data}: give them once")
    run = run_training(
        data if data is not None or recipe is not None else source,
        recipe=recipe,
        images=images,
        val=val,
        val_images=val_images,
        split=split.value if split else None,
        confidence=confidence,
        category=category,
        exclude=exclude,
        method=method,
        pretrained=pretrained,
        out=out,
        resume=resume,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        name=name,
        refiner=refiner,
        settings=settings,
    )
    if os.environ.get("RANK", "0") == "0":  # of several processes that torchrun started
        print(run.model)
