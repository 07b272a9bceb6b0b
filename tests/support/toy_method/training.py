"""Training of the toy method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.datasets.labels import Labels
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Network
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.geometry import crop, image_to_field
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.data.loading import Batch, Sample, TrainingSet
from cairn.training.data.sources import read_data
from cairn.training.engine.module import KeypointModule
from cairn.training.method import TrainingMethod
from cairn.training.recipe import Recipe as SharedRecipe
from support.toy_method import predictor

SIZE, STRIDE = 64, 4


class Recipe(SharedRecipe):
    """Nothing beyond what all recipes have."""

    method: Literal["toy"] = "toy"


@dataclass(frozen=True)
class Encoder:
    """Resizes the whole image and renders the targets."""

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        height, width = image.shape[:2]
        view = crop(((width - 1) / 2, (height - 1) / 2), max(height, width), (SIZE, SIZE))
        keypoints = view.apply(sample.image.annotation.keypoints[:1])
        cells = (SIZE // STRIDE, SIZE // STRIDE)
        return {
            "image": view.warp(image, (SIZE, SIZE)).transpose(2, 0, 1),
            "heatmaps": render_gaussians(image_to_field(keypoints, STRIDE), cells, 1.0),
        }


class Scores(nn.Module):
    """(B, 3, S, S) -> one output (B, K, S/4, S/4)."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(STRIDE), nn.Conv2d(3, joints, 1))

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (self.layers(image / 255).sigmoid(),)


class ToyModule(KeypointModule):
    """The toy network with its loss."""

    def __init__(self, recipe: Recipe, skeleton: Skeleton, val: Labels) -> None:
        super().__init__(recipe, Scores(len(skeleton)), val)
        self.skeleton = skeleton

    @property
    def monitor(self) -> str:
        return "score"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        (scores,) = self.network(batch["image"].float())
        return {"squared": (scores - batch["heatmaps"]).square().mean()}

    def export_module(self) -> nn.Module:
        return self.network

    def spec(self) -> ModelSpec:
        return ModelSpec(
            name=self.recipe.name,
            method="toy",
            task="single_instance",
            skeleton=self.skeleton,
            input=InputSpec(resize="square", size=SIZE, multiple=STRIDE),
            stride=STRIDE,
            outputs=("heatmaps",),
        )

    def predict(self, network: Network, index: int) -> Poses:
        return predictor(network)(self.val.images[index].path)

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        return {"score": float(np.mean([poses.confidence.mean() for poses in predictions]))}


def training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, Any]]) -> TrainingSet:
    """Every image of every source."""
    samples = [Sample(image, np.ones(len(skeleton), bool)) for labels, _ in sources for image in labels]
    return TrainingSet(samples, Encoder(), recipe.seed, recipe.run.cache)


def module(recipe: Recipe, skeleton: Skeleton, val: Labels) -> ToyModule:
    """The module of a recipe."""
    torch.manual_seed(recipe.seed)
    return ToyModule(recipe, skeleton, val)


TRAINING = TrainingMethod(Recipe, read_data, training_set, module)
