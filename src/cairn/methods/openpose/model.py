"""The networks of OpenPose: nn.Modules only. Cao et al., CVPR 2017 (section 2) and TPAMI 2019 (section 3).

    backbone     (B, 3, H, W)                    -> F (B, C, h, w), h = H / stride
    TPAMI     L^1 = φ(F), L^t = φ(F, L^(t-1))                t = 2..T_P    eq. 1
              S^1 = ρ(F, L^T_P), S^t = ρ(F, L^T_P, S^(t-1))  t = 2..T_C    eq. 2, 3
    CVPR      L^t, S^t = φ(F, L^(t-1), S^(t-1)), ρ(F, L^(t-1), S^(t-1))

All take RGB images from 0 to 255: the first layer subtracts the mean and divides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cairn.training.backbones.layers import Normalize, top_down


@dataclass(frozen=True)
class Stages:
    """What each stage predicts, first to last: heatmaps (B, K, h, w) and fields (B, 2L, h, w)."""

    heatmaps: tuple[Tensor, ...]
    pafs: tuple[Tensor, ...]


class OpenPose(nn.Module):
    """TPAMI order: T_P stages refine the fields, then T_C stages the confidence maps.

    Stages are modules; the first of each kind takes fewer channels than those after it. `build` functions
    below put the paper's network and the light one together.
    """

    def __init__(
        self, backbone: nn.Module, paf_stages: Sequence[nn.Module], heatmap_stages: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.paf_stages = nn.ModuleList(paf_stages)
        self.heatmap_stages = nn.ModuleList(heatmap_stages)

    def forward(self, image: Tensor) -> Stages:
        features = self.backbone(image)  # (B, C, h, w)
        pafs: list[Tensor] = []
        for stage in self.paf_stages:
            pafs.append(stage(torch.cat([features, *pafs[-1:]], dim=1)))  # (B, 2L, h, w)
        heatmaps: list[Tensor] = []
        for stage in self.heatmap_stages:
            heatmaps.append(stage(torch.cat([features, pafs[-1], *heatmaps[-1:]], dim=1)))  # (B, K, h, w)
        return Stages(tuple(heatmaps), tuple(pafs))


class TwoBranchOpenPose(nn.Module):
    """CVPR order: every stage predicts both, in two branches of the same form."""

    def __init__(self, backbone: nn.Module, paf_branches: Sequence[nn.Module], heatmap_branches: Sequence[nn.Module]):
        super().__init__()
        self.backbone = backbone
        self.paf_branches = nn.ModuleList(paf_branches)
        self.heatmap_branches = nn.ModuleList(heatmap_branches)

    def forward(self, image: Tensor) -> Stages:
        features = self.backbone(image)
        pafs: list[Tensor] = []
        heatmaps: list[Tensor] = []
        for paf_branch, heatmap_branch in zip(self.paf_branches, self.heatmap_branches, strict=True):
            x = torch.cat([*pafs[-1:], *heatmaps[-1:], features], dim=1)
            pafs.append(paf_branch(x))
            heatmaps.append(heatmap_branch(x))
        return Stages(tuple(heatmaps), tuple(pafs))


# ---- the paper's networks


def paper_openpose(maps: int, fields: int, paf_stages: int = 4, heatmap_stages: int = 2) -> OpenPose:
    """TPAMI figure 3. maps = K or K + 1 channels, fields = 2L channels.

    Widths as released for BODY_25: the first stage of each kind has blocks of 96 and a 256-wide 1×1, the
    others 128 and 512.
    """
    c = VGGBackbone.features

    def dense(inputs: int, outputs: int, first: bool) -> DenseStage:
        return DenseStage(inputs, outputs, *((96, 256) if first else (128, 512)))

    return OpenPose(
        VGGBackbone(),
        [dense(c if t == 0 else c + fields, fields, t == 0) for t in range(paf_stages)],
        [dense(c + fields + (0 if t == 0 else maps), maps, t == 0) for t in range(heatmap_stages)],
    )


def cvpr_openpose(maps: int, fields: int, stages: int = 6) -> TwoBranchOpenPose:
    """CVPR 2017 figure 3: a first stage of 3×3 convolutions, the others of 7×7."""
    c = VGGBackbone.features

    def branch(outputs: int, t: int) -> nn.Module:
        return first_branch(c, outputs) if t == 0 else refining_branch(c + fields + maps, outputs)

    return TwoBranchOpenPose(
        VGGBackbone(), [branch(fields, t) for t in range(stages)], [branch(maps, t) for t in range(stages)]
    )


class VGGBackbone(nn.Module):
    """The first ten layers of VGG-19 and two 3×3 convolutions (256, 128). (B, 3, H, W) -> (B, 128, H/8, W/8)."""

    stride = 8
    features = 128

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [Normalize()]
        inputs = 3
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 256, self.features):
            if width == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = width
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class DenseStage(nn.Module):
    """Five blocks of three 3×3 convolutions whose outputs are concatenated, then two 1×1 (TPAMI section 3.1)."""

    def __init__(self, inputs: int, outputs: int, width: int, hidden: int, blocks: int = 5) -> None:
        super().__init__()
        widths = [inputs] + [3 * width] * (blocks - 1)
        self.blocks = nn.Sequential(*[DenseBlock(channels, width) for channels in widths])
        self.head = nn.Sequential(nn.Conv2d(3 * width, hidden, 1), nn.PReLU(hidden), nn.Conv2d(hidden, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x))


class DenseBlock(nn.Module):
    """What replaces a 7×7: three chained 3×3 with PReLU, concatenated. (B, C, h, w) -> (B, 3·width, h, w)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.PReLU(width))
            for channels in (inputs, width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for convolution in self.convolutions:
            x = convolution(x)
            outputs.append(x)
        return torch.cat(outputs, dim=1)


def first_branch(inputs: int, outputs: int, width: int = 128, hidden: int = 512) -> nn.Sequential:
    """Stage 1 of CVPR 2017: three 3×3 convolutions and two 1×1."""
    return _chain([inputs, width, width, width, hidden, outputs], [3, 3, 3, 1, 1])


def refining_branch(inputs: int, outputs: int, width: int = 128) -> nn.Sequential:
    """Stages 2 and later of CVPR 2017: five 7×7 convolutions and two 1×1."""
    return _chain([inputs, *[width] * 6, outputs], [7, 7, 7, 7, 7, 1, 1])


def _chain(widths: Sequence[int], kernels: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel in zip(widths[:-1], widths[1:], kernels, strict=True):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])  # the last convolution predicts: no ReLU


# ---- the light network, for CPUs


def light_openpose(
    maps: int,
    fields: int,
    widths: Sequence[int] = (32, 64, 128, 192),
    depths: Sequence[int] = (1, 2, 2),
    features: int = 64,
    depthwise: bool = False,
    paf_stages: int = 1,
    heatmap_stages: int = 1,
) -> OpenPose:
    """A small residual backbone with a top-down path, and stages of residual blocks in the TPAMI order.

    On a CPU a plain 3×3 convolution does several times more arithmetic a second than a depthwise one, so
    the plain block is the default; `depthwise=True` takes MobileNet-like blocks of 5×5, for where
    multiply-adds are what counts.
    """
    block = SeparableBlock if depthwise else ResidualBlock
    backbone = LightBackbone(widths, depths, features, block)
    return on_backbone(backbone, maps, fields, features, paf_stages, heatmap_stages, block)


def on_backbone(
    backbone: nn.Module,
    maps: int,
    fields: int,
    features: int,
    paf_stages: int,
    heatmap_stages: int,
    block: type[nn.Module],
) -> OpenPose:
    """Light stages, two residual blocks each, in the TPAMI order, on a backbone that gives `features` channels."""

    def stage(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            _conv_bn_relu(inputs, features, 1), block(features), block(features), nn.Conv2d(features, outputs, 1)
        )

    return OpenPose(
        backbone,
        [stage(features + (fields if t else 0), fields) for t in range(paf_stages)],
        [stage(features + fields + (maps if t else 0), maps) for t in range(heatmap_stages)],
    )


class LightBackbone(nn.Module):
    """(B, 3, H, W) -> (B, features, H/8, W/8). H and W must be multiples of 32.

    A 7×7 convolution of stride 4, levels of stride 8, 16 and 32, and a path back up that adds each level
    through a 1×1 convolution: strides 16 and 32 see the whole person for little arithmetic.
    """

    stride = 8

    def __init__(self, widths: Sequence[int], depths: Sequence[int], features: int, block: type[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Sequential(Normalize(), _conv_bn_relu(3, widths[0], 7, stride=4))
        self.levels = nn.ModuleList(
            nn.Sequential(_conv_bn_relu(inputs, width, 3, stride=2), *[block(width) for _ in range(depth)])
            for inputs, width, depth in zip(widths[:-1], widths[1:], depths, strict=True)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, features, 1) for width in widths[1:])

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)  # (B, widths[0], H/4, W/4)
        levels = []
        for level, lateral in zip(self.levels, self.laterals, strict=True):
            x = level(x)
            levels.append(lateral(x))
        return top_down(levels)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_conv_bn_relu(width, width, 3), _conv_bn(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


class SeparableBlock(nn.Module):
    """Two depthwise-separable 5×5 convolutions and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _conv_bn_relu(width, width, 5, groups=width),
            _conv_bn_relu(width, width, 1),
            _conv_bn_relu(width, width, 5, groups=width),
            _conv_bn(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def _conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(*_conv_bn(inputs, outputs, kernel, stride, groups), nn.ReLU(inplace=True))
