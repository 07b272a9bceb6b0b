"""Contact sheets: the same landmarks on many images, each landmark in its own color."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from cairn.datasets.crops import MARGIN
from cairn.datasets.labels import LabeledImage
from cairn.media.images import read_image, write_image
from cairn.methods.landmarks.images import view_of
from cairn.methods.landmarks.recipe import Recipe
from cairn.structures.geometry import crop
from cairn.structures.poses import Poses
from cairn.training.engine.module import KeypointModule
from cairn.visualization.colors import joint_colors
from cairn.visualization.sheet import compose_sheet

TILES = 24
COLUMNS = 6
TILE = 192
"""Pixels along a side of a tile."""
MAX_NUMBERED = 15
"""Landmarks are numbered up to this many."""

log = logging.getLogger(__name__)


def landmark_sheet(images: Sequence[LabeledImage], poses: Sequence[Poses], margin: float) -> NDArray[np.uint8]:
    """Draws landmarks on the first images.

    Args:
        images: The images, each with one box or none.
        poses: Landmarks of each image, in its pixels.
        margin: Side of a crop over the longer side of its box.

    Returns:
        (H, W, 3) uint8: a square tile for each image.
    """
    count = min(TILES, len(images))
    tiles = []
    for image, landmarks in zip(images[:count], poses[:count], strict=True):
        pixels = read_image(image.path)
        view = crop(*view_of(image, margin, pixels.shape[:2]), (TILE, TILE))
        tile = view.warp(pixels, (TILE, TILE), border=255)
        _mark(tile, landmarks.transformed(view))
        tiles.append(tile)
    return compose_sheet(tiles, TILE, min(COLUMNS, count))


def _mark(tile: NDArray[np.uint8], poses: Poses) -> None:
    """Draws dots of one size, whatever the confidence, and numbers where there are few landmarks."""
    import cv2

    few = len(poses.skeleton) <= MAX_NUMBERED
    for pose in poses.keypoints:
        for i, (point, color) in enumerate(zip(pose, joint_colors(poses.skeleton), strict=True)):
            if not np.isfinite(point).all():
                continue
            x, y = np.clip(np.round(point), -TILE, 2 * TILE).astype(int).tolist()
            cv2.circle(tile, (x, y), 5, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(tile, (x, y), 4, color, cv2.FILLED, cv2.LINE_AA)
            if few:
                cv2.putText(tile, str(i), (x + 5, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 2, cv2.LINE_AA)
                cv2.putText(tile, str(i), (x + 5, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)


class Sheets(Callback):
    """Writes RUN/sheets/epoch-0012.png after each validation, and logs its path."""

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook."""
        if trainer.sanity_checking or not isinstance(pl_module, KeypointModule) or trainer.logger is None:
            return
        folder = Path(str(trainer.logger.save_dir)) / "sheets"
        folder.mkdir(exist_ok=True)
        path = folder / f"epoch-{trainer.current_epoch + 1:04d}.png"
        recipe = pl_module.recipe
        margin = recipe.crop.margin if isinstance(recipe, Recipe) else MARGIN
        write_image(path, landmark_sheet(pl_module.val.images, pl_module.predictions, margin))
        log.info("contact sheet: %s", path)
