"""VGG-19 as OpenPose uses it: its first ten layers, and two convolutions (Cao et al., TPAMI 2019, section 3.2).

Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, table 1, column E.
"""

from __future__ import annotations

from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.layers import Normalize

STAGES = (
    (64, 64),
    (128, 128),
    (256, 256, 256, 256),
    (512, 512),
    (256, 128),  # OpenPose's own: conv4_3_CPM and conv4_4_CPM
)
"""Widths of the 3×3 convolutions between two poolings; the last stage is not pooled."""


class VGG19(Backbone):
    """Feature maps of stride 4 (256 channels) and 8 (128 channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.normalize = Normalize()
        inputs = 3
        stages = []
        for number, widths in enumerate(STAGES):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if 0 < number < len(STAGES) - 1 else []
            for width in widths:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.strides = (4, 8)
        self.channels = (STAGES[2][-1], STAGES[4][-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of conv3_4 and of the last convolution."""
        x = self.normalize(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [maps[2], maps[4]]
