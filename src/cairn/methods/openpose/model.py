"""The networks of OpenPose: nn.Modules only. Cao et al., CVPR 2017 (section 2) and TPAMI 2019 (section 3).

| part | computation | stages |
|---|---|---|
| backbone and neck | (B, 3, H, W) -> F (B, C, h, w), h = H / 8 | |
| TPAMI, eq. 1 | L^1 = φ(F), L^t = φ(F, L^(t-1)) | t = 2..T_P |
| TPAMI, eq. 2 and 3 | S^1 = ρ(F, L^T_P), S^t = ρ(F, L^T_P, S^(t-1)) | t = 2..T_C |
| CVPR | L^t, S^t = φ(F, L^(t-1), S^(t-1)), ρ(F, L^(t-1), S^(t-1)) | t = 2..T |

L are part affinity fields (PAFs), S confidence maps (heatmaps). Images are RGB from 0 to 255; the backbone normalizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from cairn.training.backbones.backbone import Backbone, Neck
from cairn.training.backbones.layers import conv_bn_relu
from cairn.training.backbones.light import LightBackbone, block_type
from cairn.training.backbones.vgg import HAND_TAIL, VGG19

STRIDE: Final = 8
"""Pixels of the image per cell of the heatmaps and PAFs, in both papers."""

PAPER_FEATURES, LIGHT_FEATURES = 128, 64
"""Channels C of F: in both papers, and by default in the light network."""


@dataclass(frozen=True)
class Stages:
    """The prediction of each stage, first to last.

    Attributes:
        heatmaps: (B, K, h, w) each.
        pafs: (B, 2L, h, w) each; none of a crop of one instance.
        classes: Class maps (B, C, h, w); None for a network of one class.
        visibility: Logits (B, K, h, w); None for a network that does not predict it.
    """

    heatmaps: tuple[Tensor, ...]
    pafs: tuple[Tensor, ...]
    classes: Tensor | None = None
    visibility: Tensor | None = None


class OpenPose(nn.Module):
    """TPAMI's order: T_P stages refine the PAFs, then T_C stages refine the heatmaps.

    Args:
        backbone: The backbone.
        neck: Joins the backbone's feature maps to F.
        paf_stages: The first takes F; the others take F and the previous PAFs.
        heatmap_stages: The first takes F and the last PAFs; the others also take the previous heatmaps.

    Attributes:
        class_head: Predicts class maps from F and the last PAFs; None for one class.
        visibility_head: Predicts the visibility of keypoints likewise; None for a network that does not.
    """

    def __init__(
        self, backbone: Backbone, neck: Neck, paf_stages: Sequence[nn.Module], heatmap_stages: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.paf_stages = nn.ModuleList(paf_stages)
        self.heatmap_stages = nn.ModuleList(heatmap_stages)
        self.class_head: nn.Module | None = None
        self.visibility_head: nn.Module | None = None

    def forward(self, image: Tensor) -> Stages:
        """(B, 3, H, W) -> the predictions of all stages."""
        features = self.neck(self.backbone(image))  # (B, C, h, w)
        pafs: list[Tensor] = []
        for stage in self.paf_stages:
            pafs.append(stage(torch.cat([features, *pafs[-1:]], dim=1)))  # (B, 2L, h, w)
        heatmaps: list[Tensor] = []
        for stage in self.heatmap_stages:
            heatmaps.append(stage(torch.cat([features, pafs[-1], *heatmaps[-1:]], dim=1)))  # (B, K, h, w)
        heads = (head_maps(head, features, pafs[-1]) for head in (self.class_head, self.visibility_head))
        return Stages(tuple(heatmaps), tuple(pafs), *heads)


class TwoBranchOpenPose(nn.Module):
    """CVPR's order: every stage predicts both, in two branches of the same form.

    Args:
        backbone: The backbone.
        neck: Joins the backbone's feature maps to F.
        paf_branches: The first takes F; the others take the previous PAFs, the previous heatmaps and F.
        heatmap_branches: Inputs as for `paf_branches`; one for each of them.

    Attributes:
        class_head: Predicts class maps from F and the last PAFs; None for one class.
        visibility_head: Predicts the visibility of keypoints likewise; None for a network that does not.
    """

    def __init__(
        self, backbone: Backbone, neck: Neck, paf_branches: Sequence[nn.Module], heatmap_branches: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.paf_branches = nn.ModuleList(paf_branches)
        self.heatmap_branches = nn.ModuleList(heatmap_branches)
        self.class_head: nn.Module | None = None
        self.visibility_head: nn.Module | None = None

    def forward(self, image: Tensor) -> Stages:
        """(B, 3, H, W) -> the predictions of all stages."""
        features = self.neck(self.backbone(image))
        pafs: list[Tensor] = []
        heatmaps: list[Tensor] = []
        for paf_branch, heatmap_branch in zip(self.paf_branches, self.heatmap_branches, strict=True):
            x = torch.cat([*pafs[-1:], *heatmaps[-1:], features], dim=1)
            pafs.append(paf_branch(x))
            heatmaps.append(heatmap_branch(x))
        heads = (head_maps(head, features, pafs[-1]) for head in (self.class_head, self.visibility_head))
        return Stages(tuple(heatmaps), tuple(pafs), *heads)


# ---- the papers' networks


def paper_openpose(
    maps: int,
    fields: int,
    paf_stages: int = 4,
    heatmap_stages: int = 2,
    backbone: Backbone | None = None,
    features: int = PAPER_FEATURES,
) -> OpenPose:
    """Returns the network of TPAMI's figure 3, with the widths of the released BODY_25 model.

    The first stage of each kind has blocks of 96 channels and a 1×1 convolution of 256, the others 128 and 512.

    Args:
        maps: Channels of the heatmaps: K, or K + 1 with background.
        fields: Channels of the PAFs: 2L.
        paf_stages: Number of stages for PAFs, T_P.
        heatmap_stages: Number of stages for heatmaps, T_C.
        backbone: VGG-19 by default.
        features: Channels C of F.
    """
    backbone = backbone or VGG19()
    c = features

    def dense(inputs: int, outputs: int, first: bool) -> DenseStage:
        return DenseStage(inputs, outputs, *((96, 256) if first else (128, 512)))

    return OpenPose(
        backbone,
        Neck(backbone, features, STRIDE),
        [dense(c if t == 0 else c + fields, fields, t == 0) for t in range(paf_stages)],
        [dense(c + fields + (0 if t == 0 else maps), maps, t == 0) for t in range(heatmap_stages)],
    )


def cvpr_openpose(
    maps: int, fields: int, stages: int = 6, backbone: Backbone | None = None, features: int = PAPER_FEATURES
) -> TwoBranchOpenPose:
    """Returns the network of CVPR's figure 3: a first stage of 3×3 convolutions, the others of 7×7.

    Args:
        maps: Channels of the heatmaps: K, or K + 1 with background.
        fields: Channels of the PAFs: 2L.
        stages: Number of stages.
        backbone: VGG-19 by default.
        features: Channels C of F.
    """
    backbone = backbone or VGG19()
    c = features

    def branch(outputs: int, t: int) -> nn.Module:
        return first_branch(c, outputs) if t == 0 else refining_branch(c + fields + maps, outputs)

    return TwoBranchOpenPose(
        backbone,
        Neck(backbone, features, STRIDE),
        [branch(fields, t) for t in range(stages)],
        [branch(maps, t) for t in range(stages)],
    )


class DenseStage(nn.Module):
    """TPAMI section 3.1: five blocks of three 3×3 convolutions, and two 1×1 convolutions."""

    def __init__(self, inputs: int, outputs: int, width: int, hidden: int, blocks: int = 5) -> None:
        super().__init__()
        widths = [inputs] + [3 * width] * (blocks - 1)
        self.blocks = nn.Sequential(*[DenseBlock(channels, width) for channels in widths])
        self.head = nn.Sequential(nn.Conv2d(3 * width, hidden, 1), nn.PReLU(hidden), nn.Conv2d(hidden, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        prediction: Tensor = self.head(self.blocks(x))
        return prediction


class DenseBlock(nn.Module):
    """Replaces a 7×7 convolution: three 3×3 in a chain, with PReLU, their outputs concatenated."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.PReLU(width))
            for channels in (inputs, width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, 3·width, h, w)."""
        outputs = []
        for convolution in self.convolutions:
            x = convolution(x)
            outputs.append(x)
        return torch.cat(outputs, dim=1)


def first_branch(inputs: int, outputs: int, width: int = 128, hidden: int = 512) -> nn.Sequential:
    """Returns a branch of CVPR's stage 1: three 3×3 convolutions and two 1×1."""
    return _chain([inputs, width, width, width, hidden, outputs], [3, 3, 3, 1, 1])


def refining_branch(inputs: int, outputs: int, width: int = 128) -> nn.Sequential:
    """Returns a branch of CVPR's stages 2 and later: five 7×7 convolutions and two 1×1."""
    return _chain([inputs, *[width] * 6, outputs], [7, 7, 7, 7, 7, 1, 1])


def _chain(widths: Sequence[int], kernels: Sequence[int]) -> nn.Sequential:
    """Convolutions with ReLU between them; none after the last, which predicts."""
    layers: list[nn.Module] = []
    for inputs, outputs, kernel in zip(widths[:-1], widths[1:], kernels, strict=True):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


# ---- hands and faces


class HandNetwork(nn.Module):
    """Simon et al., CVPR 2017: heatmaps of the one instance in a crop, in stages like those of a CVPR branch.

    Args:
        backbone: The backbone.
        neck: Joins the backbone's feature maps to F.
        heatmap_stages: The first takes F; the others take the previous heatmaps and F.
    """

    def __init__(self, backbone: Backbone, neck: Neck, heatmap_stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.heatmap_stages = nn.ModuleList(heatmap_stages)

    def forward(self, image: Tensor) -> Stages:
        """(B, 3, H, W) -> the predictions of all stages, without PAFs."""
        features = self.neck(self.backbone(image))
        heatmaps: list[Tensor] = []
        for stage in self.heatmap_stages:
            heatmaps.append(stage(torch.cat([*heatmaps[-1:], features], dim=1)))
        return Stages(tuple(heatmaps), ())


def hand_network(
    maps: int, stages: int = 6, backbone: Backbone | None = None, features: int = PAPER_FEATURES
) -> HandNetwork:
    """Returns the network of the released hand and face models: two 1×1 convolutions, then stages of 7×7.

    Args:
        maps: Channels of the heatmaps: K, or K + 1 with background.
        stages: Number of stages.
        backbone: VGG-19 with the released layers by default.
        features: Channels C of F.
    """
    backbone = backbone or VGG19(HAND_TAIL)
    first = _chain([features, 512, maps], [1, 1])
    others = [refining_branch(maps + features, maps) for _ in range(stages - 1)]
    return HandNetwork(backbone, Neck(backbone, features, STRIDE), [first, *others])


# ---- the light network, for CPUs


def light_openpose(
    maps: int,
    fields: int,
    paf_stages: int = 1,
    heatmap_stages: int = 1,
    backbone: Backbone | None = None,
    features: int = LIGHT_FEATURES,
    depthwise: bool = False,
    stride: int = STRIDE,
) -> OpenPose:
    """Returns a network of light stages, two residual blocks each, in TPAMI's order.

    Args:
        maps: Channels of the heatmaps: K, or K + 1 with background.
        fields: Channels of the PAFs: 2L.
        paf_stages: Number of stages for PAFs.
        heatmap_stages: Number of stages for heatmaps.
        backbone: The light one by default.
        features: Channels C of F and of the stages.
        depthwise: Whether the stages' blocks are depthwise-separable.
        stride: Pixels per cell.
    """
    backbone = backbone or LightBackbone(depthwise=depthwise)

    def stage(inputs: int, outputs: int) -> nn.Sequential:
        return light_stage(inputs, outputs, features, depthwise)

    return OpenPose(
        backbone,
        Neck(backbone, features, stride),
        [stage(features + (fields if t else 0), fields) for t in range(paf_stages)],
        [stage(features + fields + (maps if t else 0), maps) for t in range(heatmap_stages)],
    )


def light_stage(inputs: int, outputs: int, features: int, depthwise: bool = False) -> nn.Sequential:
    """Returns a stage of two residual blocks; the class head of every network is one, too."""
    block = block_type(depthwise)
    return nn.Sequential(
        conv_bn_relu(inputs, features, 1), block(features), block(features), nn.Conv2d(features, outputs, 1)
    )


def head_maps(head: nn.Module | None, features: Tensor, pafs: Tensor) -> Tensor | None:
    """Returns the maps of a head for classes or visibility, of F and the last PAFs; None without such a head."""
    return None if head is None else head(torch.cat([features, pafs], dim=1))
