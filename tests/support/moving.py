"""Frames of a static camera in front of which a disk with a thin tail moves."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cairn.media.images import write_image


def scene(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A background with structure, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def frame(background: np.ndarray, center: tuple[float, float] | None, radius: float, **how: Any) -> np.ndarray:
    """A frame.

    Args:
        background: The scene.
        center: Of the disk, (x, y); None draws none.
        radius: Of the disk in pixels.
        how: `noise`: standard deviation; `light`: added to all pixels; `tail`: length in pixels; `rng`.
    """
    image = background.astype(np.float64) + how.get("light", 0)
    if center is not None:
        mask = np.zeros(background.shape[:2], np.uint8)
        cv2.circle(mask, (round(center[0]), round(center[1])), round(radius), 255, -1)
        if tail := how.get("tail", 0):
            end = round(center[0] + radius + tail), round(center[1])
            cv2.line(mask, (round(center[0]), round(center[1])), end, 255, max(1, round(radius / 10)))
        image[mask > 0] = 15
    if how.get("noise"):
        image += how["rng"].normal(0, how["noise"], image.shape)
    return np.clip(image.round(), 0, 255).astype(np.uint8)


def places(count: int, size: tuple[int, int], radius: float, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) centers of disks inside an image."""
    height, width = size
    return rng.uniform((radius + 1, radius + 1), (width - 2 - radius, height - 2 - radius), (count, 2))


def write_frames(folder: Path, count: int = 12, size: tuple[int, int] = (90, 120), radius: float = 9) -> np.ndarray:
    """Writes frames 000.png, 001.png, ...; returns the (count, 2) centers."""
    folder.mkdir(parents=True, exist_ok=True)
    centers = places(count, size, radius, np.random.default_rng(1))
    background = scene(size)
    for i, (x, y) in enumerate(centers):
        write_image(folder / f"{i:03d}.png", frame(background, (x, y), radius))
    return centers
