"""MobileNet v1 up to conv5_5, dilated to stride 8, as Lightweight OpenPose uses it.

Howard et al.: MobileNets, arXiv 1704.04861, table 1. Osokin: Real-time 2D Multi-Person Pose Estimation on CPU,
arXiv 1811.12004: the stride of conv4_2 is removed, and conv5_1 is dilated by 2 to keep the receptive field.
"""

from __future__ import annotations

from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone
from cairn.training.backbones.layers import conv_bn_relu, normalize

DEFAULT_NORMALIZATION = "centered"


class MobileNetV1(Backbone):
    """Feature maps of stride 4 (128 channels) and 8 (512 channels).

    Args:
        normalization: Normalization of images, a name in `layers.NORMALIZATIONS`.
    """

    def __init__(self, normalization: str = DEFAULT_NORMALIZATION) -> None:
        super().__init__()
        self.normalize = normalize(normalization, DEFAULT_NORMALIZATION)
        self.stages = nn.ModuleList(
            [
                nn.Sequential(conv_bn_relu(3, 32, 3, stride=2), separable(32, 64)),
                nn.Sequential(separable(64, 128, stride=2), separable(128, 128)),
                nn.Sequential(separable(128, 256, stride=2), separable(256, 256)),
                nn.Sequential(
                    separable(256, 512), separable(512, 512, dilation=2), *(separable(512, 512) for _ in range(4))
                ),
            ]
        )
        self.strides = (4, 8)
        self.channels = (128, 512)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the feature maps of conv3_1 and of conv5_5."""
        maps = self.stage_maps(self.normalize(image))
        return [maps[1], maps[3]]


def separable(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Returns a depthwise 3×3 and a pointwise convolution, each with batch normalization and ReLU."""
    depthwise = conv_bn_relu(inputs, inputs, 3, stride, groups=inputs, dilation=dilation)
    return nn.Sequential(*depthwise, *conv_bn_relu(inputs, outputs, 1))
