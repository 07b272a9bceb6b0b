"""EfficientNet-Lite, with weights pretrained on ImageNet, as a backbone.

Tan and Le: EfficientNet, ICML 2019, table 1 and equation 3. The Lite variant has no squeeze-and-excitation, ReLU6
activations, and a stem of fixed width. Sizes and padding are those of the released networks, so that their weights
give the same features here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.depthwise import DepthwiseConv2d, SameConv2d
from cairn.training.backbones.imagenet import imagenet_weights
from cairn.training.backbones.layers import ConvNorm, Normalize, rounded_width
from cairn.training.backbones.relu6 import ReLU6

MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)  # as released

STAGES = (  # blocks, outputs, kernel, stride, expansion: table 1, without the last stage of 320 channels
    (1, 16, 3, 1, 1),
    (2, 24, 3, 2, 6),
    (2, 40, 5, 2, 6),
    (3, 80, 3, 2, 6),
    (3, 112, 5, 1, 6),
    (4, 192, 5, 2, 6),
)
STEM = 32

SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
"""Width and depth of Lite0, Lite1 and Lite2, relative to table 1 (equation 3)."""

LEVELS = {4: 2, 8: 3, 16: 5, 32: 6}
"""Stride -> the last stage of that stride; the stem is stage 0."""


class EfficientNetBackbone(Backbone):
    """EfficientNet-Lite without its last stage and its classifier: feature maps of strides 4, 8, 16 and 32.

    Args:
        lite: Which network: 0, 1 or 2 for Lite0, Lite1 or Lite2.
    """

    has_pretrained = True

    def __init__(self, lite: int = 0) -> None:
        super().__init__()
        self.lite = lite
        self.normalize = Normalize(MEAN, STD)
        stages: list[nn.Module] = [_conv_bn(3, STEM, 3, 2)]
        widths = [STEM]
        for blocks, outputs, kernel, first_stride, expansion in stages_of(lite):
            channels = [widths[-1], *[outputs] * blocks]
            strides = [first_stride] + [1] * (blocks - 1)
            stages.append(
                nn.Sequential(
                    *[
                        InvertedResidual(a, b, kernel, s, expansion)
                        for (a, b), s in zip(pairwise(channels), strides, strict=True)
                    ]
                )
            )
            widths.append(outputs)
        self.stages = nn.ModuleList(stages)
        self.strides = tuple(LEVELS)
        self.channels = tuple(widths[stage] for stage in LEVELS.values())

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of the last stage of each stride."""
        x = self.normalize(image)
        maps = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in LEVELS.values():
                maps.append(x)
        return maps

    def load_pretrained(self) -> None:
        """Replaces the weights of the stages by those of the released ImageNet classifier.

        Raises:
            MissingExtra: The package that contains them is not installed.
        """
        self.load_imagenet(imagenet_weights(self.lite))

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Replaces the weights of the stages by a classifier's, whose layers are in the same order.

        Args:
            weights: Weights of the classifier by name, in the order of its layers.

        Raises:
            ModelError: The weights are of another network.
        """
        state = self.stages.state_dict()
        given = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
        names = [name for name in state if not name.endswith("num_batches_tracked")]
        for name, (theirs, value) in zip(names, given.items(), strict=False):
            if value.shape != state[name].shape or name.rsplit(".")[-1] != theirs.rsplit(".")[-1]:
                raise ModelError(f"not the weights of EfficientNet-Lite{self.lite}: expected {name}, got {theirs}")
            state[name] = value
        if len(given) < len(names):
            raise ModelError(
                f"not the weights of EfficientNet-Lite{self.lite}: "
                f"expected at least {len(names)} tensors, got {len(given)}"
            )
        self.stages.load_state_dict(state)


def stages_of(lite: int) -> tuple[tuple[int, int, int, int, int], ...]:
    """Returns `STAGES`, scaled. The first stage keeps its depth; widths are multiples of 8."""
    wider, deeper = SCALES[lite]
    return tuple(
        (blocks if i == 0 else math.ceil(deeper * blocks), rounded_width(wider * outputs), kernel, stride, expansion)
        for i, (blocks, outputs, kernel, stride, expansion) in enumerate(STAGES)
    )


class InvertedResidual(nn.Module):
    """A 1×1 convolution to `expansion` times the width, a depthwise one, and a 1×1 one back.

    A skip connection is added where the shape stays the same.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        depthwise = ConvNorm(DepthwiseConv2d(width, kernel, stride), _norm(width), ReLU6())
        self.layers = nn.Sequential(
            *([_conv_bn(inputs, width, 1)] if expansion > 1 else []),
            depthwise,
            ConvNorm(nn.Conv2d(width, outputs, 1, bias=False), _norm(outputs)),
        )
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h/stride, w/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.skip else y


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> ConvNorm:
    convolution = (SameConv2d if kernel > 1 else nn.Conv2d)(inputs, outputs, kernel, stride, bias=False)
    return ConvNorm(convolution, _norm(outputs), ReLU6())


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)  # as released
