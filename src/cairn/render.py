"""Poses drawn on a picture, for people to look at."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from cairn.poses import Poses
from cairn.predictor import Picture, as_image
from cairn.skeleton import Skeleton

Colour = tuple[int, int, int]

FAINTEST = 0.35
"""Opacity of the least sure keypoint: still to be seen."""

FAR = 2.0**25
"""Pixels from where on all places are the same: OpenCV's coordinates end there."""


def draw(picture: Picture, poses: Poses, threshold: float = 0.0) -> NDArray[np.uint8]:
    """The picture with every object's limbs and joints on it: a new (H, W, 3) uint8 array.

    Each limb of the skeleton has its own colour; the surer a keypoint, the more opaque; lines grow with the
    object. Keypoints less sure than `threshold` are left out.
    """
    canvas = as_image(picture).copy()
    poses = poses.above(threshold)
    limbs = limb_colours(poses.skeleton)
    joints = joint_colours(poses.skeleton)
    for row in np.argsort(poses.scores, kind="stable"):  # the surest on top
        points, opacity = poses.keypoints[row], FAINTEST + (1 - FAINTEST) * poses.confidence[row]
        found, width = poses.found[row], _line_width(poses.boxes[row], canvas.shape[:2])
        for (a, b), colour in zip(poses.skeleton.limbs, limbs, strict=True):
            if found[a] and found[b]:
                ends, alpha = points[[a, b]], float(min(opacity[a], opacity[b]))
                _stroke(canvas, ends, width * 1.6, (0, 0, 0), alpha * 0.4)  # stands out on any ground
                _stroke(canvas, ends, width, colour, alpha)
        for joint in np.flatnonzero(found):
            _stroke(canvas, points[[joint]], width * 2.1, (255, 255, 255), float(opacity[joint]))
            _stroke(canvas, points[[joint]], width * 1.5, joints[joint], float(opacity[joint]))
    return canvas


def limb_colours(skeleton: Skeleton) -> list[Colour]:
    """L colours (red, green, blue), evenly around the circle of hues."""
    return [_hue(limb / len(skeleton.limbs)) for limb in range(len(skeleton.limbs))]


def joint_colours(skeleton: Skeleton) -> list[Colour]:
    """K colours: that of the first limb that touches the joint, so that a joint belongs to the eye with its limb."""
    limbs = limb_colours(skeleton)
    touching = ([i for i, limb in enumerate(skeleton.limbs) if joint in limb] for joint in range(len(skeleton)))
    return [limbs[found[0]] if found else _hue(joint / len(skeleton)) for joint, found in enumerate(touching)]


def _hue(share: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(share, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _line_width(box: NDArray[np.float32], size: tuple[int, int]) -> float:
    """Pixels, for an object with this box in a picture of this size."""
    return float(np.clip(max(box[2:]) / 60, max(size) / 640, max(size) / 120))


def _stroke(canvas: NDArray[np.uint8], points: NDArray[np.float32], width: float, colour: Colour, alpha: float) -> None:
    """Blend a round-ended line through the points, or a dot at one point, into the canvas."""
    import cv2

    points = points.clip(-FAR, FAR)
    margin = width / 2 + 2
    low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + margin) + 1, canvas.shape[1::-1]).astype(int)
    if (low >= high).any():
        return  # outside the picture
    part = canvas[low[1] : high[1], low[0] : high[0]]
    ink = np.zeros(part.shape[:2], np.uint8)
    bits = 4  # of fractions of a pixel in OpenCV's coordinates
    ends = np.round((points - low) * (1 << bits)).astype(int)
    if len(points) == 1:
        cv2.circle(ink, ends[0].tolist(), round(width / 2 * (1 << bits)), 255, cv2.FILLED, cv2.LINE_AA, bits)
    else:
        cv2.line(ink, ends[0].tolist(), ends[1].tolist(), 255, max(1, round(width)), cv2.LINE_AA, bits)
    blend = ink[..., None] * np.float32(alpha / 255)
    part[...] = np.rint(part + (np.array(colour, np.float32) - part) * blend)
