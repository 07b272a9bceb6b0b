"""The layers before the first hourglass: Newell, Yang, Deng, ECCV 2016, section 3.2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone

MPII_MEAN = (0.4404, 0.4440, 0.4327)
"""Mean RGB of MPII in [0, 1], which the ports of bearpaw and anibali subtract."""


class HourglassStem(Backbone):
    """A 7×7 convolution of stride 2, three residual modules, and a pooling after the first: one map of stride 4.

    Args:
        features: Channels of the feature map.
        widths: Channels after the convolution and after the first two residual modules. None: features/4, features/2,
            features/2, which is the paper's (64, 128, 128) at 256.
        channels: Channels of the image.
        mean: Subtracted from each channel of the image in [0, 1]; the paper subtracts nothing.
        wide: Whether the default of the third width is `features`, as in the ports of bearpaw and anibali.
    """

    mean: Tensor

    def __init__(
        self,
        features: int = 128,
        widths: tuple[int, int, int] | None = None,
        channels: int = 3,
        mean: Sequence[float] | float = 0.0,
        wide: bool = False,
    ) -> None:
        super().__init__()
        a, b, c = widths or (features // 4, features // 2, features if wide else features // 2)
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.stages = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(channels, a, 7, stride=2, padding=3), nn.BatchNorm2d(a), nn.ReLU(inplace=True)),
                nn.Sequential(Residual(a, b), nn.MaxPool2d(2)),
                Residual(b, c),
                Residual(c, features),
            ]
        )
        self.strides = (4,)
        self.channels = (features,)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the one feature map (B, features, H/4, W/4)."""
        x = image / 255 - self.mean
        for stage in self.stages:
            x = stage(x)
        return [x]


class Residual(nn.Module):
    """The residual module of figure 4 left, with pre-activation: (B, inputs, h, w) -> (B, outputs, h, w).

    Three times batch normalization, ReLU and a convolution, beside a skip connection.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(half), nn.BatchNorm2d(half)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(inputs, half, 1), nn.Conv2d(half, half, 3, padding=1), nn.Conv2d(half, outputs, 1)]
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.relu(norm(y), inplace=True))  # half, half, outputs
        skip: Tensor = self.skip(x)
        return y + skip
