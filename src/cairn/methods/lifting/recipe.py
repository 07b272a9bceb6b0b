"""Recipes of the method `lifting`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from cairn.methods.lifting.network import Frame
from cairn.training import recipe as shared
from cairn.training.recipe import BasicRecipe, Count, Section

Share = Annotated[float, Field(ge=0, lt=1)]
Interval = tuple[float, float]


class Recording(Section):
    """A file of 3D keypoints.

    Attributes:
        path: The file.
    """

    path: Path


class Data(Section):
    """3D recordings to train and validate on.

    Attributes:
        train: Recordings to train on.
        val: Recordings to validate on. Without them, whole recordings of the training files are held out; of a single
            recording its end.
        holdout: Share of the frames that is held out.
    """

    train: tuple[Recording, ...] = ()
    val: tuple[Recording, ...] = ()
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Cameras(Section):
    """Cameras that the training poses are seen by.

    Attributes:
        kind: "random": virtual cameras all around; "rig": those of `file`.
        file: Calibrated cameras, for "rig".
        pitch: Range of the angle in degrees from which a camera looks down; below 0 it looks up.
        roll: Maximum angle in degrees by which a camera is tilted.
        distance: Range of the distance from the person in meters.
    """

    kind: Literal["random", "rig"] = "random"
    file: Path | None = None
    pitch: Interval = (-20.0, 40.0)
    roll: Annotated[float, Field(ge=0)] = 10.0
    distance: Interval = (2.0, 8.0)

    @field_validator("pitch", "distance")
    @classmethod
    def _ascending(cls, value: Interval) -> Interval:
        if value[0] > value[1]:
            raise ValueError(f"expected a range from low to high, got {list(value)}")
        return value


class Noise(Section):
    """Errors of 2D keypoints, as of a detector. Lengths are in sizes of the pose: its RMS distance from its center.

    Attributes:
        spread: Standard deviation of each coordinate; each pose draws its own from 0 to twice this.
        outliers: Share of keypoints that are far off.
        outlier: Standard deviation of these.
        missing: Maximum share of keypoints that are missing; each pose draws its own.
        exact: Share of the training poses without any of these errors.
        parts: Groups of joints that are missing together in some training poses, such as a face turned away.
        part: Share of the training poses in which a group is missing; each group is drawn by itself.
    """

    spread: Annotated[float, Field(ge=0)] = 0.04
    outliers: Share = 0.01
    outlier: Annotated[float, Field(ge=0)] = 0.3
    missing: Share = 0.25
    exact: Share = 0.0
    parts: tuple[tuple[str, ...], ...] = ()
    part: Share = 0.05


class Input(Section):
    """The 2D input.

    Attributes:
        frame: "pose": each pose is centered and scaled by itself, for any camera; "camera": normalized coordinates of
            a calibrated camera, as in the paper.
        limbs: Whether the lengths of the limbs in the image are inputs, too.
    """

    frame: Frame = "pose"
    limbs: bool = False


class NetworkSettings(Section):
    """The network of the paper.

    Attributes:
        width: Width of the hidden layers.
        blocks: Number of residual blocks.
        dropout: Probability of dropout.
        max_norm: Maximum norm of the rows of weights; 0 for no limit.
    """

    width: Count = 1024
    blocks: Count = 2
    dropout: Share = 0.5
    max_norm: Annotated[float, Field(ge=0)] = 1.0


class Optimizer(shared.Optimizer):
    """Adam as in the paper, with the schedule of Cairn."""

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Run(shared.Run):
    """Length and batches of the paper."""

    epochs: Count = 200
    batch_size: Count = 64
    workers: Annotated[int, Field(ge=0)] | None = 0
    validate_every: Count = 10


class Recipe(BasicRecipe):
    """All settings of a run.

    Attributes:
        skeleton: Name or file of the skeleton of the model; None for that of the recordings.
        root: Joints whose mean is the root; empty for pelvis, mid_hip, root, or both hips.
        flip: Whether half of the poses are mirrored.
        flip_test: Whether the model averages each pose with that of its mirror image, which doubles its time.
        lengths: Standard deviation of the factor on the length of each limb, the same on both sides of the body.
        loss: "squared": squared error of standardized keypoints, as in the paper; "distance": mean distance, MPJPE.
        mix: Share of the training poses of which a part, such as an arm, is replaced by that of another pose.
        repeat: Number of times that an epoch contains each pose, each time seen by another camera.
        data: Recordings.
        cameras: Cameras that the poses are seen by.
        noise: Errors of 2D keypoints.
        input: The 2D input.
        network: The network.
    """

    method: Literal["lifting"] = "lifting"
    skeleton: str | None = None
    root: tuple[str, ...] = ()
    flip: bool = True
    flip_test: bool = False
    lengths: Annotated[float, Field(ge=0, lt=0.5)] = 0.08
    loss: Literal["squared", "distance"] = "squared"
    mix: Share = 0.0
    repeat: Count = 1
    data: Data = Data()
    cameras: Cameras = Cameras()
    noise: Noise = Noise()
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    optimizer: Optimizer = Optimizer()
    run: Run = Run()

    @property
    def files(self) -> tuple[Path, ...]:
        """The recordings to train on."""
        return tuple(source.path for source in self.data.train)
