"""Poses drawn on an image, for people to look at.

An object's ink goes in full strength on a copy of its part of the image, and its opacity into a fourth channel;
one blend joins the two.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError
from cairn.media.images import ImageLike, as_image
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names

Color = tuple[int, int, int]

By = Literal["limb", "object"]
"""What a color tells: which limb it is, or which object."""

FAINTEST = 0.35
"""Opacity of the least sure keypoint: still to be seen."""

OUTLINE = 0.45
"""Opacity of the dark line around a limb, relative to the limb's: it stands out on any ground."""

FAR = 2.0**20
"""Pixels from where on all places are the same: OpenCV's coordinates end a little further on."""

FRACTION_BITS = 4  # of a pixel in OpenCV's coordinates

BLACK, GRAY, WHITE = (0, 0, 0), (160, 160, 160), (255, 255, 255)

GOLDEN = 0.381966  # of a circle between the hues of two objects: neighbors in number differ most


def draw(image: ImageLike, poses: Poses, threshold: float = 0.0, by: By = "limb") -> NDArray[np.uint8]:
    """The image with every object's limbs and joints on it: a new (H, W, 3) uint8 array.

    threshold  keypoints less sure are left out
    by         "limb": each joint and limb in the skeleton's colors; "object": each object in one of its own, the
               same for the same id

    The surer a keypoint, the more opaque; lines grow with the object and with the image. Where the poses have
    ids, each stands beside its object. Raises CairnError where `by` is neither.
    """
    if by not in ("limb", "object"):
        raise CairnError(f"colors go by limb or by object, got {by!r}")
    canvas = as_image(image).copy()
    poses = poses.above(threshold)
    poses = poses[np.argsort(poses.scores, kind="stable")]  # the surest on top
    if not len(poses):
        return canvas
    widths = line_widths(poses, canvas.shape[:2])  # (P, K)
    names = range(len(poses)) if poses.ids is None else poses.ids.tolist()
    own = [object_color(name) for name in names]
    shapes = _Shapes.of(poses, widths)
    for row in range(len(poses)):
        there = poses.keypoints[row][poses.detected[row]].clip(-FAR, FAR)
        sheet = _Sheet(canvas, there, 2 * float(widths[row].max()) + 2)
        if not sheet.empty:
            _draw_object(sheet, shapes, row, own[row] if by == "object" else None)
            sheet.blend()
    if poses.ids is not None:
        for row, (x, y, width, _) in enumerate(poses.boxes.tolist()):
            thick = float(widths[row].max())
            if names[row] >= 0:
                _write(canvas, str(names[row]), (x + width / 2, y - 3 * thick), thick, own[row])
    return canvas


def joint_colors(skeleton: Skeleton) -> list[Color]:
    """K colors (red, green, blue): the skeleton's own, else those of the definition of its name and joints, else
    that of the first limb that touches the joint.
    """
    written = _colors_of(skeleton)
    if written:
        return [(int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in written]
    limbs = limb_colors(skeleton)
    touching = ([i for i, limb in enumerate(skeleton.limbs) if joint in limb] for joint in range(len(skeleton)))
    return [limbs[found[0]] if found else _hue(joint / len(skeleton)) for joint, found in enumerate(touching)]


def limb_colors(skeleton: Skeleton) -> list[Color]:
    """L colors (red, green, blue): that of the limb's second joint, or evenly around the circle of hues."""
    if _colors_of(skeleton):
        joints = joint_colors(skeleton)
        return [joints[b] for _, b in skeleton.limbs]
    return [_hue(limb / len(skeleton.limbs)) for limb in range(len(skeleton.limbs))]


def object_color(number: int) -> Color:
    """The color of an object by its id; gray where nobody knows who it is."""
    return GRAY if number < 0 else _hue(number * GOLDEN % 1)


def line_widths(poses: Poses, size: tuple[int, int]) -> NDArray[np.float64]:
    """(P, K) pixels, for an image of this size: those of a hand and a face go by their own extent."""
    widths = np.empty(poses.confidence.shape)
    for members in poses.skeleton.parts.values():
        found = poses.detected[:, members, None]
        low = np.where(found, poses.keypoints[:, members], np.inf).min(axis=1)
        high = np.where(found, poses.keypoints[:, members], -np.inf).max(axis=1)
        extent = np.where(np.isfinite(high - low), high - low, 0).max(axis=1)
        widths[:, members] = np.clip(extent / 60, max(size) / 640, max(size) / 120)[:, None]
    return widths


@dataclass(frozen=True, eq=False)
class _Shapes:
    """What is to be drawn of all objects, in OpenCV's fixed-point numbers, whole pixels times 2^FRACTION_BITS.

    limbs    colors of the M limbs that are drawn
    joints   colors of the K joints
    lines    (P, M, 4, 2) corners of the limbs; outlines likewise
    alphas   (P, M) from 0 to 255; 0 where an end is missing
    places   (P, K, 2)
    radii    (P, K)
    opacity  (P, K) from 0 to 255; 0 where not found
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
    def of(cls, poses: Poses, widths: NDArray) -> _Shapes:
        skeleton = poses.skeleton
        points = np.where(poses.detected[..., None], poses.keypoints, 0).clip(-FAR, FAR).astype(np.float64)
        opacity = np.where(poses.detected, FAINTEST + (1 - FAINTEST) * poses.confidence, 0)
        opacity = (255 * opacity).round().astype(int)
        shown = [i for i in range(len(skeleton.limbs)) if i not in skeleton.hidden]
        a, b = (np.array([skeleton.limbs[i][end] for i in shown], dtype=int) for end in (0, 1))
        colors = limb_colors(skeleton)
        thick = np.minimum(widths[:, a], widths[:, b])
        return cls(
            limbs=[colors[i] for i in shown],
            joints=joint_colors(skeleton),
            lines=_bars(points[:, a], points[:, b], thick),
            outlines=_bars(points[:, a], points[:, b], 1.7 * thick),
            alphas=np.minimum(opacity[:, a], opacity[:, b]),
            places=_fixed(points),
            radii=_fixed(widths / 2),
            opacity=opacity,
        )


def _draw_object(sheet: _Sheet, shapes: _Shapes, row: int, one: Color | None) -> None:
    """one: the color of the whole object, in place of those of its limbs and joints."""
    alphas, opacity, radii = shapes.alphas[row].tolist(), shapes.opacity[row].tolist(), shapes.radii[row].tolist()
    lines, outlines = sheet.moved(shapes.lines[row]), sheet.moved(shapes.outlines[row])
    places = sheet.moved(shapes.places[row]).tolist()
    for line, outline, color, alpha in zip(lines, outlines, shapes.limbs, alphas, strict=True):
        if alpha:
            sheet.fill(outline, BLACK, round(alpha * OUTLINE))
            sheet.fill(line, one or color, alpha)
    for place, radius, color, alpha in zip(places, radii, shapes.joints, opacity, strict=True):
        if alpha:
            sheet.dot(place, round(2.1 * radius), WHITE, alpha)
            sheet.dot(place, round(1.5 * radius), one or color, alpha)


def _write(canvas: NDArray[np.uint8], text: str, middle: tuple[float, float], width: float, color: Color) -> None:
    """Above a point, in letters that suit lines of this width, and inside the image."""
    import cv2

    height, thick = max(9.0, 5 * width), max(1, round(width / 1.6))
    scale = height / 21  # the capitals' height at scale 1
    (across, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x = round(min(max(middle[0] - across / 2, thick), canvas.shape[1] - across - thick))
    y = round(min(max(middle[1], height + thick), canvas.shape[0] - thick))
    for ink, thickness in ((BLACK, 3 * thick), (color, thick)):
        cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)


def _bars(starts: NDArray, ends: NDArray, widths: NDArray) -> NDArray[np.int32]:
    """The four corners (..., 4, 2) of lines from (..., 2) to (..., 2) of widths (...), in fixed-point numbers."""
    along = ends - starts
    length = np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-6)
    aside = np.stack([-along[..., 1], along[..., 0]], axis=-1) * (widths / 2 / length)[..., None]
    return _fixed(np.stack([starts + aside, ends + aside, ends - aside, starts - aside], axis=-2))


def _fixed(values: NDArray) -> NDArray[np.int32]:
    return np.round(values * (1 << FRACTION_BITS)).astype(np.int32)


class _Sheet:
    """The part of an image that an object's ink can reach, painted over, and how opaque the paint is."""

    def __init__(self, canvas: NDArray[np.uint8], points: NDArray, margin: float) -> None:
        """Points (N, 2): where ink is; margin: pixels around them."""
        import cv2

        low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + margin) + 1, canvas.shape[1::-1]).astype(int)
        self.empty = bool((low >= high).any())  # all of it lies outside the image
        if self.empty:
            return
        self._low = low
        self._part = canvas[low[1] : high[1], low[0] : high[0]]
        self._paint = cv2.cvtColor(self._part, cv2.COLOR_RGB2RGBA)
        self._paint[..., 3] = 0

    def moved(self, places: NDArray[np.int32]) -> NDArray[np.int32]:
        """Fixed-point numbers in the image as such numbers in the part."""
        return places - (self._low.astype(np.int32) << FRACTION_BITS)

    def fill(self, corners: NDArray[np.int32], color: Color, alpha: int) -> None:
        import cv2

        cv2.fillConvexPoly(self._paint, corners, (*color, alpha), cv2.LINE_AA, FRACTION_BITS)

    def dot(self, center: list[int], radius: int, color: Color, alpha: int) -> None:
        import cv2

        cv2.circle(self._paint, center, radius, (*color, alpha), cv2.FILLED, cv2.LINE_AA, FRACTION_BITS)

    def blend(self) -> None:
        """Put the paint on the image."""
        import cv2

        cover = cv2.cvtColor(cv2.extractChannel(self._paint, 3), cv2.COLOR_GRAY2RGB)
        paint = cv2.multiply(cv2.cvtColor(self._paint, cv2.COLOR_RGBA2RGB), cover, scale=1 / 255)
        cv2.add(paint, cv2.multiply(self._part, 255 - cover, scale=1 / 255), dst=self._part)


def _colors_of(skeleton: Skeleton) -> tuple[str, ...]:
    """Models made before skeletons had colors carry none: then the definition of that name says them."""
    if not skeleton.colors and skeleton.name in skeleton_names():
        known = load_skeleton(skeleton.name)
        return known.colors if known.joints == skeleton.joints else ()
    return skeleton.colors


def _hue(share: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(share, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
