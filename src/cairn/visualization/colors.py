"""Colors of joints, limbs and instances."""

from __future__ import annotations

import colorsys

from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names

Color = tuple[int, int, int]
"""(red, green, blue), each 0 to 255."""

BLACK, GRAY, WHITE = (0, 0, 0), (160, 160, 160), (255, 255, 255)

GOLDEN = 0.381966
"""Fraction of the hue circle between consecutive instances, so that neighbors in number differ most."""


def joint_colors(skeleton: Skeleton) -> list[Color]:
    """Returns K colors: those of the skeleton, else of the built-in skeleton with its name and joints, else of limbs.

    Without colors of its own, a joint has the color of the first limb that touches it.
    """
    written = _colors_of(skeleton)
    if written:
        return [(int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in written]
    limbs = limb_colors(skeleton)
    touching = ([i for i, limb in enumerate(skeleton.limbs) if joint in limb] for joint in range(len(skeleton)))
    return [limbs[first[0]] if first else _hue(joint / len(skeleton)) for joint, first in enumerate(touching)]


def limb_colors(skeleton: Skeleton) -> list[Color]:
    """Returns L colors: that of the limb's second joint, or evenly spaced hues."""
    if _colors_of(skeleton):
        joints = joint_colors(skeleton)
        return [joints[b] for _, b in skeleton.limbs]
    return [_hue(limb / len(skeleton.limbs)) for limb in range(len(skeleton.limbs))]


def object_color(number: int) -> Color:
    """Returns the color of an instance by its track ID; gray for -1, without one."""
    return GRAY if number < 0 else _hue(number * GOLDEN % 1)


def _colors_of(skeleton: Skeleton) -> tuple[str, ...]:
    """Returns the colors of a skeleton; older models have none, then those of the built-in skeleton of that name."""
    if not skeleton.colors and skeleton.name in skeleton_names():
        known = load_skeleton(skeleton.name)
        return known.colors if known.joints == skeleton.joints else ()
    return skeleton.colors


def _hue(fraction: float) -> Color:
    """Returns the color of a fraction of the hue circle."""
    red, green, blue = colorsys.hsv_to_rgb(fraction, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
