"""VGG-19 as OpenPose uses it: its first ten layers, and more convolutions (Cao et al., TPAMI 2019, section 3.2).

Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, table 1, column E.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.layers import normalize

STAGES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512))
"""Widths of the 3×3 convolutions of VGG-19 between two poolings; the last pooling of OpenPose is before the fourth."""

BODY_TAIL = (256, 128)
"""OpenPose's own convolutions after those: conv4_3_CPM and conv4_4_CPM."""

HAND_TAIL = (512, 512, 512, 512, 128)
"""The same for hands and faces: conv4_3, conv4_4, conv5_1, conv5_2, conv5_3_CPM, without a pooling between them."""

DEFAULT_NORMALIZATION = "imagenet"


class VGG19(Backbone):
    """Feature maps of stride 4 (256 channels) and 8 (as many channels as the last convolution).

    Args:
        tail: Widths of the convolutions after conv4_2.
        normalization: Normalization of images, a name in `layers.NORMALIZATIONS`.
        prelu: Whether the activation from conv4_2 on is PReLU, as in BODY_25.
    """

    def __init__(
        self, tail: Sequence[int] = BODY_TAIL, normalization: str = DEFAULT_NORMALIZATION, prelu: bool = False
    ) -> None:
        super().__init__()
        self.normalize = normalize(normalization, DEFAULT_NORMALIZATION)
        inputs, number = 3, 0
        stages = []
        for index, widths in enumerate((*STAGES, tail)):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if 0 < index < len(STAGES) else []
            for width in widths:
                number += 1
                after = nn.PReLU(width) if prelu and number > 9 else nn.ReLU(inplace=True)
                layers += [nn.Conv2d(inputs, width, 3, padding=1), after]
                inputs = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.strides = (4, 8)
        self.channels = (STAGES[2][-1], tail[-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of conv3_4 and of the last convolution."""
        maps = self.stage_maps(self.normalize(image))
        return [maps[2], maps[4]]
