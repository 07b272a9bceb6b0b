"""Training of hourglasses: crops, targets, LightningModule. Newell et al., ECCV 2016, section 3.4."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.datasets.crops import square_around
from cairn.datasets.labels import Labels
from cairn.errors import LabelError, RecipeError
from cairn.evaluation.evaluate import measure
from cairn.evaluation.prediction import predict_annotated_boxes
from cairn.inference.model_spec import CLASSES, VISIBILITY, InputSpec, ModelSpec
from cairn.inference.network import Network
from cairn.inference.predictor import check_boxes, large_enough
from cairn.methods.hourglass import predictor
from cairn.methods.hourglass.losses import class_entropy, cross_entropy, squared_error, visibility_entropy
from cairn.methods.hourglass.model import STRIDE, Hourglass, LastStack
from cairn.methods.hourglass.network import FILE_NETWORKS, IMAGENET_NETWORK, build_network, grow, network_of
from cairn.methods.hourglass.recipe import Recipe
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import image_to_field
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.backbones.backbone import Backbone
from cairn.training.checkpoints.pretrained import LOSS, Start
from cairn.training.data.augmentation import moved, random_view, recolored
from cairn.training.data.loading import Batch, EpochBatches, Sample, TrainingSet
from cairn.training.data.sources import read_data
from cairn.training.data.visibility import check_occlusion, visible_cells
from cairn.training.engine.module import (
    Channels,
    KeypointModule,
    class_accuracy_of,
    pck_of_joints,
    visibility_auc_of,
)
from cairn.training.engine.processes import processes
from cairn.training.method import TrainingMethod
from cairn.training.recipe import LabelSource

HEAD_WEIGHT = {"cross_entropy": 1.0, "squared": 1e-3}
"""Loss of the heatmaps -> weight of the cross-entropy of classes and of visibility beside it: all have about the same
size."""

IMPORTED_RATE = 2.5e-4
"""Learning rate for fine-tuning published networks: that of their training."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """Crops an image around the bounding box of one instance, and renders the targets of the crop.

    For task "single_instance" the crop is the whole image.

    Attributes:
        recipe: Sizes, augmentation and targets.
        skeleton: Joints.
    """

    recipe: Recipe
    skeleton: Skeleton

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Returns image (3, H, W) and targets of one sample, augmented by random draws."""
        recipe = self.recipe
        size = (recipe.input.size, recipe.input.size)
        cells = (size[0] // STRIDE, size[1] // STRIDE)
        annotation = sample.image.annotation[sample.rows or slice(None)]
        if recipe.task == "single_instance":
            rows, columns = image.shape[:2]
            center, side = ((columns - 1) / 2, (rows - 1) / 2), float(max(rows, columns))
        else:
            center, side = square_around(annotation.boxes[0], recipe.input.margin)
        view = random_view(recipe.augmentation, rng, center, side / sample.scale, size)
        labels = moved(annotation, view, self.skeleton)
        keypoints = image_to_field(labels.keypoints, STRIDE)
        heatmaps = render_gaussians(keypoints, cells, recipe.sigma)
        visible = {VISIBILITY: visible_cells(keypoints, labels, heatmaps, recipe.sigma)}
        return {
            "image": recolored(view.affine.warp(image, size), recipe.augmentation, rng).transpose(2, 0, 1),
            "heatmaps": heatmaps,
            **(visible if recipe.network.visibility else {}),
            "weights": (labels.visibility[0] > 0).astype(np.float32),
            **({} if labels.classes is None else {"classes": labels.classes[0]}),
        }


class HourglassModule(KeypointModule):
    """Stacked hourglasses in training."""

    recipe: Recipe
    network: Hourglass

    def __init__(self, recipe: Recipe, skeleton: Skeleton, val: Labels) -> None:
        network: Any = build_network(
            recipe.network, len(skeleton), len(val.classes)
        )  # torch's types lack memory_format
        super().__init__(recipe, network.to(memory_format=torch.channels_last), val)
        self.skeleton = skeleton

    @property
    def backbone(self) -> Backbone:
        """The backbone of the network."""
        return self.network.backbone

    @property
    def monitor(self) -> str:
        """Area under the PCK curve."""
        return "AUC"  # PCK is often 100 long before the error stops decreasing

    def channels(self) -> Channels:
        """What the channels of weights stand for that depend on the labels."""
        joints = self.skeleton.joints
        heads = {
            f"stacks.{i}.heatmaps.{part}": 0 for i in range(self.recipe.network.stacks) for part in ("weight", "bias")
        }
        merges = {f"merges.{i}.heatmaps.weight": 1 for i in range(self.recipe.network.stacks - 1)}
        classes = tuple(("class", name) for name in self.val.classes)
        of_classes = {f"class_head.{part}": (0, classes) for part in ("weight", "bias") if classes}
        if self.recipe.network.visibility:
            heads |= {"visibility_head.weight": 0, "visibility_head.bias": 0}
        return {name: (axis, joints) for name, axis in (heads | merges).items()} | of_classes

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The loss of heatmaps, of classes if there are several, and of visibility if it is predicted."""
        outputs = self.network.outputs(batch["image"].float().contiguous(memory_format=torch.channels_last))
        loss = squared_error if self.recipe.loss == "squared" else cross_entropy
        weight = HEAD_WEIGHT[self.recipe.loss]
        losses = {"heatmaps": loss(outputs.heatmaps, batch["heatmaps"], batch["weights"])}
        if outputs.classes is not None:
            losses["classes"] = weight * class_entropy(outputs.classes, batch["classes"])
        if outputs.visibility is not None:
            losses[VISIBILITY] = weight * visibility_entropy(
                outputs.visibility, batch[VISIBILITY], batch["heatmaps"] * batch["weights"][:, :, None, None]
            )
        return losses

    def export_module(self) -> nn.Module:
        """The last stack, whose peaks are confidences."""
        recipe = self.recipe
        return LastStack(self.network, None if recipe.loss == "squared" else recipe.sigma, recipe.smoothing)

    def spec(self) -> ModelSpec:
        """The specification of the exported file."""
        settings = self.recipe.input
        multiple = self.recipe.network.multiple
        return ModelSpec(
            name=self.recipe.name,
            method="hourglass",
            skeleton=self.skeleton,
            classes=self.val.classes,
            task=self.recipe.task,
            input=InputSpec(resize="square", size=settings.size, multiple=multiple, margin=settings.margin),
            stride=STRIDE,
            outputs=(
                "heatmaps",
                *([CLASSES] if self.val.classes else []),
                *([VISIBILITY] if self.recipe.network.visibility else []),
            ),
            decode={"refinement": self.recipe.refinement, **({"turns": True} if self.recipe.turns else {})},
            provenance={LOSS: self.recipe.loss} if self.recipe.loss == "squared" else {},
        )

    def predict(self, network: Network, index: int) -> Poses:
        """The detections in a validation image: in its annotated bounding boxes, or in the whole image."""
        image = self.val.images[index]
        if self.recipe.task == "single_instance":
            return predictor(network)(image.path)
        return predict_annotated_boxes(predictor(network), image, self.skeleton)

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """PCK, the area under its curve, the mean error, the accuracy of classes and the AUC of visibility."""
        evaluation = measure(self.val, tuple(predictions), task=self.recipe.task)
        metrics = {"PCK": evaluation.pck.value, "AUC": evaluation.pck.area, "error": evaluation.error.value}
        return metrics | class_accuracy_of(evaluation) | visibility_auc_of(evaluation) | pck_of_joints(evaluation)


def training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, LabelSource]]) -> TrainingSet:
    """Returns all labeled instances of all sources; for task "crop", those whose bounding boxes have an area.

    Raises:
        LabelError: There is no labeled instance; a bounding box lies outside its image; for task "single_instance", an
            image has several instances; or, for network.visibility, no keypoint is occluded.
        RecipeError: A batch of one sample ends in one cell, which cannot be normalized.
    """
    whole = recipe.task == "single_instance"
    if recipe.network.visibility:
        check_occlusion([labels for labels, _ in sources])
    for labels, _ in sources:
        (_check_single if whole else check_boxes_of)(labels)
    samples = [
        Sample(image, labels.labeled_joints, slice(row, row + 1), source.scale)
        for labels, source in sources
        for image in labels
        for row in np.flatnonzero(image.annotation.labeled & (whole | ~_flat(image.annotation)))
        for _ in range(source.repeat)
    ]
    if not samples:
        raise LabelError("no labeled instance with a bounding box has a visible keypoint: there is nothing to train on")
    flat = sum(int(_flat(image.annotation).sum()) for labels, _ in sources for image in labels)
    if flat and not whole:
        log.info("%d labeled instances are skipped: their bounding boxes have no area", flat)
    run = recipe.run
    batches = EpochBatches(len(samples), recipe.seed, run.batch_size, run.accumulate, processes=processes().count)
    if batches.min_share == 1 and recipe.input.size == recipe.network.multiple:
        raise RecipeError(
            "a batch of one crop that ends in one cell cannot be normalized: increase run.batch_size or input.size"
        )
    return TrainingSet(samples, Encoder(recipe, skeleton), recipe.seed, run.cache)


def module(recipe: Recipe, skeleton: Skeleton, val: Labels) -> HourglassModule:
    """Returns the module to train, validated on `val`.

    Raises:
        LabelError: A bounding box lies outside its image; or, for task "single_instance", an image has several
            instances.
    """
    (_check_single if recipe.task == "single_instance" else check_boxes_of)(val)
    return HourglassModule(recipe, skeleton, val)


def check_boxes_of(labels: Labels) -> None:
    """Checks that the bounding boxes of labeled instances lie in their images.

    Raises:
        LabelError: One lies outside; names the image.
    """
    for image in labels:
        try:
            check_boxes(large_enough(image.annotation.boxes[image.annotation.labeled]), image.size)
        except LabelError as error:
            raise LabelError(f"{image.path}: {error}") from None


def _check_single(labels: Labels) -> None:
    for image in labels:
        if (count := int(image.annotation.labeled.sum())) > 1:
            raise LabelError(
                f"{image.path} has {count} labeled instances, but task single_instance expects one per image: "
                'use --method openpose, or set task = "crop"'
            )


def _flat(annotation: Annotation) -> NDArray[np.bool_]:
    """(P,): labeled instances whose bounding boxes have no area."""
    return annotation.labeled & ~(annotation.boxes[:, 2:] > 0).all(axis=1)


def values_of(start: Start) -> dict[str, Any]:
    """Returns the values of a recipe without which pretrained weights would not predict what they did."""
    values: dict[str, Any] = {} if start.loss is None else {"loss": start.loss}
    if start.spec is not None and start.imported:
        shape = start.spec.input
        values |= {"task": start.spec.task, "input.size": shape.size, "input.margin": shape.margin}
        values["optimizer.learning_rate"] = IMPORTED_RATE
    return values


TRAINING = TrainingMethod(
    Recipe,
    read_data,
    training_set,
    module,
    network_of,
    IMAGENET_NETWORK,
    FILE_NETWORKS,
    grow=lambda weights, recipe: grow(weights, recipe.network),
    values_of=values_of,
)
