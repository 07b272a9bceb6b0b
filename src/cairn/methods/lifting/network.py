"""The network (section 3.2, figure 2), and what is exported around it: normalization of 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Frame = Literal["pose", "camera"]
"""Frame of the 2D input: "pose" centers and scales each pose by itself; "camera" takes normalized coordinates of a
calibrated camera as they are."""


class Block(nn.Module):
    """A residual block: two times linear, batch norm, ReLU, dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(layer for _ in range(2) for layer in _layers(width, width, dropout)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> (B, width)."""
        out: Tensor = x + self.layers(x)
        return out


class Lifting(nn.Module):
    """The network of the paper, on standardized values.

    Args:
        inputs: Numbers in.
        outputs: Numbers out.
        width: Width of the hidden layers.
        blocks: Number of residual blocks.
        dropout: Probability of dropout.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 1024, blocks: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Sequential(*_layers(inputs, width, dropout))
        self.blocks = nn.Sequential(*(Block(width, dropout) for _ in range(blocks)))
        self.last = nn.Linear(width, outputs)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        out: Tensor = self.last(self.blocks(self.first(x)))
        return out


def clip_norms(network: nn.Module, limit: float) -> None:
    """Scales the rows of linear layers to at most a norm, in place (max-norm constraint, section 3.2)."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.copy_(torch.renorm(module.weight, 2, 0, limit))


class LiftingGraph(nn.Module):
    """2D keypoints in any unit -> 3D keypoints in meters, relative to the root: normalization and network.

    Args:
        network: The network, on standardized values.
        frame: Frame of the 2D input.
        joints: K.
        limbs: Pairs of joints whose distance in the image is an input, too.
        mirror: Joint -> that of the other side, to average each pose with its mirror image; empty for none.
    """

    mean: Tensor
    deviation: Tensor
    mean3d: Tensor
    deviation3d: Tensor
    mean_lengths: Tensor
    deviation_lengths: Tensor

    def __init__(
        self,
        network: Lifting,
        frame: Frame,
        joints: int,
        limbs: Sequence[tuple[int, int]] = (),
        mirror: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.mirror = list(mirror)
        self.network = network
        self.frame = frame
        self.ends = tuple([limb[end] for limb in limbs] for end in (0, 1))
        for name, shape in (("", (joints, 2)), ("3d", (joints, 3)), ("_lengths", (len(limbs),))):
            self.register_buffer(f"mean{name}", torch.zeros(shape))
            self.register_buffer(f"deviation{name}", torch.ones(shape))

    def forward(self, keypoints: Tensor) -> tuple[Tensor]:
        """Lifts poses.

        Args:
            keypoints: (B, K, 3): x, y, with y down, and 1 where the keypoint is known, else 0.

        Returns:
            (B, K, 3) meters, in the frame of a camera (x right, y down, z forward), relative to the root.
        """
        lifted = self._lifted(keypoints)
        if self.mirror:
            lifted = (lifted + self._mirrored(self._lifted(self._mirrored(keypoints)))) / 2
        return (lifted,)

    def _lifted(self, keypoints: Tensor) -> Tensor:
        out = self.network(self.standardized(keypoints)).unflatten(1, (-1, 3))
        lifted: Tensor = out * self.deviation3d + self.mean3d
        return lifted

    def _mirrored(self, points: Tensor) -> Tensor:
        """Returns points (B, K, 3), whose first coordinate is x, in a mirror."""
        return points[:, self.mirror] * points.new_tensor([-1.0, 1.0, 1.0])

    def standardized(self, keypoints: Tensor) -> Tensor:
        """Returns the network's input (B, 3 K + L) of keypoints as `forward` takes them; what is unknown is 0."""
        known = keypoints[..., 2:]
        points = self.centered(keypoints)
        values = torch.cat([(points - self.mean) / self.deviation * known, known], dim=-1).flatten(1)
        if not self.ends[0]:
            return values
        both = known[:, self.ends[0], 0] * known[:, self.ends[1], 0]
        lengths = (self.lengths(points) - self.mean_lengths) / self.deviation_lengths
        return torch.cat([values, lengths * both], dim=1)

    def lengths(self, points: Tensor) -> Tensor:
        """Returns the lengths (B, L) of limbs between points (B, K, 2)."""
        return ((points[:, self.ends[0]] - points[:, self.ends[1]]) ** 2).sum(dim=-1).clamp_min(1e-12).sqrt()

    def centered(self, keypoints: Tensor) -> Tensor:
        """Returns keypoints (B, K, 2) in the frame of the network."""
        points, known = keypoints[..., :2], keypoints[..., 2:]
        if self.frame == "camera":
            return points * known
        count = known.sum(dim=1, keepdim=True).clamp_min(1)
        centered = (points - (points * known).sum(dim=1, keepdim=True) / count) * known
        size = ((centered**2).sum(dim=(1, 2), keepdim=True) / count).sqrt()
        return centered / size.clamp_min(1e-9)


def _layers(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]
