"""Training of landmarks from images alone: pairs, losses, LightningModule (sections 3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.datasets.crops import MARGIN
from cairn.datasets.labels import Labels
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Network
from cairn.media.images import read_image
from cairn.methods.landmarks import losses, predictor
from cairn.methods.landmarks.drift import StopOnDrift
from cairn.methods.landmarks.images import boxes_of, landmark_skeleton, read_data, view_of, views_of
from cairn.methods.landmarks.measures import WarpedLandmarks, consistency
from cairn.methods.landmarks.model import Detector, central
from cairn.methods.landmarks.pairs import Pair, PairMaker, random_pair
from cairn.methods.landmarks.recipe import Crop, Recipe
from cairn.methods.landmarks.sheet import Sheets
from cairn.structures.geometry import crop
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.data.augmentation import color_map, random_view
from cairn.training.data.loading import Batch, Sample, TrainingSet
from cairn.training.engine.callbacks import read_metrics
from cairn.training.engine.module import KeypointModule
from cairn.training.method import TrainingMethod
from cairn.training.recipe import LabelSource

MEASURED = 256
"""Maximum number of validation images on which the landmarks are measured."""

MEASURED_AT_ONCE = 32
"""Validation images per batch."""

FALL = (0.3, 0.8)
"""Shares of a run between which the weight of diversity falls."""

LATE = (3, 6)
"""Epochs between which `loss.each` and `warps.growth` take effect. First, landmarks learn to follow at all."""


@dataclass(frozen=True)
class Encoder:
    """Makes a square frame of an image, and draws the warps and colors of its two views."""

    recipe: Recipe

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Arrays of one sample: image (3, F, F), first and second (3 + C, 2), colors (2, 3, 4)."""
        recipe, frame = self.recipe, (self.recipe.input.frame, self.recipe.input.frame)
        middle, side = view_of(sample.image, recipe.crop.margin, image.shape[:2])
        view = random_view(recipe.augmentation, rng, middle, side, frame)
        first, second = random_pair(recipe.warps, rng)
        return {
            "image": view.affine.warp(image, frame).transpose(2, 0, 1),
            "first": first,
            "second": second,
            "colors": np.stack([color_map(recipe.augmentation, rng) for _ in range(2)]).astype(np.float32),
        }


class LandmarksModule(KeypointModule):
    """A landmark network, trained as a Siamese pair on the two images of each pair.

    Attributes:
        share: Share of the weight of diversity at this step of the run.
        late: Share of what takes effect late in the run, see `LATE`.
    """

    recipe: Recipe

    def __init__(self, recipe: Recipe, skeleton: Skeleton, val: Labels) -> None:
        """Builds the network and the maker of its pairs.

        Args:
            recipe: Recipe of the run.
            skeleton: Names of the landmarks.
            val: Images to measure on.
        """
        network: Any = recipe.network.build()  # torch's types do not know memory_format
        super().__init__(recipe, network.to(memory_format=torch.channels_last), val)
        self.skeleton = skeleton
        size, context = recipe.input.size, recipe.context
        self.share, self.late = 1.0, 0.0
        self.middle = size / recipe.input.frame
        self.pairs = PairMaker(size, recipe.cells, self.middle, context)
        self.detector = Detector(self.network, size, recipe.input.frame, recipe.network.stride, context)

    @property
    def monitor(self) -> str:
        """The negative loss under fixed warps."""
        return "score"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Alignment and weighted diversity of a batch."""
        exactly = torch.autocast(batch["image"].device.type, enabled=False)  # 8 bits cannot tell pixels apart
        with exactly:
            second = grown(batch["second"], 1 + self.late * (self.recipe.warps.growth - 1))
            pair = self.pairs(batch["image"].float(), batch["first"], second)
            images = recolored(torch.stack([pair.x, pair.warped], dim=1), batch["colors"])
            views = images.transpose(0, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        scores = central(self.network(views), self.recipe.cells)
        with exactly:
            p, q = losses.probabilities(scores.float()).chunk(2)
            return self.losses_of(p, q, pair, self.share, self.late)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Lowers the weight of diversity as the run proceeds, and turns on what takes effect late."""
        progress = self.trainer.global_step / max(1, int(self.trainer.estimated_stepping_batches))
        self.late = float(np.interp(progress * (self.trainer.max_epochs or 0), LATE, (0.0, 1.0)))
        self.share = float(np.interp(progress, FALL, (1.0, self.recipe.loss.final)))

    def losses_of(self, p: Tensor, q: Tensor, pair: Pair, share: float = 1.0, late: float = 1.0) -> dict[str, Tensor]:
        """Both parts of the loss.

        Args:
            p: (B, K, h, w) probability maps of x.
            q: Likewise of x'.
            pair: The pair.
            share: Share of the weight of diversity.
            late: Share of the logarithms of each landmark, of `loss.each`.
        """
        settings, places = self.recipe.loss, self.detector.places
        visible = None
        if settings.in_view:
            visible = self.pairs.visible(p.flatten(2) @ places, q.flatten(2) @ pair.moved, pair.g)
        if settings.alignment == "probabilities":
            terms = losses.align_probabilities(p, q, places, pair.moved)
        else:
            terms = losses.align_points(losses.positions(p, places), pair.g(losses.positions(q, places)))
        terms = terms / self.middle**2
        alignment = losses.mean(terms, visible)
        if settings.log:
            alignment = alignment.clamp_min(losses.MIN_ALIGNMENT).log()
        if settings.log and settings.each:
            alignment = torch.lerp(alignment, losses.mean_logarithm(terms, visible), late)
        both = torch.cat([p, q])
        if settings.diversity == "patches":
            diversity = losses.diversity(both, self.recipe.patch)
        else:
            diversity = losses.diversity_pairwise(losses.patch_sums(both, self.recipe.patch))
        return {"alignment": alignment, "diversity": settings.weight * share * diversity}

    def export_module(self) -> nn.Module:
        """The detector: positions and confidence."""
        return self.detector

    def spec(self) -> ModelSpec:
        """The specification of the exported file."""
        frame, cropped = self.recipe.input.frame, self.recipe.crop.by != "none"
        margin = self.recipe.crop.margin if cropped else MARGIN
        return ModelSpec(
            name=self.recipe.name,
            method="landmarks",
            skeleton=self.skeleton,
            task="crop" if cropped else "single_instance",
            input=InputSpec(resize="square", size=frame, multiple=1, margin=margin),
            stride=self.recipe.network.stride,
            outputs=("keypoints", "confidence"),
        )

    def predict(self, network: Network, index: int) -> Poses:
        """Landmarks of one validation image, by the predictor that users run."""
        image = self.val.images[index]
        return predictor(network)(image.path, boxes=boxes_of(image))

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """Metrics under random warps, which are the same at every validation; `predictions` are for the sheets."""
        device = next(self.network.parameters()).device
        rng = np.random.default_rng(self.recipe.seed)
        measured: list[WarpedLandmarks] = []
        objective: list[float] = []
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            for frames in torch.split(self.frames, MEASURED_AT_ONCE):
                loss, landmarks = self._measure_batch(frames, rng, device)
                objective += [loss] * len(frames)
                measured.append(landmarks)
        self.network.train(was_training)
        joined = WarpedLandmarks(
            *(
                np.concatenate([getattr(part, name) for part in measured])
                for name in WarpedLandmarks.__dataclass_fields__
            )
        )
        return {"score": -float(np.mean(objective)), **consistency(joined, self.middle)}

    def _measure_batch(
        self, frames: Tensor, rng: np.random.Generator, device: torch.device
    ) -> tuple[float, WarpedLandmarks]:
        """The loss of a batch of images under random warps, and its landmarks."""
        drawn = [random_pair(self.recipe.warps, rng) for _ in frames]
        first, second = (torch.from_numpy(np.stack(each)).to(device) for each in zip(*drawn, strict=True))
        pair = self.pairs(frames.to(device).float(), first, second)
        p, q = (losses.probabilities(central(self.network(view), self.recipe.cells)) for view in (pair.x, pair.warped))
        predicted, again = (losses.positions(maps, self.detector.places) for maps in (p, q))
        landmarks = WarpedLandmarks(
            predicted=predicted.cpu().numpy(),
            moved=pair.g(again).cpu().numpy(),
            still=pair.g(predicted).cpu().numpy(),
            in_view=(pair.g.inverse(predicted).abs() <= self.middle).all(-1).cpu().numpy(),
        )
        terms = self.losses_of(p, q, pair, self.recipe.loss.final)  # the same at every validation
        return float(sum(terms.values())), landmarks

    @cached_property
    def frames(self) -> Tensor:
        """(M, 3, F, F) uint8: the images to measure on, made square as the predictor does."""
        frame = (self.recipe.input.frame, self.recipe.input.frame)
        squares = []
        for entry in self.val.images[:MEASURED]:
            image = read_image(entry.path)
            view = crop(*view_of(entry, self.recipe.crop.margin, image.shape[:2]), frame)
            squares.append(view.warp(image, frame).transpose(2, 0, 1))
        return torch.from_numpy(np.stack(squares))

    def configure_callbacks(self) -> list[Callback]:
        """Adds the contact sheets, and the end of a run whose landmarks drift."""
        return [Sheets(), StopOnDrift(self.recipe.run.max_rise)]


def grown(warps: Tensor, factor: float) -> Tensor:
    """Returns parameters of warps (B, 3 + C, 2) with a multiple of their rotation and scale."""
    if factor == 1:
        return warps
    straight = torch.eye(2, device=warps.device)
    return torch.cat([straight + factor * (warps[:, :2] - straight), warps[:, 2:]], dim=1)


def recolored(views: Tensor, colors: Tensor) -> Tensor:
    """Applies linear color maps.

    Args:
        views: (B, V, 3, h, w) from 0 to 255.
        colors: (B, V, 3, 4): matrix and offset.

    Returns:
        The views with changed colors, clipped to 0..255.
    """
    changed = torch.einsum("bvcd,bvdhw->bvchw", colors[..., :3], views) + colors[..., 3, None, None]
    return changed.clamp(0, 255)


def training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, LabelSource]]) -> TrainingSet:
    """Returns all images of all sources, each as often as its source repeats."""
    samples = [
        Sample(image, labels.labeled_joints)
        for labels, source in sources
        for image in labels
        for _ in range(source.repeat)
    ]
    return TrainingSet(samples, Encoder(recipe), recipe.seed, recipe.run.cache)


def module(recipe: Recipe, skeleton: Skeleton, val: Labels) -> LandmarksModule:
    """Returns the network of a recipe with its losses and metrics."""
    return LandmarksModule(recipe, skeleton, val)


def repeated(recipe: Recipe, minimum: int) -> list[dict[str, Any]]:
    """Returns the recipe's sources, repeated until an epoch has about `minimum` images."""
    skeleton = landmark_skeleton(recipe.network.landmarks)
    views = recipe.crop if recipe.crop.by != "motion" else Crop()  # as many as images, and motion takes time
    counts = [len(views_of(source, views, skeleton, quiet=True)) for source in recipe.data.train]
    times = max(1, round(minimum / sum(counts)))
    return [source.model_dump(mode="json") | {"repeat": times * source.repeat} for source in recipe.data.train]


def summary(run: Path) -> str:
    """Returns an interpretation of the last metrics of a run in a few lines."""
    last = read_metrics(run / "metrics.csv")[-1]
    sheets = sorted((run / "sheets").glob("*.png"))
    return "\n".join([
        f"equivariance {last['equivariance']:.2f}% of the image side: mean error of landmarks under a random warp",
        f"still        {last['still']:.0f}% of the landmarks do not follow the image content",
        f"collapsed    {last['collapsed']:.0f}% coincide with another landmark",
        f"coverage     {last['coverage']:.0f}% of the blocks of the view that the landmarks could occupy; "
        f"spread {last['spread']:.1f}% of its side",
        f"sheet        {sheets[-1]}: a landmark should stay on the same part of the object",
    ])  # fmt: skip


TRAINING = TrainingMethod(Recipe, read_data, training_set, module)
