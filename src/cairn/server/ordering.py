"""The order in which images are labeled: those first that help a model most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 0.5
"""Uncertainty of an image without predictions."""

FIRST = 400
"""Images that are ordered by diversity, too; the others follow by their uncertainty."""

FLOOR = 0.15
"""Share of its uncertainty that an image keeps beside one that looks the same."""


@dataclass(frozen=True)
class Uncertainty:
    """What the predictions of an image say about their quality.

    Attributes:
        confidence: Mean confidence of its keypoints, from 0 to 1; 0 where nothing is detected.
        disagreement: Disagreement with the predictions of the mirror image, from 0 to 1.
        instances: Number of detected instances.
    """

    confidence: float
    disagreement: float
    instances: int

    @property
    def value(self) -> float:
        """Uncertainty from 0 to 1."""
        return 0.5 * (1 - self.confidence) + 0.5 * self.disagreement if self.instances else 1.0

    @property
    def reason(self) -> str:
        """The reason in words; "" where the predictions look good."""
        if not self.instances:
            return "nothing detected"
        if self.disagreement > 0.35 and self.disagreement > 1 - self.confidence:
            return "flips disagree"
        return f"confidence {100 * self.confidence:.0f}%" if self.confidence < 0.6 else ""


def helpful_order(
    images: Sequence[int],
    labeled: Sequence[int],
    uncertainty: Mapping[int, Uncertainty],
    thumbnails: Mapping[int, NDArray[np.float32]],
) -> list[int]:
    """Returns images in the order in which labeling them helps most.

    Each next image is the one with the highest product of its uncertainty and its distance from what comes before: the
    labeled images and those that are ordered already. So neighboring frames of a video do not follow one another.

    Args:
        images: IDs of the images to order.
        labeled: IDs of the images that are labeled.
        uncertainty: ID -> uncertainty of its predictions, where there are any.
        thumbnails: ID -> (D,) small version of mean 0 and norm 1, where there is one.
    """
    if not images:
        return []
    dimension = next((len(each) for each in thumbnails.values()), 1)
    none = np.zeros(dimension, np.float32)
    looks = np.stack([thumbnails.get(image, none) for image in images])
    doubt = np.array([uncertainty[i].value if i in uncertainty else UNKNOWN for i in images])
    distance = np.ones(len(images))
    for image in labeled:
        if image in thumbnails:
            distance = np.minimum(distance, _distances(looks, thumbnails[image]))
    left = np.ones(len(images), bool)
    order: list[int] = []
    while left.any() and len(order) < FIRST:
        worth = np.where(left, doubt * (FLOOR + (1 - FLOOR) * distance), -1.0)
        best = int(worth.argmax())
        left[best] = False
        order.append(images[best])
        distance = np.minimum(distance, _distances(looks, looks[best]))
    rest = np.flatnonzero(left)
    return order + [images[i] for i in rest[np.argsort(-doubt[rest], kind="stable")]]


def normalized(thumbnail: str) -> NDArray[np.float32] | None:
    """Returns a thumbnail of `ProjectImage` with mean 0 and norm 1; None where it is unknown."""
    if not thumbnail:
        return None
    values = np.frombuffer(bytes.fromhex(thumbnail), np.uint8).astype(np.float32)
    values -= values.mean()
    norm = float(np.linalg.norm(values))
    return values / norm if norm > 0 else values


def _distances(looks: NDArray[np.float32], one: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances from 0, for the same look, to 1."""
    return np.asarray(np.clip(1.0 - looks @ one, 0.0, 1.0), np.float64)
