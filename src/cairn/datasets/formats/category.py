"""The skeleton that labels describe: a COCO category, or another tool's names, limbs and pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cairn.errors import SkeletonError
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import COLOR, DEFAULT_SIGMA, Limb, Skeleton, skeleton_names
from cairn.structures.skeleton import load_skeleton as definition


def skeleton_of_category(category: Mapping[str, Any]) -> Skeleton:
    """The skeleton that a COCO category describes: `keypoints` and `skeleton`, whose joints count from 1.

    `flip_pairs` and `sigmas` are Cairn's own additions (see `category_of`), `keypoint_colors` coco-annotator's.
    Raises SkeletonError where the category contradicts itself.
    """
    count = len(category["keypoints"])
    sigmas = category.get("sigmas")
    if sigmas is not None and not (isinstance(sigmas, list) and all(isinstance(s, int | float) for s in sigmas)):
        raise SkeletonError(f"sigmas must be a list of numbers, got {sigmas!r:.40}")
    colors = category.get("keypoint_colors")
    if not (isinstance(colors, list) and len(colors) == count and all(map(is_color, colors))):
        colors = ()  # how it looks is no reason to refuse it
    flips = _pairs(category, "flip_pairs", count) if "flip_pairs" in category else None
    name, limbs = str(category.get("name", "object")), _pairs(category, "skeleton", count)
    return described(name, category["keypoints"], limbs, flips, sigmas, colors)


def category_of(skeleton: Skeleton) -> dict[str, Any]:
    """The category that `skeleton_of_category` reads as this skeleton."""
    return {
        "id": 1,
        "name": skeleton.name,
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
        "flip_pairs": [[a + 1, b + 1] for a, b in skeleton.flip_pairs],
        "sigmas": list(skeleton.sigmas),
        **({"keypoint_colors": list(skeleton.colors)} if skeleton.colors else {}),
    }


def described(
    name: str,
    joints: Sequence[str],
    limbs: Iterable[Limb] = (),
    flip_pairs: Iterable[Limb] | None = None,
    sigmas: Sequence[float] | None = None,
    colors: Sequence[str] = (),
) -> Skeleton:
    """A definition of Cairn's where the joints are the same and nothing else that is given contradicts it; else the
    given limbs (those that would close a circle are redundant), flip pairs or those by name, and the given sigmas or
    COCO's for the joints that bear COCO's names.

    Raises SkeletonError where these contradict each other.
    """
    joints, limbs = tuple(joints), tuple(limbs)
    pairs = None if flip_pairs is None else tuple(flip_pairs)
    for known in map(definition, skeleton_names()):
        same_flips = pairs is None or {frozenset(pair) for pair in pairs} == set(map(frozenset, known.flip_pairs))
        same_sigmas = sigmas is None or tuple(sigmas) == known.sigmas
        if known.joints == joints and same_flips and same_sigmas and (known.limbs or not limbs):
            return known
    once: list[Limb] = []
    for a, b in limbs:
        if a != b and (a, b) not in once and (b, a) not in once:
            once.append((a, b))
    return Skeleton(
        name=name,
        joints=joints,
        limbs=tuple(once),
        redundant=_outside_tree(once, len(joints)),
        flip_pairs=flip_pairs_by_name(joints) if pairs is None else pairs,
        sigmas=sigmas_by_name(joints) if sigmas is None else tuple(sigmas),
        colors=tuple(colors),
    )


def sigmas_by_name(joints: Sequence[str]) -> tuple[float, ...]:
    """COCO's where a joint bears the name of one of COCO's, else the default."""
    measured = dict(zip(definition("coco17").joints, definition("coco17").sigmas, strict=True))
    return tuple(measured.get(joint, DEFAULT_SIGMA) for joint in joints)


def is_color(value: Any) -> bool:
    """#rrggbb, as skeletons have them."""
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


def _outside_tree(limbs: Sequence[Limb], joints: int) -> tuple[int, ...]:
    """Indices of the limbs that join what earlier limbs have joined already."""
    group, outside = list(range(joints)), []
    for i, (a, b) in enumerate(limbs):
        if group[a] == group[b]:
            outside.append(i)
        else:
            group = [group[a] if member == group[b] else member for member in group]
    return tuple(outside)


def _is_joint(number: Any, joints: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= joints
