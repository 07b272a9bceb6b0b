"""EfficientNet-Lite as a backbone, as OpenPose took VGG-19: features that were learned on ImageNet are a start.

Tan and Le: EfficientNet, ICML 2019, table 1 and eq. 3; its Lite form has no squeeze-and-excitation, ReLU6, and a stem
of fixed width. Sizes and padding are those of the released networks, so that their weights compute here what they
computed there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from cairn.errors import ModelError
from cairn.training.backbones.depthwise import DepthwiseConv2d, same_padding
from cairn.training.backbones.layers import Normalize, top_down

MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)  # of the release

STAGES = (  # blocks, outputs, kernel, stride, expansion: table 1, without the last stage, whose 320 channels see most
    (1, 16, 3, 1, 1),
    (2, 24, 3, 2, 6),
    (2, 40, 5, 2, 6),
    (3, 80, 3, 2, 6),
    (3, 112, 5, 1, 6),
    (4, 192, 5, 2, 6),
)
STEM = 32

SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
"""Of Lite0, Lite1 and Lite2: how much wider and deeper than table 1."""

LEVELS = {4: 2, 8: 3, 16: 5, 32: 6}
"""Stride -> the last stage, the stem being 0, that has it."""


class EfficientNetBackbone(nn.Module):
    """(B, 3, H, W) -> (B, features, H/stride, W/stride). H and W must be multiples of 32.

    lite    0, 1 or 2: Lite0 and so on
    frozen  how many stages, the stem being the first, keep the weights and statistics that they have
    stride  4 or 8: levels from there to stride 32 are joined by a path back up
    rate    learning rate that its stages want, over that of the rest of a network
    """

    def __init__(self, features: int, lite: int = 0, frozen: int = 0, stride: int = 8, rate: float = 1.0) -> None:
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
        self.levels = [stage for s, stage in LEVELS.items() if s >= stride]
        self.laterals = nn.ModuleList(nn.Conv2d(widths[level], features, 1) for level in self.levels)
        self.stride = stride
        self.frozen = frozen
        self.rate = rate
        for stage in self.stages[:frozen]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetBackbone:
        super().train(mode)
        for stage in self.stages[: self.frozen]:
            stage.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        x = self.normalize(image)
        levels = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in self.levels:
                levels.append(self.laterals[self.levels.index(number)](x))
        return top_down(levels)

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the released classifier's weights: its layers stand in the file in the order of these.

        Raises ModelError where they are those of another network.
        """
        state = self.stages.state_dict()
        given = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
        names = [name for name in state if not name.endswith("num_batches_tracked")]
        for name, (theirs, value) in zip(names, given.items(), strict=False):
            if value.shape != state[name].shape or name.rsplit(".")[-1] != theirs.rsplit(".")[-1]:
                raise ModelError(f"no weights of EfficientNet-Lite{self.lite}: {theirs} stands in the place of {name}")
            state[name] = value
        if len(given) < len(names):
            raise ModelError(
                f"no weights of EfficientNet-Lite{self.lite}: {len(given)} of at least {len(names)} tensors"
            )
        self.stages.load_state_dict(state)


def stages_of(lite: int) -> tuple[tuple[int, int, int, int, int], ...]:
    """STAGES, wider and deeper. The first stage is never deeper, and widths are multiples of 8."""
    wider, deeper = SCALES[lite]
    return tuple(
        (blocks if i == 0 else math.ceil(deeper * blocks), _rounded(wider * outputs), kernel, stride, expansion)
        for i, (blocks, outputs, kernel, stride, expansion) in enumerate(STAGES)
    )


def lite_of(weights: Mapping[str, Tensor], backbone: str) -> int | None:
    """Which of the Lite networks the weights under the name `backbone` are of; None where they are of none."""
    last = f"{backbone}.stages.{len(STAGES)}"
    blocks = [name for i in range(len(weights)) if (name := f"{last}.{i}.layers.2.0.weight") in weights]
    size = (len(blocks), len(weights[blocks[0]])) if blocks else None
    return next((lite for lite in range(len(SCALES)) if stages_of(lite)[-1][:2] == size), None)


class InvertedResidual(nn.Module):
    """1×1 to `expansion` times the width, a depthwise convolution, 1×1 back, and a skip where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        depthwise = nn.Sequential(DepthwiseConv2d(width, kernel, stride), _norm(width), nn.ReLU6(inplace=True))
        self.layers = nn.Sequential(
            *([_conv_bn(inputs, width, 1)] if expansion > 1 else []),
            depthwise,
            nn.Sequential(nn.Conv2d(width, outputs, 1, bias=False), _norm(outputs)),
        )
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.skip else y


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME" is."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, same_padding(self.kernel_size[0], self.stride[0])))


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = (SameConv2d if kernel > 1 else nn.Conv2d)(inputs, outputs, kernel, stride, bias=False)
    return nn.Sequential(convolution, _norm(outputs), nn.ReLU6(inplace=True))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)  # of the release


def _rounded(width: float) -> int:
    """To the nearest multiple of 8 that is not a tenth smaller, as the release rounds."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest
