"""The networks of KeypointNet: keypoints with depth, and the orientation of the object (section 4).

| module | input | output |
|---|---|---|
| `OrientationNetwork` | (B, 3, H, W) RGB from 0 to 255 | (B, 2, 2) both ends of the dominant axis in the image |
| `KeypointNetwork` | the same, and (B,) the side | `Keypoints` |
| `KeypointGraph` | the same | (B, K, 3) in the frame of the camera, (B, K, 2), (B, K) confidence |
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cairn.methods.keypointnet.losses import unproject

CONFIDENCE_RADIUS = 0.1
"""Half image sides: the confidence of a keypoint is its probability within this radius."""


class Keypoints(NamedTuple):
    """What `KeypointNetwork` predicts.

    Attributes:
        uv: (B, K, 2) in [-1, 1] across the image, y down.
        depth: (B, K) in object units.
        probabilities: (B, K, h, w), each map of sum 1.
    """

    uv: Tensor
    depth: Tensor
    probabilities: Tensor


class OrientationNetwork(nn.Module):
    """Where both ends of the object's dominant axis are in the image.

    Args:
        features: Network of features.
        channels: Its number of channels.
    """

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = features
        self.last = nn.Conv2d(channels, 2, 3, padding=1)

    def scores(self, image: Tensor) -> Tensor:
        """Returns score maps (B, 2, h, w)."""
        maps: Tensor = self.last(self.features(image))
        return maps

    def ends(self, scores: Tensor) -> Tensor:
        """Returns the positions (B, 2, 2) of both ends of score maps; exact only in fp32."""
        probabilities = spatial_softmax(scores)
        return expected(probabilities, grid_of(probabilities))

    def forward(self, image: Tensor) -> Tensor:
        """Returns the positions (B, 2, 2) of the positive and the negative end, in [-1, 1]."""
        return self.ends(self.scores(image))


class KeypointNetwork(nn.Module):
    """K keypoints with depth.

    Args:
        features: Network of features, of four channels: RGB and the side that the object shows.
        channels: Its number of channels.
        keypoints: K.
        distance: Distance of the object from the camera in object units: the depth of an untrained network.
    """

    distance: Tensor

    def __init__(self, features: nn.Module, channels: int, keypoints: int, distance: float) -> None:
        super().__init__()
        self.features = features
        self.maps = nn.Conv2d(channels, keypoints, 3, padding=1)
        self.depths = nn.Conv2d(channels, keypoints, 3, padding=1)
        self.register_buffer("distance", torch.tensor(distance))

    def scores(self, image: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
        """Returns score maps (B, K, h, w) and depth maps (B, K, h, w); see `forward`."""
        plane = side[:, None, None, None].expand(-1, 1, *image.shape[2:])
        features = self.features(torch.cat([image, plane], dim=1))
        return self.maps(features), self.depths(features)

    def keypoints(self, scores: Tensor, depths: Tensor) -> Keypoints:
        """Returns the keypoints of score maps and depth maps; exact only in fp32."""
        probabilities = spatial_softmax(scores)
        depth = ((depths + self.distance) * probabilities).sum(dim=(2, 3))
        return Keypoints(expected(probabilities, grid_of(probabilities)), depth, probabilities)

    def forward(self, image: Tensor, side: Tensor) -> Keypoints:
        """Predicts keypoints.

        Args:
            image: (B, 3, H, W) RGB from 0 to 255.
            side: (B,) 1 where the positive end of the dominant axis is on the right, else 0.
        """
        return self.keypoints(*self.scores(image, side))


class KeypointGraph(nn.Module):
    """Both networks, as they are exported.

    Args:
        orientation: The orientation network; None: the side is always 0.
        keypoints: The keypoint network.
    """

    def __init__(self, orientation: OrientationNetwork | None, keypoints: KeypointNetwork) -> None:
        super().__init__()
        self.orientation = orientation
        self.keypoints = keypoints

    def side(self, image: Tensor) -> Tensor:
        """Returns (B,) 1 where the positive end of the dominant axis is predicted on the right, else 0."""
        if self.orientation is None:
            return image[:, 0, 0, 0] * 0  # zeros of the length of any batch, which an export of len() would fix
        ends = self.orientation(image)
        side: Tensor = (ends[:, 0, 0] > ends[:, 1, 0]).to(image.dtype)
        return side

    def forward(self, image: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predicts keypoints.

        Args:
            image: (B, 3, H, W) RGB from 0 to 255.
            intrinsics: (B, 4) fx, fy, cx, cy in half image sides.

        Returns:
            (B, K, 3) in object units in the frame of the camera; (B, K, 2) in [-1, 1] across the image; (B, K)
            confidence.
        """
        uv, depth, probabilities = self.keypoints(image, self.side(image))
        squared = ((uv[:, :, None, None] - grid_of(probabilities)) ** 2).sum(dim=-1)
        confidence = (probabilities * (squared <= CONFIDENCE_RADIUS**2)).sum(dim=(2, 3))
        return unproject(uv, depth, intrinsics), uv, confidence


def spatial_softmax(scores: Tensor) -> Tensor:
    """Returns maps (B, K, h, w) of sum 1."""
    maps: Tensor = scores.flatten(2).softmax(dim=-1).reshape(scores.shape)
    return maps


def grid_of(maps: Tensor) -> Tensor:
    """Returns the positions (h, w, 2) of the cells of maps (B, K, h, w), in [-1, 1] from edge to edge."""
    height, width = maps.shape[2:]
    rows, columns = (
        (2 * torch.arange(side, device=maps.device, dtype=maps.dtype) + 1) / side - 1 for side in (height, width)
    )
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def expected(probabilities: Tensor, grid: Tensor) -> Tensor:
    """Returns the mean positions (B, K, 2) of maps (B, K, h, w)."""
    return torch.einsum("bkhw,hwc->bkc", probabilities, grid)
