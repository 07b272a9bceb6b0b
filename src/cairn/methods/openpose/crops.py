"""Training of the network of hands and faces: one instance in the crop around its bounding box.

Simon, Joo, Matthews, Sheikh: Hand Keypoint Detection in Single Images using Multiview Bootstrapping, CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cairn.datasets.crops import square_around
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.evaluation.evaluate import measure
from cairn.evaluation.prediction import predict_annotated_boxes
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Network
from cairn.inference.predictor import TopDownPredictor, check_boxes, large_enough
from cairn.methods.openpose import predictor
from cairn.methods.openpose.model import STRIDE
from cairn.methods.openpose.recipe import Recipe
from cairn.methods.openpose.training import OpenPoseModule, provenance_of, squared_loss, sum_of, weighted_loss
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.geometry import image_to_field
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.data.augmentation import moved, random_view, recolored
from cairn.training.data.loading import Batch, Sample, TrainingSet
from cairn.training.engine.module import pck_of_joints
from cairn.training.recipe import LabelSource


@dataclass(frozen=True)
class CropEncoder:
    """Crops an image around the bounding box of one instance, and renders the heatmaps of the crop.

    Attributes:
        recipe: Sizes, augmentation and targets.
        skeleton: Joints.
    """

    recipe: Recipe
    skeleton: Skeleton

    def __call__(self, image: NDArray[np.uint8], sample: Sample, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Returns image (3, H, W), heatmaps, and weights (K,) or (K + 1,): 0 for an unlabeled joint."""
        recipe = self.recipe
        size = (recipe.input.size, recipe.input.size)
        annotation = sample.image.annotation[sample.rows or slice(None)]
        center, side = square_around(annotation.boxes[0], recipe.input.margin)
        view = random_view(recipe.augmentation, rng, center, side / sample.scale, size)
        labels = moved(annotation, view, self.skeleton)
        keypoints = image_to_field(labels.keypoints, STRIDE)
        heatmaps = render_gaussians(keypoints, (size[0] // STRIDE, size[1] // STRIDE), recipe.targets.sigma)
        weights = (labels.visibility[0] > 0).astype(np.float32)
        if recipe.network.background:
            heatmaps = np.concatenate([heatmaps, 1 - heatmaps.max(axis=0, keepdims=True)])
            weights = np.append(weights, weights.min())  # the background is known where all joints are
        return {
            "image": recolored(view.affine.warp(image, size), recipe.augmentation, rng).transpose(2, 0, 1),
            "heatmaps": heatmaps,
            "weights": weights,
        }


class HandModule(OpenPoseModule):
    """The network of hands and faces in training."""

    @property
    def monitor(self) -> str:
        """Area under the PCK curve."""
        return "AUC"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The loss of heatmaps, summed over stages."""
        stages = self.network(batch["image"].float().contiguous(memory_format=torch.channels_last))
        settings = self.recipe.loss
        loss = squared_loss if settings.kind == "squared" else partial(weighted_loss, foreground=settings.foreground)
        weights = batch["weights"][:, :, None, None]
        return {"heatmaps": sum_of(loss(maps.float(), batch["heatmaps"], weights) for maps in stages.heatmaps)}

    def spec(self) -> ModelSpec:
        """The specification of the exported file."""
        sizes = self.recipe.input
        return ModelSpec(
            name=self.recipe.name,
            method="openpose",
            skeleton=self.skeleton,
            task="crop",
            input=InputSpec(resize="square", size=sizes.size, multiple=STRIDE, margin=sizes.margin),
            stride=STRIDE,
            outputs=("heatmaps",),
            provenance=provenance_of(self.recipe),
        )

    def predict(self, network: Network, index: int) -> Poses:
        """The detections in the annotated bounding boxes of a validation image."""
        of_crops = predictor(network)
        assert isinstance(of_crops, TopDownPredictor)
        return predict_annotated_boxes(of_crops, self.val.images[index], self.skeleton)

    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """PCK, the area under its curve, and the mean error."""
        evaluation = measure(self.val, tuple(predictions), task="crop")
        metrics = {"PCK": evaluation.pck.value, "AUC": evaluation.pck.area, "error": evaluation.error.value}
        return metrics | pck_of_joints(evaluation)


def crop_training_set(recipe: Recipe, skeleton: Skeleton, sources: Sequence[tuple[Labels, LabelSource]]) -> TrainingSet:
    """Returns all labeled instances of all sources whose bounding boxes have an area.

    Raises:
        LabelError: There is none, or a bounding box lies outside its image.
    """
    samples = []
    for labels, source in sources:
        for image in labels:
            annotation = image.annotation
            try:
                check_boxes(large_enough(annotation.boxes[annotation.labeled]), image.size)
            except LabelError as error:
                raise LabelError(f"{image.path}: {error}") from None
            rows = np.flatnonzero(annotation.labeled & (annotation.boxes[:, 2:] > 0).all(axis=1))
            samples += [
                Sample(image, labels.labeled_joints, slice(row, row + 1), source.scale)
                for row in rows
                for _ in range(source.repeat)
            ]
    if not samples:
        raise LabelError("no labeled instance with a bounding box has a visible keypoint: there is nothing to train on")
    return TrainingSet(samples, CropEncoder(recipe, skeleton), recipe.seed, recipe.run.cache)
