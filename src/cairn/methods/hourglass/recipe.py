"""Everything that a training run of an hourglass is made of: values only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cairn.methods.hourglass.model import STRIDE
from cairn.ops.heatmaps import Refinement
from cairn.training.data.augmentation import Augmentation, Share
from cairn.training.recipe import BackboneLrFactor, Count, Frozen, Lite, Positive, Section
from cairn.training.recipe import Recipe as SharedRecipe


class Input(Section):
    """What the network is shown: a square of `size` pixels.

    margin  of a crop: its side over the longer side of the box
    """

    size: Count = 128
    margin: Positive = 1.25


class NetworkSettings(Section):
    """As `Hourglass` takes them. The paper's are stacks = 8, features = 256, with size = 256.

    backbone       what the hourglasses stand on: "paper" is the paper's few layers, "efficientnet" is EfficientNet-Lite,
                which can start from ImageNet
    lite        of EfficientNet: 0, 1 or 2, the larger the better and the slower
    frozen      of EfficientNet: how many of its stages, the stem being the first, keep their weights
    backbone_lr_factor  of EfficientNet: learning rate of its other stages, over that of the rest of the network
    """

    backbone: Literal["paper", "efficientnet"] = "paper"
    lite: Lite = 0
    frozen: Frozen = 0
    backbone_lr_factor: BackboneLrFactor = 1.0
    stacks: Count = 1
    features: Annotated[int, Field(ge=4, multiple_of=4)] = 128
    depth: Count = 4
    residuals: Count = 1

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkSettings:
        if (self.frozen or self.lite or self.backbone_lr_factor < 1) and self.backbone != "efficientnet":
            raise ValueError('lite, frozen and backbone_lr_factor are settings of backbone = "efficientnet" alone')
        return self

    @property
    def multiple(self) -> int:
        """Pixels of which the side of a crop must be a multiple."""
        return max(STRIDE * 2**self.depth, 32 if self.backbone == "efficientnet" else 1)


class Views(Augmentation):
    """The paper's: rotation and scale of section 3.4."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 30.0
    scale: tuple[Positive, Positive] = (0.75, 1.25)
    shift: Share = 0.05


class Recipe(SharedRecipe):
    """Everything that a training run of an hourglass is made of.

    task   "crop": the square around one instance's bounding box; "single_instance": the whole image, with one instance
    loss   "squared" is the paper's; "cross_entropy" leaves the all-zero solution at once
    sigma  of the targets, in cells
    """

    method: Literal["hourglass"] = "hourglass"
    task: Literal["crop", "single_instance"] = "crop"
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    loss: Literal["squared", "cross_entropy"] = "cross_entropy"
    sigma: Positive = 1.0
    refinement: Refinement = "log-parabola"
    augmentation: Views = Views()

    @model_validator(mode="after")
    def _fields_halve(self) -> Recipe:
        if self.input.size % self.network.multiple:
            raise ValueError(f"input.size must be a multiple of {self.network.multiple} at depth {self.network.depth}")
        return self
