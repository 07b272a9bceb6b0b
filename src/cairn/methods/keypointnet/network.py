"""The networks of KeypointNet: keypoints with depth, and the orientation of the object (section 4).

| module | input | output |
|---|---|---|
| `DilatedFeatures` | (B, C, h, w) | (B, F, h, w), of the paper |
| `BackboneFeatures` | (B, C, H, W) | (B, F, H / s, W / s), of any backbone |
| `OrientationNetwork` | (B, 3, H, W) RGB from 0 to 255 | (B, 2, 2) both ends of the dominant axis in the image |
| `KeypointNetwork` | the same, and (B,) the side | `Keypoints` |
| `KeypointGraph` | the same | (B, K, 3) in the frame of the camera, (B, K, 2), (B, K) confidence |
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cairn.methods.keypointnet.losses import unproject
from cairn.training.backbones.backbone import Backbone, Neck

DILATIONS = (1, 1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 1)
"""Dilations of the paper's twelve convolutions."""

SLOPE = 0.1
"""Slope of leaky ReLU."""

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


class DilatedFeatures(nn.Sequential):
    """Twelve dilated 3×3 convolutions at full resolution, with batch norm and leaky ReLU.

    Args:
        inputs: Channels of the input.
        features: Channels of every layer.
    """

    stride = 1

    def __init__(self, inputs: int, features: int) -> None:
        layers: list[nn.Module] = []
        for i, dilation in enumerate(DILATIONS):
            channels = features if i else inputs
            layers += [nn.Conv2d(channels, features, 3, padding=dilation, dilation=dilation, bias=False)]
            layers += [nn.BatchNorm2d(features), nn.LeakyReLU(SLOPE, inplace=True)]
        super().__init__(*layers)


class BackboneFeatures(nn.Module):
    """Feature maps of any backbone, joined at one stride. Channels beyond RGB are added before the last layer.

    Args:
        backbone: The backbone.
        inputs: Channels of the input; the first three are RGB from 0 to 255.
        features: Channels of the result.
        stride: Stride of the result in pixels.
    """

    def __init__(self, backbone: Backbone, inputs: int, features: int, stride: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = Neck(backbone, features, stride)
        self.stride = stride
        self.last = nn.Sequential(
            nn.Conv2d(features + inputs - 3, features, 3, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.LeakyReLU(SLOPE, inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F, h, w)."""
        maps: Tensor = self.neck(self.backbone(x[:, :3]))
        more = x[:, 3:, :: self.stride, :: self.stride]
        joined: Tensor = self.last(torch.cat([maps, more], dim=1))
        return joined


class Normalized(nn.Module):
    """RGB from 0 to 255 -> from -1 to 1, for the paper's network, in front of it. Further channels stay."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F, h, w)."""
        out: Tensor = self.features(torch.cat([x[:, :3] / 127.5 - 1, x[:, 3:]], dim=1))
        return out


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
        intrinsics: fx, fy, cx, cy in half image sides, of images without intrinsics of their own.
    """

    def __init__(self, orientation: OrientationNetwork | None, keypoints: KeypointNetwork) -> None:
        super().__init__()
        self.orientation = orientation
        self.keypoints = keypoints

    def side(self, image: Tensor) -> Tensor:
        """Returns (B,) 1 where the positive end of the dominant axis is predicted on the right, else 0."""
        if self.orientation is None:
            return image.new_zeros(len(image))
        ends = self.orientation(image)
        return (ends[:, 0, 0] > ends[:, 1, 0]).to(image.dtype)

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
    return scores.flatten(2).softmax(dim=-1).unflatten(2, scores.shape[2:])


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
