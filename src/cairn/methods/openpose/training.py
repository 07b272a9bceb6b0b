"""Training of OpenPose: targets, losses, LightningModule. Cao et al., TPAMI 2019, section 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.datasets.classes import UNKNOWN
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import SkeletonError
from cairn.evaluation.evaluate import measure
from cairn.inference.model_spec import CLASSES, VISIBILITY, InputSpec, ModelSpec
from cairn.inference.network import Network
from cairn.methods.openpose import predictor
from cairn.methods.openpose.model import STRIDE, HandNetwork, Stages
from cairn.methods.openpose.movenet import MoveNetOpenPose
from cairn.methods.openpose.network import (
    FILE_NETWORKS,
    IMAGENET_NETWORK,
    KeypointNetwork,
    build_network,
    channels_of,
    heads_of,
    heatmap_heads,
    network_of,
)
from cairn.methods.openpose.recipe import Input, Loss, Recipe
from cairn.methods.openpose.released_weights import trainable
from cairn.ops.heatmaps import render_gaussians
from cairn.ops.pafs import render_pafs
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Affine, Size, field_affine, image_to_field
from cairn.structures.outline import covered
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.backbones.backbone import Backbone
from cairn.training.checkpoints.pretrained import LOSS, Start
from cairn.training.data.augmentation import moved, random_view, recolored
from cairn.training.data.loading import Batch, Sample, TrainingSet
from cairn.training.data.sources import read_data
from cairn.training.data.visibility import check_occlusion, visible_cells
from cairn.training.engine.module import (
    Channels,
    KeypointModule,
    class_accuracy_of,
    pck_of_joints,
    visibility_auc_of,
)
from cairn.training.method import TrainingMethod
from cairn.training.recipe import LabelSource

IMPORTED_RATE = 1e-4
"""Learning rate for fine-tuning published networks, which have few normalization layers: BODY_25's."""

MAIN_KEYPOINTS, MAIN_AREA = 5, 32**2
"""Minimum number of labeled keypoints, and area in square pixels, of a person whose height sets the scale of a crop."""

# ---- targets


@dataclass(frozen=True)
class Encoder:
    """Crops an image around one of its labeled instances, and renders the targets of the crop.

    Attributes:
        recipe: Sizes, augmentation and targets.
        skeleton: Joints and limbs.
        classes: Number of classes; 0 for one, which has no class maps.
    """

    recipe: Recipe
    skeleton: Skeleton
    classes: int = 0

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Returns image (3, H, W) and targets of one sample, augmented by random draws."""
        recipe, annotation = self.recipe, sample.image.annotation
        size = (recipe.input.size, recipe.input.size)
        stride = recipe.network.stride
        cells = (size[0] // stride, size[1] // stride)
        center, side = random_square(annotation, image.shape[:2], recipe.input, rng)
        view = random_view(recipe.augmentation, rng, center, side / sample.scale, size)
        labels = moved(annotation, view, self.skeleton)
        keypoints = image_to_field(labels.keypoints, stride)
        heatmaps = render_gaussians(keypoints, cells, recipe.targets.sigma)
        of_visibility = {}
        if recipe.network.visibility:
            of_visibility[VISIBILITY] = visible_cells(keypoints, labels, heatmaps, recipe.targets.sigma)
        if recipe.network.background:
            heatmaps = np.concatenate([heatmaps, 1 - heatmaps.max(axis=0, keepdims=True)])
        pairs = np.array(self.skeleton.limbs, dtype=np.intp).reshape(-1, 2)
        mask = supervised_cells(annotation, view.affine.then(field_affine(stride).inverse()), cells)
        of_classes = {}
        if self.classes and labels.classes is not None:
            maps, known = class_targets(keypoints, labels.classes, self.classes, cells, recipe.targets.sigma)
            # Where keypoints may be unlabeled, the places without any are unknown.
            of_classes = {"classes": maps, "known_classes": mask & known & (sample.known.all() | maps.any(axis=0))}
        return {
            "image": recolored(view.affine.warp(image, size), recipe.augmentation, rng).transpose(2, 0, 1),
            "heatmaps": heatmaps,
            "pafs": render_pafs(keypoints, self.skeleton.limbs, cells, recipe.targets.width),
            "mask": mask,
            "known_joints": np.append(sample.known, np.repeat(sample.known.all(), recipe.network.background)),
            "known_limbs": np.repeat(sample.known[pairs].all(axis=1), 2),
            **of_classes,
            **of_visibility,
        }


def class_targets(
    keypoints: NDArray[Any], classes: NDArray[np.int64], count: int, size: Size, sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Returns class maps (C, h, w), and a mask (h, w) that is False at the keypoints of instances of unknown class.

    A class map is the maximum over all keypoints of all instances of that class, as rendered into heatmaps.

    Args:
        keypoints: (P, K, 2) in cells; NaN where missing.
        classes: (P,) from 0 to C - 1; -1 where unknown.
        count: Number C of classes.
        size: (h, w) in cells.
        sigma: σ in cells.
    """

    def together(index: int) -> NDArray[np.float32]:
        one: NDArray[np.float32] = render_gaussians(keypoints[classes == index].reshape(-1, 1, 2), size, sigma)[0]
        return one

    return np.stack([together(index) for index in range(count)]), together(UNKNOWN) == 0


def supervised_cells(annotation: Annotation, to_cells: Affine, size: Size) -> NDArray[np.bool_]:
    """Returns the mask W(p) (h, w): False where people are not labeled.

    These are the outlines of people without keypoints, and of crowds outside the boxes of labeled people. The box
    stands for a missing outline, also outside the boxes of labeled people alone.

    Args:
        annotation: The annotated instances in image pixels.
        to_cells: Map from image pixels to cells.
        size: (h, w) in cells.
    """
    to_image = to_cells.inverse()
    cells = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(np.float32)
    points = to_image.apply(cells)[None]  # (1, h, w, 2)
    low = annotation.boxes[:, None, None, :2]
    high = low + annotation.boxes[:, None, None, 2:]
    inside = np.all((points >= low) & (points <= high), axis=-1)  # (P, h, w)
    labeled = annotation.labeled
    counted = np.any(inside[labeled], axis=0)
    ignored = np.zeros(size, dtype=bool)
    for row in np.flatnonzero(~labeled):
        outline = None if annotation.outlines is None else annotation.outlines[row]
        region = inside[row] if outline is None else covered(outline, to_cells, size)
        ignored |= region if outline is not None and not annotation.crowd[row] else region & ~counted
    return ~ignored


def random_square(
    annotation: Annotation, size: Size, settings: Input, rng: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """Returns center and side of the square of an image, in its pixels, that becomes a crop before augmentation.

    The center is that of the bounding box of a random labeled instance, or of the image without any. The side is such
    that the image has its size at inference; with `person_height`, such that the box has that height in the crop. Only
    instances that the release centers crops on are chosen then, where there are any.

    Args:
        annotation: The annotated instances.
        size: (height, width) of the image.
        settings: Sizes of the recipe.
        rng: Random generator.
    """
    side = settings.size * max(size) / settings.inference_size
    people = np.flatnonzero(annotation.labeled & (_is_main(annotation) | (settings.person_height == 0)))
    if len(people) == 0 and settings.person_height:
        people, settings = np.flatnonzero(annotation.labeled), settings.model_copy(update={"person_height": 0.0})
    if len(people) == 0:
        return ((size[1] - 1) / 2, (size[0] - 1) / 2), side
    x, y, width, height = map(float, annotation.boxes[rng.choice(people)])
    if settings.person_height:
        side = height / settings.person_height
    return (x + width / 2, y + height / 2), side


def _is_main(annotation: Annotation) -> NDArray[np.bool_]:
    """(P,) instances that are labeled well enough to set the scale of a crop, as in the released training."""
    needed = min(MAIN_KEYPOINTS, annotation.visibility.shape[1])
    enough: NDArray[np.bool_] = (annotation.visibility > 0).sum(axis=1) >= needed
    return enough & (annotation.areas >= MAIN_AREA) & (annotation.boxes[:, 3] > 0)


# ---- losses of predictions and targets (B, C, h, w), with weights that broadcast to them


def squared_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Returns the paper's loss, eq. 4 and 5: squared error summed over channels and cells, averaged over the batch."""
    return (weight * (predicted - target).square()).sum() / len(predicted)


def weighted_loss(logits: Tensor, target: Tensor, weight: Tensor, foreground: float) -> Tensor:
    """Returns the weighted cross-entropy of heatmaps, normalized as `squared_loss`.

    Its gradient does not vanish in cells that are predicted empty with high confidence, so that training leaves the
    all-zero solution, where the squared error stays for long.

    Args:
        logits: Predictions.
        target: Heatmaps from 0 to 1.
        weight: Weight of each cell.
        foreground: A cell's loss is multiplied by 1 + foreground·target.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (weight * (1 + foreground * target) * entropy).sum() / len(logits)


def stage_losses(stages: Stages, batch: Batch, settings: Loss) -> dict[str, Tensor]:
    """Returns the losses of heatmaps and of PAFs, each summed over stages (eq. 6), and of heads if there are any.

    The loss of class maps is that of heatmaps. That of visibility is its cross-entropy, weighted by the heatmaps.
    """
    mask = batch["mask"][:, None].float()  # (B, 1, h, w)
    joints = mask * batch["known_joints"][:, :, None, None]  # (B, K, h, w)
    limbs = mask * batch["known_limbs"][:, :, None, None]  # (B, 2L, h, w)
    heatmaps, pafs = batch["heatmaps"], batch["pafs"]
    loss = squared_loss
    if settings.kind == "weighted":
        loss = partial(weighted_loss, foreground=settings.foreground)
        x, y = pafs[:, 0::2], pafs[:, 1::2]
        limbs = limbs * (1 + settings.foreground * torch.hypot(x, y).repeat_interleave(2, dim=1))
    losses = {
        "heatmaps": sum_of(loss(stage.float(), heatmaps, joints) for stage in stages.heatmaps),
        "pafs": settings.paf * sum_of(squared_loss(stage.float(), pafs, limbs) for stage in stages.pafs),
    }
    if stages.classes is not None:
        losses["classes"] = loss(stages.classes.float(), batch["classes"], batch["known_classes"][:, None].float())
    if stages.visibility is not None:
        count = stages.visibility.shape[1]  # without the background
        weight = (joints * heatmaps)[:, :count]
        losses[VISIBILITY] = weighted_loss(stages.visibility.float(), batch[VISIBILITY], weight, foreground=0)
    return losses


def sum_of(losses: Iterable[Tensor]) -> Tensor:
    """Returns the sum of scalar losses."""
    return torch.stack(list(losses)).sum()


# ---- the module


class LastStage(nn.Module):
    """The network as exported: (B, 3, H, W) -> heatmaps (B, K, H/8, W/8) from 0 to 1, PAFs (B, 2L, H/8, W/8).

    A network with a class head has class maps (B, C, H/8, W/8) from 0 to 1 as its third output; one with a head for
    visibility has maps (B, K, H/8, W/8) of probabilities as its last. That of hands and faces has no PAFs.

    Args:
        network: The network.
        logits: Whether the network predicts logits of heatmaps and class maps.
    """

    def __init__(self, network: nn.Module, logits: bool) -> None:
        super().__init__()
        self.network = network
        self.logits = logits

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> heatmaps, PAFs of the last stage, class maps and visibility if there are any."""
        stages = self.network(image)
        maps = [stages.heatmaps[-1], *([] if stages.classes is None else [stages.classes])]
        if self.logits:
            maps = [each.sigmoid() for each in maps]
        visibility = [] if stages.visibility is None else [stages.visibility.sigmoid()]
        return (maps[0], *stages.pafs[-1:], *maps[1:], *visibility)


class OpenPoseModule(KeypointModule):
    """OpenPose in training.

    Raises:
        SkeletonError: The skeleton has no limbs.
    """

    recipe: Recipe
    network: KeypointNetwork

    def __init__(self, recipe: Recipe, skeleton: Skeleton, val: Labels) -> None:
        if not skeleton.limbs and recipe.network.kind != "hand":
            raise SkeletonError(
                f"openpose connects joints along limbs, and skeleton {skeleton.name} has none: list limbs under "
                '"skeleton" in the category of the labels, or set skeleton in the recipe'
            )
        network: Any = build_network(recipe.network, skeleton, len(val.classes))  # torch's types lack memory_format
        super().__init__(recipe, network.to(memory_format=torch.channels_last), val)
        self.skeleton = skeleton
        if recipe.loss.kind == "weighted" and not isinstance(network, MoveNetOpenPose):
            _expect_empty(network, share=0.01)

    @property
    def monitor(self) -> str:
        """AP of the validation images."""
        return "AP"

    @property
    def backbone(self) -> Backbone:
        """The backbone of the network."""
        return self.network.backbone

    @property
    def published_heads(self) -> nn.Module | None:
        """Those of MoveNet, where the network keeps them."""
        return self.network.heads if isinstance(self.network, MoveNetOpenPose) else None

    def channels(self) -> Channels:
        """What the channels of weights stand for that depend on the labels."""
        settings = self.recipe.network
        return channels_of(self.network, self.skeleton, settings.background, self.val.classes, settings.visibility)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The losses of heatmaps, PAFs, class maps and visibility."""
        stages = self.network(batch["image"].float().contiguous(memory_format=torch.channels_last))
        return stage_losses(stages, batch, self.recipe.loss)

    def export_module(self) -> nn.Module:
        """The last stage, with heatmaps from 0 to 1."""
        return LastStage(self.network, logits=self.recipe.loss.kind == "weighted")

    def spec(self) -> ModelSpec:
        """The specification of the exported file."""
        sizes = self.recipe.input
        return ModelSpec(
            name=self.recipe.name,
            method="openpose",
            skeleton=self.skeleton,
            classes=self.val.classes,
            task="multi_instance",
            input=InputSpec(
                resize="letterbox",
                size=sizes.inference_size,
                multiple=self.recipe.network.multiple,
                scales=sizes.scales,
                scale_gap=sizes.scale_gap,
            ),
            stride=self.recipe.network.stride,
            outputs=(
                "heatmaps",
                "pafs",
                *([CLASSES] if self.val.classes else []),
                *([VISIBILITY] if self.recipe.network.visibility else []),
            ),
            decode=dict(self.recipe.decode),
            provenance=provenance_of(self.recipe),
        )

    def predict(self, network: Network, index: int) -> Poses:
        """The detections in a validation image."""
        return predictor(network)(self.val.images[index].path)

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """AP and AR by OKS, PCK, the accuracy of classes and the AUC of visibility."""
        evaluation = measure(self.val, tuple(predictions))
        metrics = {**(evaluation.oks or {}), "PCK": evaluation.pck.value, **class_accuracy_of(evaluation)}
        return metrics | visibility_auc_of(evaluation) | pck_of_joints(evaluation)


def training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, LabelSource]]) -> TrainingSet:
    """Returns all images of all sources; images without instances are negative samples.

    For the network of hands and faces: all labeled instances of all sources.
    """
    if recipe.network.kind == "hand":
        from cairn.methods.openpose.crops import crop_training_set

        return crop_training_set(recipe, skeleton, sources)
    if recipe.network.visibility:
        check_occlusion([labels for labels, _ in sources])
    samples = [
        Sample(image, _known(labels, image, source), scale=source.scale)
        for labels, source in sources
        for image in labels
        for _ in range(source.repeat)
    ]
    encode = Encoder(recipe, skeleton, len(sources[0][0].classes))
    return TrainingSet(samples, encode, recipe.seed, recipe.run.cache)


def module(recipe: Recipe, skeleton: Skeleton, val: Labels) -> OpenPoseModule:
    """Returns the module to train, validated on `val`."""
    if recipe.network.kind == "hand":
        from cairn.methods.openpose.crops import HandModule

        return HandModule(recipe, skeleton, val)
    return OpenPoseModule(recipe, skeleton, val)


def provenance_of(recipe: Recipe) -> dict[str, str | int | float]:
    """Returns what fine-tuning must know of a model: its loss, where it is not the default."""
    return {} if recipe.loss.kind == Loss().kind else {LOSS: recipe.loss.kind}


def values_of(start: Start) -> dict[str, Any]:
    """Returns the values of a recipe without which pretrained weights would not predict what they did."""
    values: dict[str, Any] = {} if start.loss is None else {"loss.kind": start.loss}
    if start.stride not in (None, STRIDE):
        values["network.stride"] = start.stride
    if start.spec is not None and start.imported:
        values["optimizer.learning_rate"] = IMPORTED_RATE
        thresholds = {key: value for key, value in start.spec.decode.items() if key != "ignore_keypoints"}
        values |= {f"decode.{key}": value for key, value in thresholds.items()}
        if start.spec.task == "crop":
            values["input.size"] = start.spec.input.size
    return values


def _known(labels: Labels, image: LabeledImage, source: LabelSource) -> NDArray[np.bool_]:
    if source.unlabeled == "absent":
        return labels.labeled_joints
    return labels.labeled_joints & (image.annotation.visibility[image.annotation.labeled] > 0).all(axis=0)


def _expect_empty(network: KeypointNetwork, share: float) -> None:
    """Sets the biases of the heads so that the initial heatmaps and class maps have this value, instead of 0.5."""
    classes = None if isinstance(network, HandNetwork) else network.class_head
    for head in [*heatmap_heads(network), *heads_of([] if classes is None else [classes])]:
        assert head.bias is not None
        nn.init.constant_(head.bias, float(np.log(share / (1 - share))))


TRAINING = TrainingMethod(
    Recipe, read_data, training_set, module, network_of, IMAGENET_NETWORK, FILE_NETWORKS, trainable, values_of
)
