"""Contact sheets and a 3D view of keypoints on held-out objects, each keypoint in its own color."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from cairn.files import atomic_write
from cairn.media.images import write_image
from cairn.methods.keypointnet.measures import Predicted, in_world
from cairn.methods.keypointnet.views import Views
from cairn.structures.skeleton import Skeleton
from cairn.visualization.colors import joint_colors
from cairn.visualization.page import page, paragraph
from cairn.visualization.scene3d import UP, LineSet, PointSet, Up, scene
from cairn.visualization.sheet import compose_sheet

if TYPE_CHECKING:
    from cairn.methods.keypointnet.training import KeypointNetModule

OBJECTS, COLUMNS = 4, 6
"""Rows of a sheet, each an object; and views of each."""

TILE = 192
"""Pixels along a side of a tile."""

SCENE_OBJECTS = 6
"""Maximum number of objects in the 3D view."""

VIEW_FILE = "keypoints.html"

log = logging.getLogger(__name__)


def keypoint_sheet(views: Views, predicted: Predicted, skeleton: Skeleton) -> NDArray[np.uint8]:
    """Draws keypoints on views of the first objects; each row is an object.

    Returns:
        (H, W, 3) uint8.
    """
    tiles = []
    for number in range(min(OBJECTS, len(views.names))):
        rows = np.flatnonzero(views.objects == number)
        for row in rows[np.linspace(0, len(rows) - 1, COLUMNS).astype(int)]:
            tiles.append(_tile(views.images[row], (predicted.uv[row] + 1) * TILE / 2 - 0.5, joint_colors(skeleton)))
    return compose_sheet(tiles, TILE, COLUMNS)


def _tile(
    image: NDArray[np.uint8], points: NDArray[np.float64], colors: Sequence[tuple[int, int, int]]
) -> NDArray[np.uint8]:
    import cv2

    tile: NDArray[np.uint8] = np.asarray(cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_CUBIC), np.uint8)
    for number, (point, color) in enumerate(zip(points, colors, strict=True)):
        x, y = np.clip(np.round(point), -TILE, 2 * TILE).astype(int).tolist()
        cv2.circle(tile, (x, y), 6, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(tile, (x, y), 5, color, cv2.FILLED, cv2.LINE_AA)
        cv2.putText(tile, str(number), (x + 6, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(tile, str(number), (x + 6, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)
    return tile


def keypoint_scene(views: Views, predicted: Predicted, skeleton: Skeleton) -> str:
    """Returns a 3D view: the mean keypoints of each object, and, small, those of each single view, in object units."""
    world = in_world(predicted.points, views)
    colors = np.array(joint_colors(skeleton))
    items: list[PointSet | LineSet] = []
    for number, name in enumerate(views.names[:SCENE_OBJECTS]):
        own = world[views.objects == number]
        items.append(PointSet(name, own.mean(axis=0), colors, 11, tuple(f"{name}: {each}" for each in skeleton.joints)))
        ends = np.stack([np.broadcast_to(own.mean(axis=0), own.shape), own], axis=2).reshape(-1, 2, 3)
        items.append(LineSet(f"single views of {name}", ends, np.tile(colors, (len(own), 1)), 1))
    caption = "Keypoints on held-out objects, in object units. Lines lead to the keypoints of single views."
    return scene(items, up=_up(views), caption=caption)


def _up(views: Views) -> Up:
    """Returns the axis of the world that is nearest to up in the images."""
    up = -views.rotations[:, 1].mean(axis=0)
    names: list[Up] = list(UP)  # type: ignore[arg-type]  # its keys are the axes
    return max(names, key=lambda name: float(np.dot(UP[name], up)))


class Sheets(Callback):
    """Writes RUN/sheets/epoch-0012.png and RUN/keypoints.html after each validation."""

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook."""
        module: KeypointNetModule = pl_module  # type: ignore[assignment]  # this method's
        if trainer.sanity_checking or module.predicted is None or trainer.logger is None:
            return
        run = Path(str(trainer.logger.save_dir))
        path = run / "sheets" / f"epoch-{trainer.current_epoch + 1:04d}.png"
        path.parent.mkdir(exist_ok=True)
        val, skeleton = module.data.val, module.spec().skeleton
        write_image(path, keypoint_sheet(val, module.predicted, skeleton))
        sections = [keypoint_scene(val, module.predicted, skeleton), paragraph(f"Epoch {trainer.current_epoch + 1}")]
        with atomic_write(run / VIEW_FILE) as partial:
            partial.write_text(page(f"3D keypoints of {module.recipe.name}", sections), encoding="utf-8")
        log.info("contact sheet: %s, 3D view: %s", path, run / VIEW_FILE)
