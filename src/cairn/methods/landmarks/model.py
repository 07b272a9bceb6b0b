"""Networks that score where landmarks are: nn.Modules only. Thewlis et al., ICCV 2017, section 3.2.

    backbone      (B, 3, H, W) RGB from 0 to 255 -> score maps Ψ (B, K, h, w), h = H / stride
    Detector   (B, 3, S, S) -> landmarks of the middle of a square image, (B, K, 2) cells and (B, K) confidence
    Taught     the same for N points that are linear in the landmarks

Every convolution mirrors its input at the edge instead of adding zeros: with zeros the network knows where in
the image it is, and soon puts landmarks on a grid that never moves (docs/decisions/0042-landmarks.md has figures).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cairn.methods.landmarks.losses import positions, probabilities
from cairn.methods.landmarks.warp import centers

RADIUS = 0.1
"""A landmark is as sure as the share of its probability within so many half sides of the image around it, or within
a cell where that is more."""

MIN_SURE = 1e-3
"""A landmark is always somewhere: a confidence of 0 would say that it was not found."""


class PaperBackbone(nn.Module):
    """Section 4: filters 20, 48, 64, 80, 256, K; one 2×2 max pooling after the first.

    dilated  the authors' later, smaller network: dilated 3×3 and a 1×1 at the end in place of 5×5
             everywhere (0.34 M parameters in place of 0.94 M at K = 30)
    """

    stride = 2

    def __init__(self, landmarks: int, dilated: bool = False) -> None:
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
            Normalize(), convolution(3, 20, 5), nn.MaxPool2d(2), convolution(20, 48, 5), *middle, last
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class HourglassBackbone(nn.Module):
    """One hourglass of plain residual blocks, a level for each width but the first: far larger a field of view, and
    on a CPU ten times as fast as the paper's network."""

    stride = 4

    def __init__(self, landmarks: int, widths: Sequence[int] = (48, 64)) -> None:
        super().__init__()
        width = widths[0]
        self.layers = nn.Sequential(
            Normalize(),
            convolution(3, width, 7, stride=2),
            convolution(width, width, 3, stride=2),
            ResidualBlock(width),
            Level(widths),
            ResidualBlock(width),
            nn.Conv2d(width, landmarks, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class Level(nn.Module):
    """A skip at this resolution, and all that is below it. (B, widths[0], h, w) -> the same."""

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
        return self.skip(x) + self.below(x)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(convolution(width, width, 3), *list(convolution(width, width, 3))[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


class Normalize(nn.Module):
    """(B, 3, H, W) from 0 to 255 -> from -2 to 2."""

    def forward(self, image: Tensor) -> Tensor:
        return (image - 127.5) / 63.75


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (over the stride), batch normalization, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False, padding_mode="reflect"),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Detector(nn.Module):
    """Landmarks of the middle of a square image, with the softmax and the soft-argmax in the graph (equation 4).

    backbone  of `size` by `size` pixels
    frame  side of the square image in pixels: its middle `size` are looked at
    """

    def __init__(self, backbone: nn.Module, size: int, frame: int, stride: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.edge = (frame - size) // 2
        self.cells = frame / stride
        self.near = max(RADIUS, 2 / self.cells)
        self.register_buffer("places", centers(size // stride, size // stride, size / frame), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        points, confidence = self.landmarks(image)
        return in_cells(points, self.cells), confidence

    def landmarks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> (B, K, 2) in [-1, 1] across the image, and (B, K)."""
        until = image.shape[-1] - self.edge
        p = probabilities(self.backbone(image[..., self.edge : until, self.edge : until]))
        points = positions(p, self.places)
        away = (self.places - points[:, :, None]).square().sum(-1)  # (B, K, N)
        near = (1.5 - away / self.near**2).clamp(0.0, 1.0)  # no sharp edge: torch and onnxruntime would differ on it
        return points, (p.flatten(2) * near).sum(-1).clamp(MIN_SURE, 1.0)


class Mirrored(nn.Module):
    """A detector that looks at the mirror image too, and brings back what it finds there: 2K landmarks for K.

    Those of the mirror image are landmarks of their own: they lie on the other side of the object.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.cells = detector.cells

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        points, confidence = self.landmarks(image)
        return in_cells(points, self.cells), confidence

    def landmarks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> (B, 2K, 2) in [-1, 1] across the image, and (B, 2K)."""
        own, sure = self.detector.landmarks(image)
        other, as_sure = self.detector.landmarks(image.flip(3))
        back = torch.stack([-other[..., 0], other[..., 1]], dim=-1)
        return torch.cat([own, back], dim=1), torch.cat([sure, as_sure], dim=1)


class Taught(nn.Module):
    """N labeled points, linear in K landmarks.

    matrix  (2K, 2N), offset (2N,): both in [-1, 1] across the image
    """

    def __init__(self, detector: Detector | Mirrored, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.detector = detector
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)
        share = matrix.abs().view(len(matrix) // 2, 2, -1, 2).sum(dim=(1, 3)) + 1e-12  # (K, N)
        self.register_buffer("share", share / share.sum(dim=0))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """A point is as sure as the landmarks that it hangs on; as all of them where it hangs on none."""
        landmarks, confidence = self.detector.landmarks(image)
        points = (landmarks.flatten(1) @ self.matrix + self.offset).unflatten(1, (-1, 2))
        return in_cells(points, self.detector.cells), confidence @ self.share


def in_cells(points: Tensor, cells: float) -> Tensor:
    """[-1, 1] across an image of so many cells -> cells, whose centers are whole numbers."""
    return (points + 1) * (cells / 2) - 0.5
