"""The network that a run starts with: random weights, ImageNet weights of the backbone, or a pretrained model."""

from __future__ import annotations

import logging

import lightning
import numpy as np
import torch

from cairn.datasets.labels import Labels
from cairn.errors import ModelError, RecipeError
from cairn.structures.skeleton import Skeleton
from cairn.training.backbones.imagenet import IMAGENET
from cairn.training.checkpoints.backbone_file import is_backbone_file, read_backbone
from cairn.training.checkpoints.pretrained import carry_over, folded_norms, read_start, restore_norms
from cairn.training.data.loading import TrainingSet
from cairn.training.engine.module import KeypointModule
from cairn.training.method import TrainingMethod
from cairn.training.recipe import Recipe

NORM_SAMPLES = 64
"""Training samples from which the statistics of folded normalization layers are estimated."""

log = logging.getLogger(__name__)


def build_module(
    method: TrainingMethod, recipe: Recipe, skeleton: Skeleton, val: Labels, training: TrainingSet, resumed: bool
) -> KeypointModule:
    """Returns the module to train, with its initial weights.

    Args:
        method: The method of the recipe.
        recipe: The recipe. `pretrained` names the initial weights; without it they are random, drawn by `seed`.
        skeleton: What the network predicts.
        val: The validation set.
        training: The training set, from which statistics of normalization are estimated.
        resumed: Whether the weights of a checkpoint replace the initial ones: then they stay random.

    Raises:
        RecipeError: The network has no backbone that takes ImageNet weights, or those of the file.
        ModelError: The pretrained weights cannot be read, or are of another network or method.
    """
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    module = method.module(recipe, skeleton, val)
    if not recipe.pretrained or resumed:
        return module
    if recipe.pretrained == IMAGENET:
        module.load_imagenet()
        log.info("backbone: ImageNet weights")
        return module
    if is_backbone_file(recipe.pretrained):
        if recipe.pretrained_backbone:
            raise RecipeError(f"pretrained_backbone: {recipe.pretrained} has weights of a backbone already")
        _load_backbone(module, recipe)
        return module
    _load_pretrained(module, method, recipe, training)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    return module


def _load_backbone(module: KeypointModule, recipe: Recipe) -> None:
    """Copies the weights of a classification network into the backbone; the other layers keep their initial ones."""
    assert recipe.pretrained
    if module.backbone is None:
        raise RecipeError(f"{recipe.method} has no backbone that takes {recipe.pretrained}")
    weights = read_backbone(recipe.pretrained, module.backbone.name)
    weights.load(module.backbone, recipe.normalization)
    if module.published_heads is not None:
        weights.load_heads(module.published_heads)
    normalized = f", images normalized as {weights.normalization}" if weights.normalization else ""
    log.info("backbone: %s of %s%s", weights.backbone, weights.path, normalized)


def _load_pretrained(module: KeypointModule, method: TrainingMethod, recipe: Recipe, training: TrainingSet) -> None:
    """Copies the weights of a pretrained model; channels of other keypoints or limbs keep their initial weights.

    The backbone gets those of ImageNet instead, where the recipe says so.
    """
    assert recipe.pretrained
    start = method.adopted(read_start(recipe.pretrained))
    channels = module.channels()
    if not channels or start.method != recipe.method:
        raise ModelError(
            f"{start.name} is a model of {start.method}: {recipe.method} cannot be fine-tuned from its weights"
        )
    start = method.grown(start, recipe)
    empty = Labels(start.skeleton, (), np.ones(len(start.skeleton), bool), start.classes)
    pretrained_channels = method.module(recipe, start.skeleton, empty).channels()
    copied, total = carry_over(module.network, start, channels, pretrained_channels)
    folded = folded_norms(module.network, start)
    features = "all features"
    if recipe.pretrained_backbone == IMAGENET:
        module.load_imagenet()
        assert module.backbone is not None
        known = {id(layer) for layer in module.backbone.modules()}
        folded = [name for name in folded if id(module.network.get_submodule(name)) not in known]
        features = "all features but the backbone's, which are ImageNet's"
    images = (training[i]["image"][None] for i in range(min(NORM_SAMPLES, len(training))))
    restore_norms(module.network, folded, (torch.from_numpy(image).float() for image in images))
    channels_of = f"{copied} of {total} channels of keypoints and limbs"
    log.info("pretrained weights of %s: %s, %s", start.name, features, channels_of)
    if new := [name for name in module.val.classes if name not in start.classes]:
        head = ", ".join(new) if start.classes else f"the whole class head ({', '.join(new)})"
        log.info("trained from scratch, because %s lacks these classes: %s", start.name, head)
