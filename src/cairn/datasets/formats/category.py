"""The skeleton that labels describe: a COCO category, or another tool's names, limbs and flip pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cairn.datasets.problems import Problems
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import COLOR, DEFAULT_SIGMA, Limb, Skeleton, load_skeleton, skeleton_names

MAX_JOINT = 10**6  # larger numbers are no joint numbers

Pair = tuple[str | int, ...]


def skeleton_from_category(category: Mapping[str, Any], problems: Problems | None = None) -> Skeleton:
    """Returns the skeleton of a COCO category: its `keypoints`, and of the rest what can be used.

    `skeleton` has pairs of joint numbers from 1. Where a pair contains 0, all are counted from 0, as many tools do.
    Pairs of joint names are read too. `flip_pairs` and `sigmas` are Cairn's additions (see `category_from_skeleton`),
    `keypoint_colors` is coco-annotator's.

    Args:
        category: The record of the category, with a list of names under `keypoints`.
        problems: Collects notes of what is ignored; None ignores it without a note.

    Raises:
        SkeletonError: A joint name occurs twice.
    """
    joints = category["keypoints"]
    name = str(category.get("name") or "object")
    problems = problems or Problems()
    limbs, flips = _limbs_and_flips(category, joints, name, problems)
    sigmas = category.get("sigmas")
    if sigmas and not (isinstance(sigmas, list) and len(sigmas) == len(joints) and all(map(_is_sigma, sigmas))):
        problems.note(f"sigmas that are not {len(joints)} positive numbers are ignored", f"category {name}")
        sigmas = None
    colors = category.get("keypoint_colors")
    if colors and not (isinstance(colors, list) and len(colors) == len(joints) and all(map(is_color, colors))):
        problems.note(f"colors that are not {len(joints)} of the form #rrggbb are ignored", f"category {name}")
        colors = ()
    return make_skeleton(name, joints, limbs, flips, sigmas or None, colors or ())


def category_from_skeleton(skeleton: Skeleton, number: int = 1, name: str | None = None) -> dict[str, Any]:
    """Returns the category that `skeleton_from_category` reads as this skeleton.

    Args:
        skeleton: The skeleton.
        number: The id of the category.
        name: Name of the category where several share the skeleton, whose name is then that of their supercategory.
    """
    return {
        "id": number,
        **({"name": skeleton.name} if name is None else {"name": name, "supercategory": skeleton.name}),
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


def _limbs_and_flips(
    category: Mapping[str, Any], joints: Sequence[str], name: str, problems: Problems
) -> tuple[list[Limb], list[Limb] | None]:
    """Pairs of joint indices: limbs, and flip pairs, which are None where the category states none that can be used."""
    stated: dict[str, list[Pair]] = {}
    for key in ("skeleton", "flip_pairs"):
        pairs = category.get(key) or []
        entries = pairs if isinstance(pairs, list) else [pairs]
        stated[key] = [_pair(entry, joints) for entry in entries]
    first = 0 if any(0 in pair for pairs in stated.values() for pair in pairs) else 1
    if first == 0:
        problems.note("limbs and flip pairs with a 0 are counted from 0, unlike COCO's", f"category {name}")
    result: dict[str, list[Limb]] = {}
    for key, pairs in stated.items():
        indices = [tuple(joints.index(end) if isinstance(end, str) else end - first for end in pair) for pair in pairs]
        result[key] = [(ends[0], ends[1]) for ends in indices if ends and all(0 <= end < len(joints) for end in ends)]
        if len(result[key]) < len(pairs):
            unusable = next(i for i, ends in enumerate(indices) if ends not in result[key])
            value = category[key][unusable] if isinstance(category[key], list) else category[key]
            what = "limbs" if key == "skeleton" else "flip pairs"
            problems.note(f"{what} that do not name two of the joints are ignored", f"{value!r:.60} of category {name}")
    flips = [
        (a, b) for i, (a, b) in enumerate(result["flip_pairs"]) if a != b and (b, a) not in result["flip_pairs"][:i]
    ]
    flips = list(dict.fromkeys(flips))
    if len({joint for pair in flips for joint in pair}) < 2 * len(flips):
        problems.note("flip pairs that pair a joint twice are ignored", f"category {name}")
        return result["skeleton"], None
    none_stated = category.get("flip_pairs") == []
    return result["skeleton"], flips if flips or none_stated else None


def _pair(entry: Any, joints: Sequence[str]) -> Pair:
    """Two joint names or numbers; nothing where the entry is no such pair."""
    ends = [_end(end, joints) for end in entry] if isinstance(entry, list) else []
    return tuple(end for end in ends if end is not None) if len(ends) == 2 and None not in ends else ()


def _end(value: Any, joints: Sequence[str]) -> str | int | None:
    if isinstance(value, str):
        return value if value in joints else int(value) if value.isdecimal() and len(value) < 10 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return int(value) if abs(value) <= MAX_JOINT and value == int(value) else None


def _is_sigma(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _redundant(limbs: Sequence[Limb], joints: int) -> tuple[int, ...]:
    """Indices of the limbs that connect joints that earlier limbs connect already."""
    component, redundant = list(range(joints)), []
    for i, (a, b) in enumerate(limbs):
        if component[a] == component[b]:
            redundant.append(i)
        else:
            component = [component[a] if member == component[b] else member for member in component]
    return tuple(redundant)
