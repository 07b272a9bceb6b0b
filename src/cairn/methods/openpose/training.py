"""Learning to detect with OpenPose: targets, loss, LightningModule. Cao et al., TPAMI 2019, section 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from cairn.annotations.labels import LabelledPicture, Labels
from cairn.errors import ModelError, SkeletonError
from cairn.evaluation.oks import oks_metrics
from cairn.fields import render_pafs
from cairn.geometry import Affine, Size, field_affine, image_to_field
from cairn.heatmaps import render_gaussians
from cairn.methods.openpose import decode, predictor
from cairn.methods.openpose.model import (
    OpenPose,
    Stages,
    TwoBranchOpenPose,
    cvpr_openpose,
    light_openpose,
    paper_openpose,
)
from cairn.network import Network
from cairn.poses import Annotation, Poses
from cairn.predictor import check_settings
from cairn.skeleton import Skeleton
from cairn.spec import InputSpec, ModelSpec
from cairn.training.augment import moved, random_view, recoloured
from cairn.training.data import read_data
from cairn.training.dataset import Batch, Sample, TrainingSet
from cairn.training.module import KeypointModule
from cairn.training.recipe import Count, LabelSource, Positive, Section
from cairn.training.recipe import Recipe as SharedRecipe

__all__ = ["Recipe", "module", "read_data", "training_set"]

STRIDE = 8

STAGES = {"light": (1, 1), "paper": (4, 2), "cvpr": (6, 6)}
"""Of fields and of confidence maps: ours, TPAMI's as released for BODY_25, CVPR's."""


class Input(Section):
    """size: side of the square crop to learn from; detect: longest side of the picture to detect in."""

    size: Count = 256
    detect: Count = 384


class NetworkSettings(Section):
    """kind: "light" for CPUs, "paper" for TPAMI's, "cvpr" for CVPR's, each with its own number of stages.

    widths, depths, features, depthwise  of the light one
    """

    kind: Literal["light", "paper", "cvpr"] = "light"
    widths: tuple[Count, ...] = (32, 64, 128, 192)
    depths: tuple[Count, ...] = (1, 2, 2)
    features: Count = 64
    depthwise: bool = False
    paf_stages: Count = 1
    heatmap_stages: Count = 1
    background: bool = False

    @model_validator(mode="before")
    @classmethod
    def _stages_of_the_kind(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("kind", "light") not in STAGES:
            return values
        pafs, heatmaps = STAGES[values.get("kind", "light")]
        if values.get("kind") == "cvpr":
            heatmaps = values.get("paf_stages", heatmaps)
        return {"paf_stages": pafs, "heatmap_stages": heatmaps, **values}

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkSettings:
        if len(self.widths) != len(self.depths) + 1 or not self.depths:
            raise ValueError("widths are one more than depths, the first that of the stem")
        if self.kind == "cvpr" and self.paf_stages != self.heatmap_stages:
            raise ValueError("the network of CVPR has as many heatmap_stages as paf_stages")
        return self

    @property
    def multiple(self) -> int:
        """Pixels of which the sides of a picture must be a multiple."""
        return max(32, 4 * 2 ** len(self.depths)) if self.kind == "light" else 32


class Targets(Section):
    """In cells: σ of exp(-d²/2σ²), and half the breadth of a limb, as the release has them (7 and 8 pixels)."""

    sigma: Positive = 0.875
    width: Positive = 1.0


class Loss(Section):
    """kind: "squared" is the paper's; "weighted" learns faster from scratch (see `weighted_loss`)."""

    kind: Literal["squared", "weighted"] = "weighted"
    foreground: Annotated[float, Field(ge=0)] = 4.0
    paf: Positive = 1.0


class Recipe(SharedRecipe):
    """Everything that a training run of OpenPose is made of."""

    method: Literal["openpose"] = "openpose"
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    targets: Targets = Targets()
    loss: Loss = Loss()
    decode: dict[str, float | int | bool | str] = Field(default_factory=dict)

    @field_validator("decode")
    @classmethod
    def _settings_of_decode(cls, values: dict[str, Any]) -> dict[str, Any]:
        try:
            check_settings("openpose", decode, values)
        except ModelError as error:
            raise ValueError(str(error)) from None
        return values

    @model_validator(mode="after")
    def _fields_halve(self) -> Recipe:
        if self.input.size % self.network.multiple:
            raise ValueError(f"input.size must be a multiple of {self.network.multiple}, got {self.input.size}")
        return self


# ---- targets


@dataclass(frozen=True)
class Encoder:
    """Makes of a sample a crop around one of its people, and the crop's targets."""

    recipe: Recipe
    skeleton: Skeleton

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray]:
        recipe, annotation = self.recipe, sample.picture.annotation
        size = (recipe.input.size, recipe.input.size)
        cells = (size[0] // STRIDE, size[1] // STRIDE)
        side = recipe.input.size * max(image.shape[:2]) / (recipe.input.detect * sample.scale)
        view = random_view(recipe.augmentation, rng, _random_center(annotation, image.shape[:2], rng), side, size)
        labels = moved(annotation, view, self.skeleton)
        keypoints = image_to_field(labels.keypoints, STRIDE)
        heatmaps = render_gaussians(keypoints, cells, recipe.targets.sigma)
        if recipe.network.background:
            heatmaps = np.concatenate([heatmaps, 1 - heatmaps.max(axis=0, keepdims=True)])
        pairs = np.array(self.skeleton.limbs, dtype=np.intp).reshape(-1, 2)
        return {
            "image": recoloured(view.affine.warp(image, size), recipe.augmentation, rng).transpose(2, 0, 1),
            "heatmaps": heatmaps,
            "pafs": render_pafs(keypoints, self.skeleton.limbs, cells, recipe.targets.width),
            "mask": supervised_cells(annotation, view.affine, cells),
            "known_joints": np.append(sample.known, np.repeat(sample.known.all(), recipe.network.background)),
            "known_limbs": np.repeat(sample.known[pairs].all(axis=1), 2),
        }


def supervised_cells(annotation: Annotation, affine: Affine, size: Size) -> NDArray[np.bool_]:
    """W(p) (h, w): False in regions of crowds and of people without labels, where no labelled person is.

    annotation in picture pixels; affine maps these to the network's input, of whose field `size` is.
    """
    to_picture = field_affine(STRIDE).then(affine.inverse())
    cells = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(np.float32)
    points = to_picture.apply(cells)[None]  # (1, h, w, 2)
    low = annotation.boxes[:, None, None, :2]
    high = low + annotation.boxes[:, None, None, 2:]
    inside = np.all((points >= low) & (points <= high), axis=-1)  # (P, h, w)
    labelled = annotation.labelled
    ignored, counted = np.any(inside[~labelled], axis=0), np.any(inside[labelled], axis=0)
    return counted | ~ignored


def _random_center(annotation: Annotation, size: Size, rng: np.random.Generator) -> tuple[float, float]:
    """The middle of a random labelled person's box, or of the picture where there is none."""
    people = np.flatnonzero(annotation.labelled)
    if len(people) == 0:
        return (size[1] - 1) / 2, (size[0] - 1) / 2
    x, y, width, height = annotation.boxes[rng.choice(people)]
    return float(x + width / 2), float(y + height / 2)


# ---- losses: (B, C, h, w) predictions and targets, weights that broadcast to them


def squared_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The paper's (eq. 4, 5): squared error summed over channels and cells, averaged over the batch."""
    return (weight * (predicted - target).square()).sum() / len(predicted)


def weighted_loss(logits: Tensor, target: Tensor, weight: Tensor, foreground: float) -> Tensor:
    """Cross-entropy of confidence maps, normalised as `squared_loss`.

    Its gradient does not vanish where the map is confidently empty, so it leaves the all-zero solution,
    where the squared error stays for long; cells count 1 + foreground·target.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (weight * (1 + foreground * target) * entropy).sum() / len(logits)


def stage_losses(stages: Stages, batch: Batch, settings: Loss) -> dict[str, Tensor]:
    """The loss of confidence maps and of fields, each the sum over stages (eq. 6)."""
    mask = batch["mask"][:, None].float()  # (B, 1, h, w)
    joints = mask * batch["known_joints"][:, :, None, None]  # (B, K, h, w)
    limbs = mask * batch["known_limbs"][:, :, None, None]  # (B, 2L, h, w)
    heatmaps, pafs = batch["heatmaps"], batch["pafs"]
    if settings.kind == "squared":
        return {
            "heatmaps": sum_of(squared_loss(stage.float(), heatmaps, joints) for stage in stages.heatmaps),
            "pafs": settings.paf * sum_of(squared_loss(stage.float(), pafs, limbs) for stage in stages.pafs),
        }
    x, y = pafs[:, 0::2], pafs[:, 1::2]
    limbs = limbs * (1 + settings.foreground * torch.hypot(x, y).repeat_interleave(2, dim=1))
    return {
        "heatmaps": sum_of(
            weighted_loss(stage.float(), heatmaps, joints, settings.foreground) for stage in stages.heatmaps
        ),
        "pafs": settings.paf * sum_of(squared_loss(stage.float(), pafs, limbs) for stage in stages.pafs),
    }


def sum_of(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()


# ---- the module


class LastStage(nn.Module):
    """The network as exported: (B, 3, h, w) -> heatmaps (B, K, h/8, w/8) from 0 to 1, fields (B, 2L, h/8, w/8)."""

    def __init__(self, network: nn.Module, logits: bool) -> None:
        super().__init__()
        self.network = network
        self.logits = logits

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        stages = self.network(image)
        heatmaps = stages.heatmaps[-1]
        return (heatmaps.sigmoid() if self.logits else heatmaps), stages.pafs[-1]


class OpenPoseModule(KeypointModule):
    """OpenPose, learning."""

    recipe: Recipe

    def __init__(self, recipe: Recipe, skeleton: Skeleton, val: Labels) -> None:
        if not skeleton.limbs:
            raise SkeletonError(
                f"openpose joins joints along limbs, and skeleton {skeleton.name} has none: name some under "
                '"skeleton" in the category of the labels, or give a skeleton'
            )
        network = build_network(recipe.network, skeleton)
        super().__init__(recipe, network.to(memory_format=torch.channels_last), val)
        self.skeleton = skeleton
        if recipe.loss.kind == "weighted":
            _expect_rare(network, share=0.01)

    @property
    def monitor(self) -> str:
        return "AP"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        stages = self.network(batch["image"].float().contiguous(memory_format=torch.channels_last))
        return stage_losses(stages, batch, self.recipe.loss)

    def deployed(self) -> nn.Module:
        return LastStage(self.network, logits=self.recipe.loss.kind == "weighted")

    def spec(self) -> ModelSpec:
        return ModelSpec(
            name=self.recipe.name,
            method="openpose",
            skeleton=self.skeleton,
            input=InputSpec(fit="letterbox", size=self.recipe.input.detect, multiple=self.recipe.network.multiple),
            stride=STRIDE,
            outputs=("heatmaps", "pafs"),
            decode=dict(self.recipe.decode),
        )

    def predict(self, network: Network, index: int) -> Poses:
        return predictor(network)(self.val.pictures[index].path)

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        return oks_metrics(self.val, list(predictions))


def build_network(settings: NetworkSettings, skeleton: Skeleton) -> OpenPose | TwoBranchOpenPose:
    """The network that the recipe's settings name, for the joints and limbs of a skeleton."""
    maps, fields = len(skeleton) + settings.background, 2 * len(skeleton.limbs)
    if settings.kind == "paper":
        return paper_openpose(maps, fields, settings.paf_stages, settings.heatmap_stages)
    if settings.kind == "cvpr":
        return cvpr_openpose(maps, fields, settings.paf_stages)
    return light_openpose(
        maps,
        fields,
        settings.widths,
        settings.depths,
        settings.features,
        settings.depthwise,
        settings.paf_stages,
        settings.heatmap_stages,
    )


def training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, LabelSource]]) -> TrainingSet:
    """All pictures of all sources: those without people too, for there is nothing to find in them."""
    samples = [
        Sample(picture, _known(labels, picture, source), scale=source.scale)
        for labels, source in sources
        for picture in labels
        for _ in range(source.repeat)
    ]
    return TrainingSet(samples, Encoder(recipe, skeleton), recipe.seed, recipe.run.cache)


def module(recipe: Recipe, skeleton: Skeleton, val: Labels) -> OpenPoseModule:
    return OpenPoseModule(recipe, skeleton, val)


def _known(labels: Labels, picture: LabelledPicture, source: LabelSource) -> NDArray[np.bool_]:
    if source.unlabelled == "absent":
        return labels.known
    return labels.known & (picture.annotation.visibility[picture.annotation.labelled] > 0).all(axis=0)


def _expect_rare(network: OpenPose | TwoBranchOpenPose, share: float) -> None:
    """Start from the guess that a cell holds a joint this rarely, instead of every second time."""
    stages = network.heatmap_stages if isinstance(network, OpenPose) else network.heatmap_branches
    for stage in stages:
        last = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)][-1]
        nn.init.constant_(last.bias, float(np.log(share / (1 - share))))
