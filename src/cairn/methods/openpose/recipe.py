"""Everything that a training run of OpenPose is made of: values only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cairn.errors import ModelError
from cairn.inference.predictor import check_settings
from cairn.inference.resolution import DEFAULT_GAP, Resolution
from cairn.methods.openpose import decode
from cairn.training.recipe import BackboneLrFactor, Count, Frozen, Lite, Positive, Section
from cairn.training.recipe import Recipe as SharedRecipe

STRIDE = 8

STAGES = {"light": (1, 1), "efficientnet": (1, 1), "paper": (4, 2), "cvpr": (6, 6)}
"""Of fields and of confidence maps: ours, TPAMI's as released for BODY_25, CVPR's."""


class Input(Section):
    """size: side of the square crop to learn from; detect: longest side of the image to detect in, which is shown
    at several `scales` with a `gap` between them as in `cairn.inference.resolution.Resolution`.
    """

    size: Count = 256
    inference_size: Count = 384
    scales: Count = 1
    scale_gap: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_GAP


class NetworkSettings(Section):
    """kind: "light" for CPUs, "efficientnet" for light stages on EfficientNet-Lite, which can start from ImageNet,
    "paper" for TPAMI's, "cvpr" for CVPR's, each with its own number of stages.

    features                  of the light ones
    widths, depths, depthwise  of the light one
    lite                      of EfficientNet: 0, 1 or 2, the larger the better and the slower
    frozen                    of EfficientNet: how many of its stages, the stem being the first, keep their weights
    backbone_lr_factor                of EfficientNet: learning rate of its other stages, over that of the rest of the network
    """

    kind: Literal["light", "efficientnet", "paper", "cvpr"] = "light"
    widths: tuple[Count, ...] = (32, 64, 128, 192)
    depths: tuple[Count, ...] = (1, 2, 2)
    features: Count = 64
    depthwise: bool = False
    lite: Lite = 0
    frozen: Frozen = 0
    backbone_lr_factor: BackboneLrFactor = 1.0
    paf_stages: Count = 1
    heatmap_stages: Count = 1
    background: bool = False

    @model_validator(mode="before")
    @classmethod
    def _stages_of_the_kind(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("kind", "light") not in STAGES:
            return values
        pafs, heatmaps = STAGES[values.get("kind", "light")]
        if values.get("kind") == "cvpr":
            heatmaps = values.get("paf_stages", heatmaps)
        return {"paf_stages": pafs, "heatmap_stages": heatmaps, **values}

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkSettings:
        if len(self.widths) != len(self.depths) + 1 or not self.depths:
            raise ValueError("widths are one more than depths, the first that of the stem")
        if self.kind == "cvpr" and self.paf_stages != self.heatmap_stages:
            raise ValueError("the network of CVPR has as many heatmap_stages as paf_stages")
        if (self.frozen or self.lite or self.backbone_lr_factor < 1) and self.kind != "efficientnet":
            raise ValueError('lite, frozen and backbone_lr_factor are settings of kind = "efficientnet" alone')
        return self

    @property
    def multiple(self) -> int:
        """Pixels of which the sides of an image must be a multiple."""
        return max(32, 4 * 2 ** len(self.depths)) if self.kind == "light" else 32


class Targets(Section):
    """In cells: σ of exp(-d²/2σ²), and half the breadth of a limb, as the release has them (7 and 8 pixels)."""

    sigma: Positive = 0.875
    width: Positive = 1.0


class Loss(Section):
    """kind: "squared" is the paper's; "weighted" learns faster from scratch (see `weighted_loss`)."""

    kind: Literal["squared", "weighted"] = "weighted"
    foreground: Annotated[float, Field(ge=0)] = 4.0
    paf: Positive = 1.0


class Recipe(SharedRecipe):
    """Everything that a training run of OpenPose is made of."""

    method: Literal["openpose"] = "openpose"
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    targets: Targets = Targets()
    loss: Loss = Loss()
    decode: dict[str, float | int | bool | str] = Field(default_factory=dict)

    @field_validator("decode")
    @classmethod
    def _settings_of_decode(cls, values: dict[str, Any]) -> dict[str, Any]:
        try:
            check_settings("openpose", decode, values)
        except ModelError as error:
            raise ValueError(str(error)) from None
        return values

    @model_validator(mode="after")
    def _can_be_shown(self) -> Recipe:
        try:
            Resolution(self.input.inference_size, scales=self.input.scales, scale_gap=self.input.scale_gap).of_model(
                0, 1
            )
        except ModelError as error:
            raise ValueError(f"input: {error}") from None
        if self.input.size % self.network.multiple:
            raise ValueError(f"input.size must be a multiple of {self.network.multiple}, got {self.input.size}")
        return self
