"""Pairs of views to train and to validate on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, RecipeError
from cairn.methods.keypointnet.recipe import Recipe
from cairn.methods.keypointnet.views import Views, read_views

MEASURED_PAIRS = 3000
"""Maximum number of validation pairs that are measured."""


@dataclass(frozen=True)
class Pairs:
    """The batches of a run: pairs of views of one object.

    Attributes:
        recipe: The recipe.
        train: Views to train on.
        val: Views to validate on.
        pairs: (M, 2) rows of `train`.
        val_pairs: (M, 2) rows of `val`.
    """

    recipe: Recipe
    train: Views
    val: Views
    pairs: NDArray[np.int64]
    val_pairs: NDArray[np.int64]

    def __len__(self) -> int:
        return max(1, self.recipe.pairs // self.recipe.run.batch_size)

    def batch(self, epoch: int, index: int) -> dict[str, NDArray[Any]]:
        """Returns the two views of B pairs: image (B, 2, 3, S, S), mask, rotation, translation, intrinsics."""
        rng = np.random.default_rng((self.recipe.seed, epoch, index))
        rows = self.pairs[rng.integers(len(self.pairs), size=self.recipe.run.batch_size)]
        images = recolored(self.train.images[rows], self.recipe.augmentation.color, rng)
        return {
            "image": np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3)),
            "mask": self.train.masks[rows].astype(np.float32),
            "rotation": self.train.rotations[rows].astype(np.float32),
            "translation": self.train.translations[rows].astype(np.float32),
            "intrinsics": self.train.intrinsics[rows].astype(np.float32),
        }


def recolored(images: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns images (B, V, H, W, 3) with random contrast and brightness; black stays black."""
    if not strength:
        return images
    shape = (*images.shape[:2], 1, 1, 1)
    factor = 1 + strength * rng.uniform(-1, 1, shape)
    power = np.exp(strength * rng.uniform(-1, 1, shape))
    changed: NDArray[np.uint8] = np.clip(255 * factor * (images / 255.0) ** power, 0, 255).astype(np.uint8)
    return changed


def read_data(recipe: Recipe) -> Pairs:
    """Reads the views of a recipe.

    Raises:
        RecipeError: There are none.
        ImageError: The images or masks cannot be used, or no pair of views is within the range of angles.
        CameraError: The cameras cannot be used.
    """
    data = recipe.data
    if not data.train:
        raise RecipeError("keypointnet trains on views: give a folder, as in cairn discover views/ --three-d")
    views = read_views(data.train, data, recipe.input.size)
    if data.val:  # in the unit of the training views, as all that a model predicts
        train, val = views, read_views(data.val, data, recipe.input.size).in_unit(views.radius)
    else:
        train, val = _held_out(views, data.holdout)
    pairs, val_pairs = train.pairs(data.angles), val.pairs(data.angles)
    for name, found, of in (("training", pairs, train), ("validation", val_pairs, val)):
        if not len(found):
            (low, high), (nearest, farthest) = data.angles, of.apart()
            raise ImageError(
                f"no pair of {name} views is {low:g} to {high:g} degrees apart, and they are {nearest:.1f} to "
                f"{farthest:.1f}: set data.angles, or check the cameras"
            )
    order = np.random.default_rng(0).permutation(len(val_pairs))
    return Pairs(recipe, train, val, pairs, val_pairs[order[:MEASURED_PAIRS]])


def _held_out(views: Views, share: float) -> tuple[Views, Views]:
    """Returns views to train and to validate on: of other objects; of one object alone, other views."""
    rng = np.random.default_rng(0)
    if len(views.names) == 1:
        order = rng.permutation(len(views))
        count = max(2, round(share * len(views)))
        if len(views) < count + 2:
            raise ImageError(f"expected at least 4 views of an object, got {len(views)}")
        return views.rows(np.sort(order[count:])), views.rows(np.sort(order[:count]))
    count = max(1, round(share * len(views.names)))
    held_out = {views.names[i] for i in rng.permutation(len(views.names))[:count]}
    parts = [[name for name in views.names if (name in held_out) is chosen] for chosen in (False, True)]
    return views.of(parts[0]), views.of(parts[1])
