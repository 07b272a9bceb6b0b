"""EfficientNet-Lite0 as a trunk, as the papers took VGG-19: features that were learnt on ImageNet are a start.

Tan and Le: EfficientNet, ICML 2019, table 1; its Lite form has no squeeze-and-excitation, ReLU6, and a stem of fixed
width. Sizes and padding are those of the released network, so that its weights compute here what they computed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from cairn.errors import ModelError
from cairn.methods.openpose.model import Normalise, top_down
from cairn.training.depthwise import DepthwiseConv2d, same_padding

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

LEVELS = (3, 5, 6)
"""Stages, the stem being 0, after which the path back up is joined: strides 8, 16, 32."""


class EfficientNetTrunk(nn.Module):
    """(B, 3, H, W) -> (B, features, H/8, W/8). H and W must be multiples of 32.

    frozen  how many stages, the stem being the first, keep the weights and statistics that they have
    """

    stride = 8

    def __init__(self, features: int, frozen: int = 0) -> None:
        super().__init__()
        self.normalise = Normalise(MEAN, STD)
        stages: list[nn.Module] = [_conv_bn(3, STEM, 3, 2)]
        inputs = STEM
        for blocks, outputs, kernel, stride, expansion in STAGES:
            widths = [inputs, *[outputs] * blocks]
            strides = [stride] + [1] * (blocks - 1)
            stages.append(
                nn.Sequential(
                    *[
                        InvertedResidual(a, b, kernel, s, expansion)
                        for (a, b), s in zip(pairwise(widths), strides, strict=True)
                    ]
                )
            )
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(nn.Conv2d(STAGES[level - 1][1], features, 1) for level in LEVELS)
        self.frozen = frozen
        for stage in self.stages[:frozen]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetTrunk:
        super().train(mode)
        for stage in self.stages[: self.frozen]:
            stage.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        x = self.normalise(image)
        levels = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in LEVELS:
                levels.append(self.laterals[LEVELS.index(number)](x))
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
                raise ModelError(f"no weights of EfficientNet-Lite0: {theirs} stands in the place of {name}")
            state[name] = value
        if len(given) < len(names):
            raise ModelError(f"no weights of EfficientNet-Lite0: {len(given)} of at least {len(names)} tensors")
        self.stages.load_state_dict(state)


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
