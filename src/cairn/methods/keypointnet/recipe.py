"""Recipes of the method `keypointnet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from cairn.training import recipe as shared
from cairn.training.recipe import BasicRecipe, Count, Positive, Section

Weight = Annotated[float, Field(ge=0)]


class ViewSource(Section):
    """A folder of views, or a label file of their images.

    Attributes:
        path: The folder: a subfolder for each object, with an image for each camera. Or labels, whose images lie in
            such folders: those that it lists are the views.
        cameras: File of the cameras, whose names are those of the images; None: `cameras.toml` in the folder (of the
            images, or beside the label file), or in the subfolder of each object.
        images: Folder of the images that a label file lists.
    """

    path: Path
    cameras: Path | None = None
    images: Path | None = None


class Data(Section):
    """Views to train and validate on.

    Attributes:
        train: Folders or label files to train on.
        val: Likewise to validate on. Without them, some of the objects to train on are held out.
        holdout: Share of the objects that is held out.
        masks: Where the foreground comes from: "alpha" of the images; "files", images of the same names in a folder
            `masks` of each object; "background", the difference from images without an object, of the names of the
            cameras, in a folder `background` beside the objects; "black", pixels that are not black; "auto", the first
            of these that applies.
        turntable: Number of equally spaced views around the vertical axis, in the order of the names of the images,
            instead of cameras; 0 for none.
        elevation: Degrees from which the camera of a turntable looks down.
        field_of_view: Horizontal field of view in degrees of the camera of a turntable.
        angles: Smallest and largest angle in degrees between the viewing directions of a pair.
    """

    train: tuple[ViewSource, ...] = ()
    val: tuple[ViewSource, ...] = ()
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.15
    masks: Literal["auto", "alpha", "files", "background", "black"] = "auto"
    turntable: Annotated[int, Field(ge=0)] = 0
    elevation: Annotated[float, Field(gt=-90, lt=90)] = 20.0
    field_of_view: Annotated[float, Field(gt=1, lt=150)] = 40.0
    angles: tuple[float, float] = (5.0, 60.0)

    @field_validator("angles")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] < value[1] <= 180:
            raise ValueError(f"expected a range within 0 to 180 degrees, got {list(value)}")
        return value


class NetworkSettings(Section):
    """Both networks.

    Attributes:
        keypoints: Number of keypoints K.
        backbone: "pyramid", a small network at stride 4; "dilated", the network of the paper, at full resolution; or
            the name of a backbone of Cairn.
        features: Channels of the keypoint network; the orientation network has half.
        stride: Stride of the maps in pixels, with a backbone.
        orientation: Whether the orientation network tells which side of the object is seen.
        axis: Dominant axis of the object, whose direction the orientation network predicts; "auto" is the direction in
            which the objects are longest from left to right in the images.
    """

    keypoints: Count = 10
    backbone: str = "pyramid"
    features: Annotated[int, Field(ge=8)] = 32
    stride: Count = 4
    orientation: bool = True
    axis: Literal["auto", "x", "y", "z"] = "auto"


class Losses(Section):
    """Weights of the losses, those of the paper's release.

    Attributes:
        consistency: Multi-view consistency.
        pose: Relative pose.
        separation: Separation.
        silhouette: Silhouette.
        variance: Variance of the maps.
        orientation: Orientation.
        delta: Squared distance in object units from which two keypoints are separate.
        noise: Standard deviation of noise on the keypoints for the relative pose, in object units.
        boost: Factor on the weight of the pose at the start: without it, keypoints stay together in the middle of the
            image for long. Likewise, the noise is 0 at the start.
        boosted: Shares of the run between which the factor falls to 1, and before the first of which the noise grows.
    """

    consistency: Weight = 1.0
    pose: Weight = 0.2
    separation: Weight = 1.0
    silhouette: Weight = 1.0
    variance: Weight = 0.5
    orientation: Weight = 1.0
    delta: Positive = 0.05
    noise: Weight = 0.1
    boost: Positive = 10.0
    boosted: tuple[float, float] = (0.4, 0.8)


class Augmentation(Section):
    """Changes of the images.

    Attributes:
        color: Strength of random changes of brightness and contrast.
    """

    color: Weight = 0.2


class Input(Section):
    """The input.

    Attributes:
        size: Side of the square image in pixels.
    """

    size: Annotated[int, Field(ge=32)] = 64


class Optimizer(shared.Optimizer):
    """Adam as in the paper, with a cosine, a moving average of weights, and clipped gradients."""

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adam"
    learning_rate: Positive = 3e-3
    weight_decay: Weight = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    clip: Weight = 1.0


class Run(shared.Run):
    """Length and batches."""

    epochs: Count = 20
    batch_size: Count = 16
    workers: Annotated[int, Field(ge=0)] | None = 0
    validate_every: Count = 1


class Recipe(BasicRecipe):
    """All settings of a run.

    Attributes:
        pairs: Number of pairs in an epoch.
        anneal: Shares of the run between which the true orientation is replaced by the predicted one.
        data: Views.
        input: The input.
        network: Both networks.
        losses: Weights of the losses.
        augmentation: Changes of the images.
    """

    method: Literal["keypointnet"] = "keypointnet"
    pairs: Count = 2000
    anneal: tuple[float, float] = (0.15, 0.3)
    data: Data = Data()
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    losses: Losses = Losses()
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer = Optimizer()
    run: Run = Run()

    @property
    def files(self) -> tuple[Path, ...]:
        """What is trained on."""
        return tuple(source.path for source in self.data.train)
