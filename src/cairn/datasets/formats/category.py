"""The skeleton that labels describe: a COCO category, or another tool's names, limbs and flip pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cairn.errors import SkeletonError
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import COLOR, DEFAULT_SIGMA, Limb, Skeleton, load_skeleton, skeleton_names


def skeleton_from_category(category: Mapping[str, Any]) -> Skeleton:
    """Returns the skeleton of a COCO category: `keypoints` and `skeleton`, whose joint numbers start at 1.

    `flip_pairs` and `sigmas` are Cairn's additions (see `category_from_skeleton`), `keypoint_colors` is
    coco-annotator's.

    Raises:
        SkeletonError: The category contradicts itself.
    """
    count = len(category["keypoints"])
    sigmas = category.get("sigmas")
    if sigmas is not None and not (isinstance(sigmas, list) and all(isinstance(s, int | float) for s in sigmas)):
        raise SkeletonError(f"sigmas must be a list of numbers, got {sigmas!r:.40}")
    colors = category.get("keypoint_colors")
    if not (isinstance(colors, list) and len(colors) == count and all(map(is_color, colors))):
        colors = ()  # invalid colors do not make the labels unusable
    flips = _pairs(category, "flip_pairs", count) if "flip_pairs" in category else None
    name, limbs = str(category.get("name", "object")), _pairs(category, "skeleton", count)
    return make_skeleton(name, category["keypoints"], limbs, flips, sigmas, colors)


def category_from_skeleton(skeleton: Skeleton) -> dict[str, Any]:
    """Returns the category that `skeleton_from_category` reads as this skeleton."""
    return {
        "id": 1,
        "name": skeleton.name,
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
        "flip_pairs": [[a + 1, b + 1] for a, b in skeleton.flip_pairs],
        "sigmas": list(skeleton.sigmas),
        **({"keypoint_colors": list(skeleton.colors)} if skeleton.colors else {}),
    }


def make_skeleton(
    name: str,
    joints: Sequence[str],
    limbs: Iterable[Limb] = (),
    flip_pairs: Iterable[Limb] | None = None,
    sigmas: Sequence[float] | None = None,
    colors: Sequence[str] = (),
) -> Skeleton:
    """Returns the skeleton that a label file describes.

    It is a built-in skeleton where the joints are the same and no other given value contradicts it.

    Args:
        name: Name of the skeleton.
        joints: Joint names.
        limbs: Pairs of joint indices. Duplicates are dropped; limbs that close a cycle are marked redundant.
        flip_pairs: Pairs of joint indices; None infers them from the names.
        sigmas: OKS sigmas; None takes COCO's for joints with COCO's names and the default for the others.
        colors: `#rrggbb` for each joint, or nothing.

    Raises:
        SkeletonError: The values contradict each other.
    """
    joints, limbs = tuple(joints), tuple(limbs)
    pairs = None if flip_pairs is None else tuple(flip_pairs)
    for known in map(load_skeleton, skeleton_names()):
        same_flips = pairs is None or {frozenset(pair) for pair in pairs} == set(map(frozenset, known.flip_pairs))
        same_sigmas = sigmas is None or tuple(sigmas) == known.sigmas
        if known.joints == joints and same_flips and same_sigmas and (known.limbs or not limbs):
            return known
    unique: list[Limb] = []
    for a, b in limbs:
        if a != b and (a, b) not in unique and (b, a) not in unique:
            unique.append((a, b))
    return Skeleton(
        name=name,
        joints=joints,
        limbs=tuple(unique),
        redundant=_redundant(unique, len(joints)),
        flip_pairs=flip_pairs_by_name(joints) if pairs is None else pairs,
        sigmas=sigmas_by_name(joints) if sigmas is None else tuple(sigmas),
        colors=tuple(colors),
    )


def sigmas_by_name(joints: Sequence[str]) -> tuple[float, ...]:
    """Returns COCO's OKS sigma for each joint with the name of a COCO joint, and the default for the others."""
    coco = load_skeleton("coco17")
    measured = dict(zip(coco.joints, coco.sigmas, strict=True))
    return tuple(measured.get(joint, DEFAULT_SIGMA) for joint in joints)


def is_color(value: Any) -> bool:
    """Returns whether a value is a color `#rrggbb`."""
    return isinstance(value, str) and COLOR.fullmatch(value) is not None


def _pairs(category: Mapping[str, Any], key: str, joints: int) -> list[Limb]:
    """Pairs of joint numbers from 1 as pairs of indices."""
    pairs = category.get(key) or []
    if not isinstance(pairs, list):
        raise SkeletonError(f"{key} must be a list of pairs of joint numbers, got {pairs!r:.40}")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(_is_joint(end, joints) for end in pair)):
            what = "limb" if key == "skeleton" else "flip pair"
            raise SkeletonError(f"{what} {pair!r:.60} must be two joint numbers from 1 to {joints}")
    return [(a - 1, b - 1) for a, b in pairs]


def _redundant(limbs: Sequence[Limb], joints: int) -> tuple[int, ...]:
    """Indices of the limbs that connect joints that earlier limbs connect already."""
    component, redundant = list(range(joints)), []
    for i, (a, b) in enumerate(limbs):
        if component[a] == component[b]:
            redundant.append(i)
        else:
            component = [component[a] if member == component[b] else member for member in component]
    return tuple(redundant)


def _is_joint(number: Any, joints: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= joints
