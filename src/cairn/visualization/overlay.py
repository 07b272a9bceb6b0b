"""Overlays: poses drawn on an image.

Each instance is painted opaquely on a copy of its part of the image, with the opacity in a fourth channel; one blend
puts it on the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.arguments import checked
from cairn.errors import CairnError
from cairn.media.inputs import ImageLike, as_image
from cairn.structures.poses import Poses
from cairn.visualization.colors import BLACK, WHITE, Color, joint_colors, limb_colors, object_color

By = Literal["limb", "object"]
"""What a color identifies: the limb, or the instance ("object")."""

MIN_OPACITY = 0.35
"""Opacity of a keypoint with confidence 0; at confidence 1 it is 1."""

OUTLINE = 0.45
"""Opacity of the dark outline of a limb relative to the limb's, for contrast on any background."""

FAR = 2.0**20
"""Pixels: coordinates are clipped to this, since OpenCV's range ends a little further out."""

FRACTION_BITS = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""


@checked
def draw(image: ImageLike, poses: Poses, threshold: float = 0.0, by: By = "limb") -> NDArray[np.uint8]:
    """Draws limbs and joints of all instances on a copy of an image.

    Opacity grows with the confidence of a keypoint, line width with the size of the instance and of the image. Track
    IDs, and classes where there are several, are written beside their instances.

    Args:
        image: Path, array or any other form that `as_image` takes.
        poses: Instances in pixels of the image.
        threshold: Minimum keypoint confidence to draw.
        by: "limb": joints and limbs in the colors of the skeleton; "object": one color per instance, the same for the
            same track ID.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        CairnError: If `by` is neither.
    """
    if by not in ("limb", "object"):
        raise CairnError(f"colors go by limb or by object, got {by!r}")
    canvas = as_image(image).copy()
    poses = poses.above(threshold)
    poses = poses[np.argsort(poses.scores, kind="stable")]  # the highest score on top
    if not len(poses):
        return canvas
    widths = line_widths(poses, canvas.shape[:2])  # (P, K)
    names = range(len(poses)) if poses.ids is None else poses.ids.tolist()
    own = [object_color(name) for name in names]
    shapes = _Shapes.of(poses, widths)
    for row in range(len(poses)):
        there = poses.keypoints[row][poses.detected[row]].clip(-FAR, FAR)
        layer = _Layer(canvas, there, 2 * float(widths[row].max()) + 2)
        if not layer.empty:
            _draw_instance(layer, shapes, row, own[row] if by == "object" else None)
            layer.blend()
    for row, (pose, (x, y, width, _)) in enumerate(zip(poses, poses.boxes.tolist(), strict=True)):
        thick = float(widths[row].max())
        words = [str(word) for word in (pose.id, pose.class_name) if word is not None]
        if words:
            ink = own[row] if poses.ids is not None or poses.classes is None else object_color(int(poses.classes[row]))
            _write(canvas, " ".join(words), (x + width / 2, y - 3 * thick), thick, ink)
    return canvas


def line_widths(poses: Poses, size: tuple[int, int]) -> NDArray[np.float64]:
    """Returns line widths for an image of this size (height, width): (P, K) pixels.

    Widths of the joints of a hand or face depend on the extent of that part alone.
    """
    widths = np.empty(poses.confidence.shape)
    for members in poses.skeleton.parts.values():
        detected = poses.detected[:, members, None]
        low = np.where(detected, poses.keypoints[:, members], np.inf).min(axis=1)
        high = np.where(detected, poses.keypoints[:, members], -np.inf).max(axis=1)
        extent = np.where(np.isfinite(high - low), high - low, 0).max(axis=1)
        widths[:, members] = np.clip(extent / 60, max(size) / 640, max(size) / 120)[:, None]
    return widths


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Shapes of all instances in OpenCV's fixed-point numbers, pixels times 2^FRACTION_BITS.

    Attributes:
        limbs: Colors of the M limbs that are drawn.
        joints: Colors of the K joints.
        lines: (P, M, 4, 2) corners of the limbs.
        outlines: (P, M, 4, 2) corners of their outlines.
        alphas: (P, M) opacity of the limbs, 0 to 255; 0 where an end is missing.
        places: (P, K, 2) centers of the joints.
        radii: (P, K) radii of the joints.
        opacity: (P, K) opacity of the joints, 0 to 255; 0 where not detected.
    """

    limbs: list[Color]
    joints: list[Color]
    lines: NDArray[np.int32]
    outlines: NDArray[np.int32]
    alphas: NDArray[np.intp]
    places: NDArray[np.int32]
    radii: NDArray[np.int32]
    opacity: NDArray[np.intp]

    @classmethod
    def of(cls, poses: Poses, widths: NDArray[np.float64]) -> _Shapes:
        """Computes the shapes of poses with line widths (P, K) in pixels."""
        skeleton = poses.skeleton
        points = np.where(poses.detected[..., None], poses.keypoints, 0).clip(-FAR, FAR).astype(np.float64)
        opacity = np.where(poses.detected, MIN_OPACITY + (1 - MIN_OPACITY) * poses.confidence, 0)
        opacity = (255 * opacity).round().astype(int)
        drawn = [i for i in range(len(skeleton.limbs)) if i not in skeleton.hidden]
        a, b = (np.array([skeleton.limbs[i][end] for i in drawn], dtype=int) for end in (0, 1))
        colors = limb_colors(skeleton)
        thick = np.minimum(widths[:, a], widths[:, b])
        return cls(
            limbs=[colors[i] for i in drawn],
            joints=joint_colors(skeleton),
            lines=_bars(points[:, a], points[:, b], thick),
            outlines=_bars(points[:, a], points[:, b], 1.7 * thick),
            alphas=np.minimum(opacity[:, a], opacity[:, b]),
            places=_fixed(points),
            radii=_fixed(widths / 2),
            opacity=opacity,
        )


def _draw_instance(layer: _Layer, shapes: _Shapes, row: int, one: Color | None) -> None:
    """Draws one instance; `one` is the color of the whole instance instead of those of its limbs and joints."""
    alphas, opacity, radii = shapes.alphas[row].tolist(), shapes.opacity[row].tolist(), shapes.radii[row].tolist()
    lines, outlines = layer.moved(shapes.lines[row]), layer.moved(shapes.outlines[row])
    places = layer.moved(shapes.places[row]).tolist()
    for line, outline, color, alpha in zip(lines, outlines, shapes.limbs, alphas, strict=True):
        if alpha:
            layer.fill(outline, BLACK, round(alpha * OUTLINE))
            layer.fill(line, one or color, alpha)
    for place, radius, color, alpha in zip(places, radii, shapes.joints, opacity, strict=True):
        if alpha:
            layer.dot(place, round(2.1 * radius), WHITE, alpha)
            layer.dot(place, round(1.5 * radius), one or color, alpha)


def _write(canvas: NDArray[np.uint8], text: str, middle: tuple[float, float], width: float, color: Color) -> None:
    """Writes text above a point, within the image, in letters that fit lines of this width in pixels."""
    import cv2

    height, thick = max(9.0, 5 * width), max(1, round(width / 1.6))
    scale = height / 21  # the capitals' height at scale 1
    (across, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x = round(min(max(middle[0] - across / 2, thick), canvas.shape[1] - across - thick))
    y = round(min(max(middle[1], height + thick), canvas.shape[0] - thick))
    for ink, thickness in ((BLACK, 3 * thick), (color, thick)):
        cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)


def _bars(starts: NDArray[Any], ends: NDArray[Any], widths: NDArray[Any]) -> NDArray[np.int32]:
    """Returns the corners (..., 4, 2) of lines of widths (...) between points (..., 2), in fixed-point numbers."""
    along = ends - starts
    length = np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-6)
    aside = np.stack([-along[..., 1], along[..., 0]], axis=-1) * (widths / 2 / length)[..., None]
    return _fixed(np.stack([starts + aside, ends + aside, ends - aside, starts - aside], axis=-2))


def _fixed(values: NDArray[Any]) -> NDArray[np.int32]:
    """Returns pixels as OpenCV's fixed-point numbers."""
    return np.round(values * (1 << FRACTION_BITS)).astype(np.int32)


class _Layer:
    """The part of an image that one instance can cover, with paint and its opacity."""

    def __init__(self, canvas: NDArray[np.uint8], points: NDArray[Any], margin: float) -> None:
        """Covers points (N, 2) and a margin of pixels around them."""
        import cv2

        low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + margin) + 1, canvas.shape[1::-1]).astype(int)
        self.empty = bool((low >= high).any())  # all of it is outside the image
        if self.empty:
            return
        self._low = low
        self._part = canvas[low[1] : high[1], low[0] : high[0]]
        self._paint = cv2.cvtColor(self._part, cv2.COLOR_RGB2RGBA)
        self._paint[..., 3] = 0

    def moved(self, places: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns fixed-point coordinates of the image as those of the part."""
        shifted: NDArray[np.int32] = places - (self._low.astype(np.int32) << FRACTION_BITS)
        return shifted

    def fill(self, corners: NDArray[np.int32], color: Color, alpha: int) -> None:
        """Paints a convex polygon (N, 2)."""
        import cv2

        cv2.fillConvexPoly(self._paint, corners, (*color, alpha), cv2.LINE_AA, FRACTION_BITS)

    def dot(self, center: list[int], radius: int, color: Color, alpha: int) -> None:
        """Paints a disk."""
        import cv2

        cv2.circle(self._paint, center, radius, (*color, alpha), cv2.FILLED, cv2.LINE_AA, FRACTION_BITS)

    def blend(self) -> None:
        """Blends the paint into the image."""
        import cv2

        cover = cv2.cvtColor(cv2.extractChannel(self._paint, 3), cv2.COLOR_GRAY2RGB)
        paint = cv2.multiply(cv2.cvtColor(self._paint, cv2.COLOR_RGBA2RGB), cover, scale=1 / 255)
        cv2.add(paint, cv2.multiply(self._part, 255 - cover, scale=1 / 255), dst=self._part)
