"""The settings of a backbone in a recipe's `network` table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cairn.errors import RecipeError
from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.registry import NORMALIZED, BackboneFacts, build_backbone, describe_backbone
from cairn.training.recipe import Section


class BackboneSettings(Section):
    """Settings that the `network` table of every method with a backbone has.

    Attributes:
        backbone: Name of the backbone.
        frozen_stages: Number of its stages, counted from the stem, that keep their weights.
        pointwise: Whether the depthwise convolutions and normalizations of its other stages keep their weights, too: on
            a CPU, a step then takes little more than half of the time.
        backbone_lr_factor: Learning rate of its other stages, relative to that of the rest of the network.
        normalization: Normalization of images for "vgg19" and "mobilenet-v1": "imagenet" (torchvision's), "caffe"
            (mean subtraction of Caffe's VGG models) or "centered" (x / 256 - 0.5). None: that of the pretrained
            weights, or the backbone's own.
    """

    backbone: str
    frozen_stages: Annotated[int, Field(ge=0)] = 0
    pointwise: bool = False
    backbone_lr_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    normalization: Literal["imagenet", "caffe", "centered"] | None = None

    @field_validator("backbone")
    @classmethod
    def _exists(cls, value: str) -> str:
        try:
            describe_backbone(value)
        except RecipeError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _has_stages(self) -> BackboneSettings:
        if self.normalization and self.backbone not in NORMALIZED:
            raise ValueError(f"normalization applies to backbone {', '.join(NORMALIZED)} only, got {self.backbone!r}")
        if self.frozen_stages > self.facts.stages:
            raise ValueError(
                f"frozen_stages must be at most {self.facts.stages}, the number of stages of backbone {self.backbone}; "
                f"got {self.frozen_stages}"
            )
        return self

    @property
    def backbone_options(self) -> Mapping[str, Any]:
        """Options of the backbone's constructor, which the other settings of the table give."""
        return {"normalization": self.normalization} if self.normalization else {}

    @property
    def facts(self) -> BackboneFacts:
        """Properties of the backbone that do not depend on its weights."""
        return describe_backbone(self.backbone, **self.backbone_options)

    def build_backbone(self) -> Backbone:
        """Returns the backbone, with its first stages frozen and its learning rate set."""
        backbone = build_backbone(self.backbone, **self.backbone_options)
        backbone.freeze(self.frozen_stages, self.pointwise)
        backbone.lr_factor = self.backbone_lr_factor
        return backbone
