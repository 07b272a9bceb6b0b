"""The feature proposal network (section 3.2, figure 3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

MIN_SIGMA = 1e-4
"""Lower bound of uncertainties, in multiples of the spacing."""


class Shared(nn.Sequential):
    """Layers that all points share: linear, batch norm, ReLU.

    Args:
        widths: Numbers of channels, from the input on.
        plain_last: Whether the last layer is linear alone.
    """

    def __init__(self, *widths: int, plain_last: bool = False) -> None:
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(inputs, outputs))
            nn.init.kaiming_normal_(layers[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-1].bias)  # type: ignore[arg-type]
            if not plain_last or i < len(widths) - 2:
                layers += [Norm(outputs), nn.ReLU()]
        super().__init__(*layers)


class Norm(nn.BatchNorm1d):
    """Batch norm of the last axis, over all others."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        out: Tensor = super().forward(x.flatten(0, -2))
        return out.reshape(x.shape)


class Pooled(nn.Module):
    """Two PointNets: the second one takes each item beside the maximum over all items of the first one.

    Args:
        before: Widths of the first one.
        after: Widths of the second one, without its input.
        plain_last: Whether the last layer of each is linear alone.
    """

    def __init__(self, before: tuple[int, ...], after: tuple[int, ...], plain_last: bool = False) -> None:
        super().__init__()
        self.before = Shared(*before, plain_last=plain_last)
        self.after = Shared(2 * before[-1], *after, plain_last=plain_last)

    def forward(self, x: Tensor) -> Tensor:
        """(..., P, C) -> (..., C')."""
        each = self.before(x)
        whole = each.amax(dim=-2, keepdim=True).expand_as(each)
        pooled: Tensor = self.after(torch.cat([each, whole], dim=-1)).amax(dim=-2)
        return pooled


class Usip(nn.Module):
    """Nodes and their points -> an offset and an uncertainty for each node.

    Args:
        channels: Channels of a point: 3, or 6 with normals.
        place: Channels of a neighbor's place: 3, or 9 with its frame.
        width: Width of node features (C1); those over neighbors have `fusion` (C2).
        fusion: Width of the features over neighboring nodes.
        head: Widths of the hidden layers of the last MLP.
    """

    def __init__(
        self,
        channels: int = 3,
        place: int = 3,
        width: int = 128,
        fusion: int = 512,
        head: tuple[int, ...] = (512, 256),
    ) -> None:
        super().__init__()
        half = width // 2
        self.points = Pooled((channels, half, half, half), (width, width), plain_last=True)
        self.nodes = Pooled((place + width, *3 * (fusion // 2,)), (fusion, fusion))
        self.head = Shared(width + fusion, *head, 4, plain_last=True)
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=1e-4)  # keypoints start at their nodes

    def forward(self, points: Tensor, relative: Tensor, neighbors: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts keypoints. Lengths are in multiples of the spacing of nodes.

        Args:
            points: (B, M, P, 3 or 6), relative to their nodes, in their frames; with normals.
            relative: (B, M, K, 3 or 9), neighboring nodes relative to the node; with their frames.
            neighbors: (B, M, K) int64, which nodes they are.

        Returns:
            Offsets (B, M, 3) of keypoints from their nodes, in their frames, and uncertainties sigma (B, M).
        """
        features = self.points(points)
        index = neighbors.flatten(1)[..., None].expand(-1, -1, features.shape[-1])
        near = features.gather(1, index).unflatten(1, (neighbors.shape[1], neighbors.shape[2]))
        around = self.nodes(torch.cat([relative, near], dim=-1))
        out = self.head(torch.cat([features, around], dim=-1))
        return out[..., :3], softplus(out[..., 3]) + MIN_SIGMA
