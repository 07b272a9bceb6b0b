"""The recipe of a training run of OpenPose: values only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cairn.errors import ModelError
from cairn.inference.predictor import check_settings
from cairn.inference.resolution import DEFAULT_GAP, Resolution
from cairn.methods.openpose import decode
from cairn.methods.openpose.model import LIGHT_FEATURES, PAPER_FEATURES, STRIDE
from cairn.training.backbones.settings import BackboneSettings
from cairn.training.recipe import Count, Positive, Section
from cairn.training.recipe import Recipe as SharedRecipe

KINDS: dict[str, dict[str, Any]] = {
    "light": {"backbone": "light", "features": LIGHT_FEATURES, "paf_stages": 1, "heatmap_stages": 1},
    "paper": {"backbone": "vgg19", "features": PAPER_FEATURES, "paf_stages": 4, "heatmap_stages": 2},
    "cvpr": {"backbone": "vgg19", "features": PAPER_FEATURES, "paf_stages": 6, "heatmap_stages": 6},
    "lightweight": {"backbone": "mobilenet-v1", "features": PAPER_FEATURES, "paf_stages": 2, "heatmap_stages": 2},
    "movenet": {"backbone": "movenet", "features": LIGHT_FEATURES, "stride": 4},
    "hand": {"backbone": "vgg19-hand", "features": PAPER_FEATURES, "paf_stages": 0, "heatmap_stages": 6},
}
"""Kind of network -> defaults of its other settings; of the papers' networks, the published values."""

TOGETHER = "cvpr", "lightweight"
"""Kinds whose stages predict PAFs and heatmaps together."""


class Input(Section):
    """The input of the network.

    Attributes:
        size: Side of the square training crop, in pixels.
        inference_size: Longest side of the image at inference, in pixels.
        scales: Number of test-time scales, as in `cairn.inference.resolution.Resolution`.
        scale_gap: Difference between two scales, likewise.
        person_height: Height of the bounding box at the center of a training crop, relative to the side of the crop,
            before augmentation.scale; as released 0.6. 0 scales training images as at inference: their longest side is
            `inference_size`.
        margin: Side of the crop, relative to the longer side of the bounding box; for network.kind "hand" only.
    """

    size: Count = 256
    inference_size: Count = 384
    scales: Count = 1
    scale_gap: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_GAP
    person_height: Annotated[float, Field(ge=0, le=1)] = 0.0
    margin: Positive = 1.25


class NetworkSettings(BackboneSettings):
    """The network.

    Attributes:
        kind: "light" (stages for CPUs), "paper" (TPAMI's stages), "cvpr" (CVPR's stages), "lightweight" (Lightweight
            OpenPose: an initial stage and refinement stages), "movenet" (MoveNet's backbone and heatmaps as published;
            only PAFs are trained) or "hand" (one instance per crop: hands, faces).
        backbone: Name of the backbone; by default "light" for light stages, "vgg19" for the papers', "mobilenet-v1"
            for "lightweight", "movenet" for "movenet", "vgg19-hand" for "hand".
        widths: Channels of the stages of backbone "light".
        depths: Residual blocks of the stages of backbone "light", without the stem.
        features: Channels C of F; by default 64 for light stages, 128 for the others.
        depthwise: Whether the blocks of light stages and of backbone "light" are depthwise-separable.
        stride: Pixels of the image per cell of the heatmaps and PAFs: 8 as published; 4 for light stages, and for
            "movenet" always.
        paf_stages: Number of stages for PAFs; by default as published.
        heatmap_stages: Number of stages for heatmaps; by default as published.
        background: Whether heatmaps have a background channel.
        visibility: Whether a head predicts which keypoints are visible and which occluded, from COCO's v = 2 and 1.
        prelu: Whether the last layers of backbone "vgg19" have PReLU, as in BODY_25.
    """

    kind: Literal["light", "paper", "cvpr", "lightweight", "movenet", "hand"] = "light"
    backbone: str = "light"
    widths: tuple[Count, ...] = (32, 64, 128, 192)
    depths: tuple[Count, ...] = (1, 2, 2)
    features: Count = LIGHT_FEATURES
    depthwise: bool = False
    stride: Literal[4, 8] = STRIDE
    paf_stages: Annotated[int, Field(ge=0)] = 1
    heatmap_stages: Count = 1
    background: bool = False
    visibility: bool = False
    prelu: bool = False

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_kind(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("kind", "light") not in KINDS:
            return values
        defaults = KINDS[values.get("kind", "light")]
        if values.get("kind") in TOGETHER:
            defaults = defaults | {"heatmap_stages": values.get("paf_stages", defaults["heatmap_stages"])}
        return {**defaults, **values}

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkSettings:
        if self.kind in TOGETHER and self.paf_stages != self.heatmap_stages:
            raise ValueError(f'kind = "{self.kind}" needs as many heatmap_stages as paf_stages')
        if (self.paf_stages == 0) != (self.kind == "hand"):
            raise ValueError(
                f'paf_stages is 0 for kind = "hand" only, and at least 1 for others; got {self.paf_stages}'
            )
        if self.visibility and self.kind == "hand":
            raise ValueError('visibility applies to the kinds of networks for whole images, not to kind = "hand"')
        if self.prelu and self.backbone != "vgg19":
            raise ValueError(f'prelu applies to backbone = "vgg19" only, got {self.backbone!r}')
        fields = type(self).model_fields
        changed = [name for name in ("widths", "depths") if getattr(self, name) != fields[name].default]
        if changed and self.backbone != "light":
            raise ValueError(f'{" and ".join(changed)} apply to backbone = "light" only, got {self.backbone!r}')
        if self.kind == "movenet":
            self._expect_published()
        elif self.kind != "light" and (self.depthwise or self.stride != STRIDE):
            name = "depthwise" if self.depthwise else "stride"
            raise ValueError(f'{name} applies to kind = "light" only, got {self.kind!r}')
        return self

    def _expect_published(self) -> None:
        """Raises ValueError where a setting would change the published part of the network."""
        fixed = {"backbone": "movenet", "stride": 4, "background": False, "visibility": False, "depthwise": False}
        fixed |= {"paf_stages": 1, "heatmap_stages": 1}
        for name, value in fixed.items():
            if (given := getattr(self, name)) != value:
                raise ValueError(f'kind = "movenet" has {name} = {value!r}, got {given!r}')

    @property
    def backbone_options(self) -> Mapping[str, Any]:
        """The widths, depths and blocks of backbone "light"; normalization and activation of others."""
        if self.backbone != "light":
            return {**super().backbone_options, **({"prelu": True} if self.prelu else {})}
        return {"widths": self.widths, "depths": self.depths, "depthwise": self.depthwise}

    @property
    def multiple(self) -> int:
        """The sides of an image must be multiples of this number of pixels; of 16 as in OpenPose's release."""
        return math.lcm(16, *self.facts.strides)


TARGETS = {8: {"sigma": 0.875, "width": 1.0}, 4: {"sigma": 1.5, "width": 2.0}}
"""Stride -> default sizes of the targets, in cells: at stride 8, 7 and 8 pixels as released; at 4, 6 and 8 pixels."""


class Targets(Section):
    """The targets, in cells. Their default sizes depend on `network.stride`.

    Attributes:
        sigma: σ of a heatmap's exp(-d²/2σ²); as released, 7 pixels.
        width: Half the width of a limb in PAFs; as released, 8 pixels.
    """

    sigma: Positive = 0.875
    width: Positive = 1.0


class Loss(Section):
    """The loss.

    Attributes:
        kind: "squared" is the papers'; "weighted" converges faster from scratch (see `training.weighted_loss`).
        foreground: Additional weight of cells at joints and limbs, for "weighted".
        paf: Weight of the loss of PAFs.
    """

    kind: Literal["squared", "weighted"] = "weighted"
    foreground: Annotated[float, Field(ge=0)] = 4.0
    paf: Positive = 1.0


class Recipe(SharedRecipe):
    """A training run of OpenPose.

    Attributes:
        input: Sizes of crops and images.
        network: Backbone and stages.
        targets: Sizes of the targets.
        loss: The loss.
        decode: Keyword arguments of `decoder.decode`, written into the exported file.
        refiner: Recipe of a model of one instance per crop, which is trained after this one on the same labels and
            refines its instances; empty for none.
    """

    method: Literal["openpose"] = "openpose"
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    targets: Targets = Targets()
    loss: Loss = Loss()
    decode: dict[str, float | int | bool | str] = Field(default_factory=dict)
    refiner: dict[str, Any] = Field(default_factory=dict)

    @property
    def backbone_lr_factor(self) -> float:
        """Learning rate of the backbone, relative to that of the rest of the network."""
        return self.network.backbone_lr_factor

    @property
    def normalization(self) -> str | None:
        """Normalization of images that the recipe sets; None for the backbone's own."""
        return self.network.normalization

    @model_validator(mode="before")
    @classmethod
    def _targets_of_the_stride(cls, values: Any) -> Any:
        network, targets = (
            (values.get(name, {}) for name in ("network", "targets")) if isinstance(values, Mapping) else ((), ())
        )
        if not isinstance(network, Mapping) or not isinstance(targets, Mapping):
            return values
        stride = network.get("stride", KINDS.get(network.get("kind", "light"), {}).get("stride"))
        return {**values, "targets": {**TARGETS[stride], **targets}} if stride in TARGETS else values

    @field_validator("decode")
    @classmethod
    def _settings_of_decode(cls, values: dict[str, Any]) -> dict[str, Any]:
        try:
            check_settings("openpose", decode, values)
        except ModelError as error:
            raise ValueError(str(error)) from None
        return values

    @model_validator(mode="after")
    def _sizes_fit(self) -> Recipe:
        if self.network.kind == "movenet" and not self.pretrained:
            raise ValueError('network.kind = "movenet" keeps published weights: set pretrained = "movenet"')
        if self.input.margin != Input().margin and self.network.kind != "hand":
            raise ValueError(f'input.margin applies to network.kind = "hand" only, got {self.network.kind!r}')
        if self.input.person_height and self.network.kind == "hand":
            raise ValueError('input.person_height applies to networks for whole images, not to network.kind = "hand"')
        try:
            Resolution(self.input.inference_size, scales=self.input.scales, scale_gap=self.input.scale_gap).of_model(
                0, 1
            )
        except ModelError as error:
            raise ValueError(f"input: {error}") from None
        if self.input.size % self.network.multiple:
            raise ValueError(f"input.size must be a multiple of {self.network.multiple}, got {self.input.size}")
        return self
