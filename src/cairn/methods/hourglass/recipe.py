"""The recipe of a training run of an hourglass: values only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cairn.methods.hourglass.model import STRIDE
from cairn.ops.heatmaps import Refinement
from cairn.training.backbones.settings import BackboneSettings
from cairn.training.data.augmentation import Augmentation, Share
from cairn.training.recipe import Count, Positive, Section
from cairn.training.recipe import Recipe as SharedRecipe

STEM, WIDE_STEM = "hourglass-stem", "hourglass-stem-wide"
"""The paper's own backbone, which has as many channels as the hourglasses, and that of bearpaw and anibali."""


class Input(Section):
    """The input of the network: a square.

    Attributes:
        size: Side of the square in pixels.
        margin: Side of a crop, relative to the longer side of the bounding box.
    """

    size: Count = 128
    margin: Positive = 1.25


class NetworkSettings(BackboneSettings):
    """The network, as `model.Hourglass` takes it; the paper's has 8 stacks and 256 features, with `input.size` 256.

    Attributes:
        backbone: Name of the backbone; by default the paper's layers before the first hourglass.
        stacks: Number S of hourglasses in sequence.
        features: Channels C throughout.
        depth: Number of times that an hourglass halves its resolution.
        residuals: Residual modules at each place of an hourglass.
        visibility: Whether a head predicts which keypoints are visible and which occluded, from COCO's v = 2 and 1.
    """

    backbone: str = STEM
    stacks: Count = 1
    features: Annotated[int, Field(ge=4, multiple_of=4)] = 128
    depth: Count = 4
    residuals: Count = 1
    visibility: bool = False

    @property
    def backbone_options(self) -> Mapping[str, Any]:
        """The channels of the paper's own backbone; the normalization of others."""
        of_stem = {"features": self.features} if self.backbone in (STEM, WIDE_STEM) else {}
        return {**super().backbone_options, **of_stem}

    @property
    def multiple(self) -> int:
        """The side of a crop must be a multiple of this number of pixels."""
        return math.lcm(STRIDE * 2**self.depth, *self.facts.strides)


class Views(Augmentation):
    """Augmentation, with the rotation and the scale of section 3.4 by default."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 30.0
    scale: tuple[Positive, Positive] = (0.75, 1.25)
    shift: Share = 0.05


class Recipe(SharedRecipe):
    """A training run of an hourglass.

    Attributes:
        task: "crop": the square around the bounding box of one instance; "single_instance": the whole image, with one
            instance.
        input: Size of the crop.
        network: Backbone and hourglasses.
        loss: "squared" is the paper's; "cross_entropy" leaves the all-zero solution early in training.
        sigma: σ of the targets, in cells.
        smoothing: σ in cells of the Gaussian that smooths exported heatmaps of cross_entropy; 0 for none.
        refinement: Refinement of the highest cell, as `decoder.decode` takes it; written into the exported file.
        turns: Whether the exported model averages the heatmaps of each crop turned by 0, 90, 180 and 270 degrees, of
            three sizes.
    """

    method: Literal["hourglass"] = "hourglass"
    task: Literal["crop", "single_instance"] = "crop"
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    loss: Literal["squared", "cross_entropy"] = "cross_entropy"
    sigma: Positive = 1.0
    smoothing: Annotated[float, Field(ge=0)] = 1.0
    refinement: Refinement = "log-parabola"
    turns: bool = False
    augmentation: Views = Views()

    @property
    def backbone_lr_factor(self) -> float:
        """Learning rate of the backbone, relative to that of the rest of the network."""
        return self.network.backbone_lr_factor

    @property
    def normalization(self) -> str | None:
        """Normalization of images that the recipe sets; None for the backbone's own."""
        return self.network.normalization

    @model_validator(mode="after")
    def _heatmaps_halve(self) -> Recipe:
        if self.input.size % self.network.multiple:
            raise ValueError(
                f"input.size must be a multiple of {self.network.multiple} at network.depth {self.network.depth}, "
                f"got {self.input.size}"
            )
        return self
