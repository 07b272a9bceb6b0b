"""Learning landmarks from images alone: recipe, pairs, losses, LightningModule (sections 3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from cairn.datasets.labels import Labels
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Network
from cairn.media.images import read_image
from cairn.methods.landmarks import losses, predictor
from cairn.methods.landmarks.images import paths_of, read_data
from cairn.methods.landmarks.measures import consistency
from cairn.methods.landmarks.model import Detector, HourglassBackbone, PaperBackbone
from cairn.methods.landmarks.pairs import Pair, PairMaker
from cairn.methods.landmarks.sheet import Sheets
from cairn.methods.landmarks.warp import Spread, random_parameters
from cairn.structures.geometry import crop
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.data.augmentation import Augmentation, Share, color_map, random_view
from cairn.training.data.loading import Batch, Sample, TrainingSet
from cairn.training.engine.callbacks import read_metrics
from cairn.training.engine.module import KeypointModule
from cairn.training.method import TrainingMethod
from cairn.training.recipe import Count, LabelSource, Optimizer, Run, Section
from cairn.training.recipe import Recipe as SharedRecipe

MIN_SIZE = 16
"""Pixels along a side of what the network sees: dilated convolutions reach four cells beyond the edge of 8."""

SEEN = 256
"""Images set aside on which the landmarks are measured."""


class Input(Section):
    """size: side of the square that the network sees; middle: its share of the whole image's side.

    What lies around the middle is what warps bring into view: with middle = 1 they bring in the image's edge,
    which landmarks are then tempted to follow.
    """

    size: Count = 96
    middle: Annotated[float, Field(gt=0.3, le=1)] = 0.75

    @property
    def frame(self) -> int:
        """Side of the whole square image, in the same pixels."""
        return self.size + 2 * round((self.size / self.middle - self.size) / 2)


class NetworkSettings(Section):
    """landmarks: how many, K. backbone: the paper's (5×5 everywhere, or dilated), or an hourglass of `widths`."""

    landmarks: Annotated[int, Field(ge=2)] = 10
    backbone: Literal["hourglass", "paper", "dilated"] = "hourglass"
    widths: Annotated[tuple[Count, ...], Field(min_length=2)] = (48, 64)

    @property
    def stride(self) -> int:
        return HourglassBackbone.stride if self.backbone == "hourglass" else PaperBackbone.stride

    @property
    def multiple(self) -> int:
        """Pixels of which the side of the input must be a multiple."""
        return self.stride * 2 ** (len(self.widths) - 1) if self.backbone == "hourglass" else self.stride

    def build_backbone(self) -> nn.Module:
        if self.backbone == "hourglass":
            return HourglassBackbone(self.landmarks, self.widths)
        return PaperBackbone(self.landmarks, self.backbone == "dilated")


class Warps(Section):
    """Standard deviations of both warps of a pair: degrees, then shares of half a side; see `warp.Spread`.

    first, second  of a random half of the spline's weights
    """

    rotation: Annotated[float, Field(ge=0)] = 5.0
    scale: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    shift: Annotated[float, Field(ge=0)] = 0.1
    bend: Annotated[float, Field(ge=0)] = 0.001
    first: Annotated[float, Field(ge=0)] = 0.005
    second: Annotated[float, Field(ge=0)] = 0.01

    def spread(self, half: float) -> Spread:
        return Spread(self.rotation, self.scale, self.shift, self.bend, half)


class Loss(Section):
    """alignment + weight · diversity, coordinates from -1 to 1 across what the network sees.

    alignment  "probabilities" or "points"
    diversity  "patches", in linear time, or "pairs"
    weight     of diversity, the paper's γ in this unit: larger holds landmarks on a grid, smaller lets them gather
    patch      cells along a side of the patches over which probabilities are summed first
    """

    alignment: Literal["probabilities", "points"] = "probabilities"
    diversity: Literal["patches", "pairs"] = "patches"
    weight: Annotated[float, Field(ge=0)] = 0.03
    patch: Count = 3


class Optimizing(Optimizer):
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995


class Length(Run):
    """Short: long runs end on a grid (docs/guides/landmarks.md)."""

    epochs: Count = 5
    validate_every: Count = 1


class Views(Augmentation):
    """Warps move the views; only colors are left to change."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 1.0)
    shift: Share = 0.0
    flip: Share = 0.0
    color: Share = 0.2


class Recipe(SharedRecipe):
    """Everything that a discovery is made of. `augmentation` changes the image from which both views are taken;
    its colors change in each view anew."""

    method: Literal["landmarks"] = "landmarks"
    name: Annotated[str, Field(min_length=1)] = "landmarks"
    skeleton: None = None  # landmarks have no names yet
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    warps: Warps = Warps()
    loss: Loss = Loss()
    augmentation: Views = Views()
    optimizer: Optimizing = Optimizing()
    run: Length = Length()

    @model_validator(mode="after")
    def _room(self) -> Recipe:
        landmarks, multiple = self.network.landmarks, self.network.multiple
        least = max(MIN_SIZE, 2 * multiple)  # one cell has nothing to mirror at its edge
        if self.input.size % multiple or self.input.size < least:
            raise ValueError(f"input.size must be a multiple of {multiple} for this backbone, and {least} at least")
        room = (-(-self.cells // self.loss.patch)) ** 2
        if landmarks > room:
            raise ValueError(
                f"{landmarks} landmarks have no room in maps of {self.cells} x {self.cells} cells, patches of "
                f"{self.loss.patch}: at most {room}; ask for fewer, or raise input.size"
            )
        return self

    @property
    def cells(self) -> int:
        """Along a side of the score maps."""
        return self.input.size // self.network.stride


@dataclass(frozen=True)
class Encoder:
    """Makes of an image a square frame, and draws the warps and colors of its two views."""

    recipe: Recipe

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray]:
        recipe, frame = self.recipe, (self.recipe.input.frame, self.recipe.input.frame)
        height, width = image.shape[:2]
        middle, side = ((width - 1) / 2, (height - 1) / 2), max(height, width)
        view = random_view(recipe.augmentation, rng, middle, side, frame)
        warps = recipe.warps
        return {
            "image": view.affine.warp(image, frame).transpose(2, 0, 1),
            "first": random_parameters(warps.spread(warps.first), rng),
            "second": random_parameters(warps.spread(warps.second), rng),
            "colors": np.stack([color_map(recipe.augmentation, rng) for _ in range(2)]).astype(np.float32),
        }


class LandmarksModule(KeypointModule):
    """A network that learns landmarks, as one of two equal networks on the two images of a pair."""

    recipe: Recipe

    def __init__(self, recipe: Recipe, skeleton: Skeleton, val: Labels) -> None:
        super().__init__(recipe, recipe.network.build_backbone().to(memory_format=torch.channels_last), val)
        self.skeleton = skeleton
        size = recipe.input.size
        self.middle = size / recipe.input.frame
        self.pairs = PairMaker(size, recipe.cells, self.middle)
        self.detector = Detector(self.network, size, recipe.input.frame, recipe.network.stride)

    @property
    def monitor(self) -> str:
        return "score"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        exactly = torch.autocast(batch["image"].device.type, enabled=False)  # 8 bits do not tell pixels apart
        with exactly:
            pair = self.pairs(batch["image"].float(), batch["first"], batch["second"])
            images = recolored(torch.stack([pair.x, pair.warped], dim=1), batch["colors"])
            views = images.transpose(0, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        scores = self.network(views)
        with exactly:
            p, q = losses.probabilities(scores.float()).chunk(2)
            return self.losses_of(p, q, pair)

    def losses_of(self, p: Tensor, q: Tensor, pair: Pair) -> dict[str, Tensor]:
        settings, places = self.recipe.loss, self.detector.places
        if settings.alignment == "probabilities":
            alignment = losses.align_probabilities(p, q, places, pair.moved)
        else:
            alignment = losses.align_points(losses.positions(p, places), pair.g(losses.positions(q, places)))
        both = torch.cat([p, q])
        if settings.diversity == "patches":
            diversity = losses.diversity(both, settings.patch)
        else:
            diversity = losses.diversity_pairwise(losses.patch_sums(both, settings.patch))
        return {"alignment": alignment / self.middle**2, "diversity": settings.weight * diversity}

    def export_module(self) -> nn.Module:
        return self.detector

    def spec(self) -> ModelSpec:
        frame = self.recipe.input.frame
        return ModelSpec(
            name=self.recipe.name,
            method="landmarks",
            skeleton=self.skeleton,
            task="single_instance",
            input=InputSpec(resize="square", size=frame, multiple=1),
            stride=self.recipe.network.stride,
            outputs=("keypoints", "confidence"),
        )

    def predict(self, network: Network, index: int) -> Poses:
        return predictor(network)(self.val.images[index].path)

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """Under fresh warps, the same at every validation; `predictions` are for whoever looks at them."""
        device = next(self.network.parameters()).device
        rng = np.random.default_rng(self.recipe.seed)
        warps = self.recipe.warps
        parts: list[dict[str, Tensor]] = []
        objective: list[float] = []
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            for images in self.frames.split(32):
                first, second = (
                    torch.from_numpy(np.stack([random_parameters(warps.spread(half), rng) for _ in images])).to(device)
                    for half in (warps.first, warps.second)
                )
                pair = self.pairs(images.to(device).float(), first, second)
                p, q = (losses.probabilities(self.network(view)) for view in (pair.x, pair.warped))
                objective += [float(sum(self.losses_of(p, q, pair).values()))] * len(images)
                found, again = (losses.positions(maps, self.detector.places) for maps in (p, q))
                parts.append({
                    "found": found,
                    "moved": pair.g(again),
                    "still": pair.g(found),
                    "seen": (pair.g.inverse(found).abs() <= self.middle).all(-1),
                })  # fmt: skip
        self.network.train(was_training)
        joined = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
        return {"score": -float(np.mean(objective)), **consistency(**joined, middle=self.middle)}

    @cached_property
    def frames(self) -> Tensor:
        """(M, 3, F, F) uint8: the images to measure on, as the predictor squares them."""
        frame = (self.recipe.input.frame, self.recipe.input.frame)
        squares = []
        for entry in self.val.images[:SEEN]:
            image = read_image(entry.path)
            height, width = image.shape[:2]
            view = crop(((width - 1) / 2, (height - 1) / 2), max(height, width), frame)
            squares.append(view.warp(image, frame).transpose(2, 0, 1))
        return torch.from_numpy(np.stack(squares))

    def configure_callbacks(self) -> list[Callback]:
        return [Sheets()]


def recolored(views: Tensor, colors: Tensor) -> Tensor:
    """views (B, V, 3, h, w) under linear maps of colors (B, V, 3, 4), within 0 and 255."""
    changed = torch.einsum("bvcd,bvdhw->bvchw", colors[..., :3], views) + colors[..., 3, None, None]
    return changed.clamp(0, 255)


def training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, LabelSource]]) -> TrainingSet:
    samples = [
        Sample(image, labels.known) for labels, source in sources for image in labels for _ in range(source.repeat)
    ]
    return TrainingSet(samples, Encoder(recipe), recipe.seed, recipe.run.cache)


def repeated(recipe: Recipe, least: int) -> list[dict[str, Any]]:
    """The recipe's sources, gone through as often in an epoch as it takes to see `least` images."""
    counts = [len(paths_of(source)) for source in recipe.data.train]
    times = max(1, round(least / sum(counts)))
    return [source.model_dump(mode="json") | {"repeat": times * source.repeat} for source in recipe.data.train]


def told(run: Path) -> str:
    """What a run's last measures mean, in a few lines for its user."""
    last = read_metrics(run / "metrics.csv")[-1]
    sheets = sorted((run / "sheets").glob("*.png"))
    return "\n".join([
        f"equivariance {last['equivariance']:.2f}% of the image's side: how far landmarks miss under a fresh warp",
        f"still        {last['still']:.0f}% of the landmarks do not follow the image's content",
        f"collapsed    {last['collapsed']:.0f}% share their place with another",
        f"coverage     {last['coverage']:.0f}% of the blocks of the view that they could reach; "
        f"spread {last['spread']:.1f}% of its side",
        f"look at      {sheets[-1]}: a landmark should stay on the same part of the object",
    ])  # fmt: skip


def module(recipe: Recipe, skeleton: Skeleton, val: Labels) -> LandmarksModule:
    return LandmarksModule(recipe, skeleton, val)


TRAINING = TrainingMethod(Recipe, read_data, training_set, module)
