"""The skeleton that a COCO category describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cairn.errors import SkeletonError
from cairn.skeleton import DEFAULT_SIGMA, Skeleton, flip_pairs_by_name, skeleton_names
from cairn.skeleton import skeleton as definition


def skeleton_of_category(category: Mapping[str, Any]) -> Skeleton:
    """The skeleton that a COCO category describes.

    A definition of Cairn's where the joints are the same; else the category's limbs (those that would close a
    circle are redundant), flip pairs by name, and COCO's sigmas for the joints that bear COCO's names.
    Raises SkeletonError where the category contradicts itself.
    """
    joints = tuple(category["keypoints"])
    for name in skeleton_names():
        if definition(name).joints == joints:
            return definition(name)
    limbs: list[tuple[int, int]] = []
    pairs = category.get("skeleton") or []
    if not isinstance(pairs, list):
        raise SkeletonError(f"skeleton must be a list of pairs of joint numbers, got {pairs!r:.40}")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(_is_joint(end, len(joints)) for end in pair)):
            raise SkeletonError(f"limb {pair} must be two joint numbers from 1 to {len(joints)}")
        limb = (pair[0] - 1, pair[1] - 1)
        if limb[0] != limb[1] and limb not in limbs and limb[::-1] not in limbs:
            limbs.append(limb)
    measured = dict(zip(definition("coco17").joints, definition("coco17").sigmas, strict=True))
    return Skeleton(
        name=str(category.get("name", "object")),
        joints=joints,
        limbs=tuple(limbs),
        redundant=_outside_tree(limbs, len(joints)),
        flip_pairs=flip_pairs_by_name(joints),
        sigmas=tuple(measured.get(joint, DEFAULT_SIGMA) for joint in joints),
    )


def _outside_tree(limbs: Sequence[tuple[int, int]], joints: int) -> tuple[int, ...]:
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
