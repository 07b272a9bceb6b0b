"""Networks that score landmark positions; nn.Modules only. Thewlis et al., ICCV 2017, section 3.2.

| module | input | output |
|---|---|---|
| `PaperNetwork`, `HourglassNetwork` | (B, 3, H, W) RGB from 0 to 255 | score maps Ψ (B, K, h, w), h = H / stride |
| `Detector` | (B, 3, S, S) | landmarks of the middle of a square image: (B, K, 2) cells, (B, K) confidence |
| `MirroredDetector` | (B, 3, S, S) | the same for the image and its mirror image: 2K landmarks |
| `Taught` | (B, 3, S, S) | the same for N points that are linear in the landmarks |

Every convolution uses reflection padding. With zero padding the network can infer the absolute position in the image,
and landmarks converge to a fixed grid (docs/decisions/0042-landmarks.md has figures). Reflections still show where the
edge is, so the input includes context around the middle of the image, and `central` cuts the maps
(docs/decisions/0087-landmarks-that-stay.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from cairn.methods.landmarks.losses import positions, probabilities
from cairn.methods.landmarks.warp import centers
from cairn.training.backbones.layers import Normalize

MEAN, STD = (127.5, 127.5, 127.5), (63.75, 63.75, 63.75)
"""Mean and standard deviation of each channel: they map pixel values from 0..255 to -2..2."""

CONFIDENCE_RADIUS = 0.1
"""Half image sides: a landmark's confidence is its probability within this radius, or within one cell if larger."""

MIN_CONFIDENCE = 1e-3
"""A landmark always has a position: a confidence of 0 would mean that it was not detected."""


class PaperNetwork(nn.Module):
    """The paper's network, section 4: filters 20, 48, 64, 80, 256, K; one 2×2 max pooling after the first."""

    stride = 2

    def __init__(self, landmarks: int, dilated: bool = False) -> None:
        """Builds the network.

        Args:
            landmarks: K.
            dilated: The authors' later, smaller network: dilated 3×3 convolutions and a final 1×1 instead of 5×5
                everywhere (0.34 M parameters instead of 0.94 M at K = 30).
        """
        super().__init__()
        last: nn.Module
        if dilated:
            middle = [convolution(48, 64, 5, dilation=2), convolution(64, 80, 3, dilation=4)]
            middle += [convolution(80, 256, 3, dilation=2)]
            last = nn.Conv2d(256, landmarks, 1)
        else:
            middle = [convolution(48, 64, 5), convolution(64, 80, 5), convolution(80, 256, 5)]
            last = nn.Conv2d(256, landmarks, 5, padding=2, padding_mode="reflect")
        self.layers = nn.Sequential(
            Normalize(MEAN, STD), convolution(3, 20, 5), nn.MaxPool2d(2), convolution(20, 48, 5), *middle, last
        )

    def forward(self, image: Tensor) -> Tensor:
        """Score maps (B, K, h, w) of images (B, 3, H, W)."""
        return cast(Tensor, self.layers(image))


class HourglassNetwork(nn.Module):
    """One hourglass of plain residual blocks, with one level per width.

    Its receptive field is far larger than that of the paper's network, and on a CPU it is ten times as fast.
    """

    stride = 4

    def __init__(self, landmarks: int, widths: Sequence[int] = (48, 64)) -> None:
        """Builds the network.

        Args:
            landmarks: K.
            widths: Channels at each resolution, finest first.
        """
        super().__init__()
        width = widths[0]
        self.layers = nn.Sequential(
            Normalize(MEAN, STD),
            convolution(3, width, 7, stride=2),
            convolution(width, width, 3, stride=2),
            ResidualBlock(width),
            Level(widths),
            ResidualBlock(width),
            nn.Conv2d(width, landmarks, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Score maps (B, K, h, w) of images (B, 3, H, W)."""
        return cast(Tensor, self.layers(image))


class Level(nn.Module):
    """A skip at this resolution plus all coarser resolutions: (B, widths[0], h, w) -> the same shape."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        width, *deeper = widths
        self.skip = ResidualBlock(width)
        self.below = (
            nn.Identity()
            if not deeper
            else nn.Sequential(
                convolution(width, deeper[0], 3, stride=2),
                ResidualBlock(deeper[0]),
                Level(deeper) if len(deeper) > 1 else nn.Identity(),
                convolution(deeper[0], width, 1),
                nn.Upsample(scale_factor=2.0, mode="nearest"),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sum of both paths."""
        return cast(Tensor, self.skip(x) + self.below(x))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(convolution(width, width, 3), *list(convolution(width, width, 3))[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> the same shape."""
        return torch.relu(x + self.branch(x))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Returns a convolution that keeps the size (over the stride), batch normalization and ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False, padding_mode="reflect"),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class LandmarkDetector(nn.Module, ABC):
    """Base of networks that output landmarks of a square image.

    Attributes:
        cells: Map cells along a side of the image.
    """

    cells: float

    @abstractmethod
    def landmarks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and confidence of landmarks.

        Args:
            image: (B, 3, S, S).

        Returns:
            (B, K, 2) in [-1, 1] across the image, and (B, K).
        """

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of the exported file: (B, K, 2) in cells, and (B, K)."""
        points, confidence = self.landmarks(image)
        return in_cells(points, self.cells), confidence


class Detector(LandmarkDetector):
    """Landmarks of the middle of a square image, with softmax and soft-argmax in the graph (equation 4)."""

    places: Tensor

    def __init__(self, network: nn.Module, size: int, frame: int, stride: int, context: int = 0) -> None:
        """Wraps a network.

        Args:
            network: Scores landmarks.
            size: Side of the middle of the image, in which the landmarks are, in pixels.
            frame: Side of the square image, in pixels.
            stride: Stride of the network in pixels.
            context: Pixels on each side of the middle that the network's input includes too.
        """
        super().__init__()
        self.network = network
        self.edge = (frame - size) // 2 - context
        self.map_size = size // stride
        self.cells = frame / stride
        self.radius = max(CONFIDENCE_RADIUS, 2 / self.cells)
        self.register_buffer("places", centers(size // stride, size // stride, size / frame), persistent=False)

    def landmarks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `LandmarkDetector.landmarks`."""
        until = image.shape[-1] - self.edge
        p = probabilities(central(self.network(image[..., self.edge : until, self.edge : until]), self.map_size))
        points = positions(p, self.places)
        squared = (self.places - points[:, :, None]).square().sum(-1)  # (B, K, N)
        # A soft edge: at a sharp one torch and onnxruntime would differ.
        near = (1.5 - squared / self.radius**2).clamp(0.0, 1.0)
        return points, (p.flatten(2) * near).sum(-1).clamp(MIN_CONFIDENCE, 1.0)


class MirroredDetector(LandmarkDetector):
    """Runs a detector on the image and on its mirror image: 2K landmarks for K.

    Landmarks of the mirror image are additional landmarks: they lie on the other side of the object.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.cells = detector.cells

    def landmarks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `LandmarkDetector.landmarks`; (B, 2K, 2) and (B, 2K)."""
        points, confidence = self.detector.landmarks(image)
        mirrored, mirrored_confidence = self.detector.landmarks(image.flip(3))
        back = torch.stack([-mirrored[..., 0], mirrored[..., 1]], dim=-1)
        return torch.cat([points, back], dim=1), torch.cat([confidence, mirrored_confidence], dim=1)


class Taught(LandmarkDetector):
    """N named points, each linear in K landmarks."""

    matrix: Tensor
    offset: Tensor
    share: Tensor

    def __init__(self, detector: LandmarkDetector, matrix: Tensor, offset: Tensor) -> None:
        """Adds a regressor to a detector.

        Args:
            detector: The landmark detector.
            matrix: (2K, 2N) matrix of the regression, for coordinates in [-1, 1] across the image.
            offset: (2N,) offset of the regression in the same coordinates.
        """
        super().__init__()
        self.detector = detector
        self.cells = detector.cells
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)
        share = matrix.abs().view(len(matrix) // 2, 2, -1, 2).sum(dim=(1, 3)) + 1e-12  # (K, N)
        self.register_buffer("share", share / share.sum(dim=0))

    def landmarks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B, N, 2) and confidence (B, N) of the points.

        A point's confidence is the mean of the landmarks' confidence, weighted by the point's coefficients.
        """
        landmarks, confidence = self.detector.landmarks(image)
        points = (landmarks.flatten(1) @ self.matrix + self.offset).view(landmarks.shape[0], -1, 2)
        return points, confidence @ self.share


def central(maps: Tensor, size: int) -> Tensor:
    """Returns the middle of maps: (B, K, h, h) -> (B, K, size, size)."""
    edge = (maps.shape[-1] - size) // 2
    return maps[..., edge : edge + size, edge : edge + size] if edge else maps


def in_cells(points: Tensor, cells: float) -> Tensor:
    """Returns points from [-1, 1] across an image of `cells` cells in cells, whose centers are integers."""
    return (points + 1) * (cells / 2) - 0.5
