"""`cairn discover`: trains a model of landmarks on images alone, or of 3D keypoints on views with cameras."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cairn.cli.label_options import CropChoice, Exclude


class MaskChoice(StrEnum):
    """Where the foreground of views comes from (`cairn.methods.keypointnet.masks.Masks`)."""

    ALPHA = "alpha"
    FILES = "files"
    BACKGROUND = "background"
    BLACK = "black"


def discover(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of images with one instance each; or label files, for their images."),
    ] = None,
    landmarks: Annotated[int | None, typer.Option(help="Number of landmarks. [10]", show_default=False)] = None,
    three_d: Annotated[
        bool,
        typer.Option(
            "--three-d",
            help="Learn 3D keypoints from views: a subfolder per object, an image per camera; or labels of such.",
        ),
    ] = False,
    cameras: Annotated[
        Path | None,
        typer.Option(
            help="With --three-d: file of the cameras, with the names of the images. [cameras.toml beside the views]",
            show_default=False,
        ),
    ] = None,
    turntable: Annotated[
        int | None,
        typer.Option(
            min=3,
            help="With --three-d, instead of cameras: number of equally spaced views of each object on a turntable.",
            show_default=False,
        ),
    ] = None,
    masks: Annotated[
        MaskChoice | None,
        typer.Option(
            help="With --three-d: where the foreground comes from. [the first that applies]", show_default=False
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images that label files list.", show_default=False)
    ] = None,
    exclude: Exclude = None,
    crop: Annotated[
        CropChoice | None,
        typer.Option(
            help="Crop to the boxes or the landmarks of labels, one view of each instance; or to what moves in frames "
            "of a static camera. [none]",
            show_default=False,
        ),
    ] = None,
    crop_margin: Annotated[
        float | None,
        typer.Option(help="Side of a crop over the longer side of its box. [1.25]", show_default=False),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe (.toml) that replaces the default values.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [runs/NAME]", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Number of epochs, of about 1500 images each; of 2000 pairs of views with --three-d. [5, or 20]",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed for initialization, data order and warps. [0]", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the model. [landmarks, or the name of the folder of views]", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other value of the recipe, section.name=value; repeatable.", show_default=False
        ),
    ] = None,
) -> None:
    """Train a model of landmarks on images without labels, or of 3D keypoints on views with cameras.

    Writes a run folder. Its sheets/ show each landmark in one color on held-out images. Then name the landmarks with
    cairn teach.

    cairn discover faces/ --landmarks 10

    cairn discover views/ --three-d --cameras cameras.toml
    """
    from cairn.cli.logs import show_training_log

    show_training_log()
    from cairn.api.discover import discover as run_discovery

    run = run_discovery(
        sources or [],
        landmarks=landmarks,
        three_d=three_d,
        cameras=cameras,
        turntable=turntable,
        masks=masks.value if masks else None,
        images=images,
        exclude=exclude,
        crop=crop.value if crop else None,
        crop_margin=crop_margin,
        recipe=recipe,
        out=out,
        resume=resume,
        epochs=epochs,
        seed=seed,
        name=name,
        settings=settings,
    )
    print(run.model)
