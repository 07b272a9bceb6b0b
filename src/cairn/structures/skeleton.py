"""Skeletons: the names of keypoints, the limbs between them, and what evaluation and drawing need."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from cairn.errors import SkeletonError
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton_table import parse_toml, read_table, skeleton_arguments

DEFAULT_SIGMA = 0.05
"""OKS sigma of joints without a measured one."""

PREFIXES = ("left_hand_", "right_hand_", "face_")
"""Prefixes of the joints of hands and face in a whole-body skeleton; joints without one belong to the body."""

COLOR = re.compile("#[0-9a-fA-F]{6}")

Limb = tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """Joints by name and limbs as directed pairs of joint indices.

    Attributes:
        name: Name of the skeleton, such as coco17.
        joints: K names.
        limbs: L pairs (from, to), in the order of the channels of the part affinity fields.
        redundant: Indices of limbs outside the tree (OpenPose, TPAMI section 3.3); the other limbs form a forest.
        flip_pairs: Pairs of joints that swap when an image is flipped.
        sigmas: K OKS sigmas: standard deviation of the annotation over the square root of the instance's area.
        means: Joints that are the mean of other joints, and the names of those. Poses and annotations in other
            skeletons are mapped by them.
        colors: K colors #rrggbb for drawing; empty for evenly spaced hues. A limb has the color of its second joint.
        hidden: Indices of limbs that are not drawn.

    Raises:
        SkeletonError: If the values contradict one another.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[Limb, ...] = ()
    redundant: tuple[int, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] = ()
    means: tuple[tuple[str, tuple[str, ...]], ...] = ()
    colors: tuple[str, ...] = field(default=(), compare=False)  # looks do not make another skeleton
    hidden: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.sigmas:
            object.__setattr__(self, "sigmas", (DEFAULT_SIGMA,) * len(self.joints))
        self._check()

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """K indices: joint k of a flipped image is joint flip_order[k] of the image."""
        order = list(range(len(self.joints)))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return tuple(order)

    @property
    def tree(self) -> tuple[int, ...]:
        """Indices of the limbs that are not redundant."""
        return tuple(i for i in range(len(self.limbs)) if i not in set(self.redundant))

    @cached_property
    def shown(self) -> Skeleton:
        """The skeleton without its hidden limbs: that of results, where all limbs are drawn."""
        if not self.hidden:
            return self
        table = self.to_dict()
        hidden = table.pop("hidden")
        for pairs in ("limbs", "redundant"):
            table[pairs] = [pair for pair in table[pairs] if pair not in hidden]
        return Skeleton.from_dict(table)

    @property
    def parts(self) -> dict[str, list[int]]:
        """Prefix -> joint indices: the body (empty prefix), each hand and the face, without those that are missing."""
        owners = [next((prefix for prefix in PREFIXES if joint.startswith(prefix)), "") for joint in self.joints]
        return {
            prefix: [i for i, owner in enumerate(owners) if owner == prefix]
            for prefix in ("", *PREFIXES)
            if prefix in owners
        }

    def index(self, joint: str) -> int:
        """Returns the index of a joint.

        Raises:
            SkeletonError: If the skeleton has no joint of this name; the message lists similar names, or else all.
        """
        try:
            return self.joints.index(joint)
        except ValueError:
            from difflib import get_close_matches

            similar = get_close_matches(str(joint), self.joints)
            hint = f"did you mean {' or '.join(similar)}?" if similar else f"it has {', '.join(self.joints)}"
            raise SkeletonError(f"skeleton {self.name} has no joint {joint!r}; {hint}") from None

    def parts_in(self, source: Skeleton) -> tuple[tuple[int, ...], ...]:
        """Returns where the joints of this skeleton come from in another one.

        Returns:
            K tuples of joint indices of `source`: the joint of the same name, else all joints that this one is the
            mean of; empty where `source` has neither.
        """
        index = {joint: i for i, joint in enumerate(source.joints)}
        means = dict(self.means)
        parts = []
        for joint in self.joints:
            names = (joint,) if joint in index else means.get(joint, ())
            parts.append(tuple(index[name] for name in names) if all(name in index for name in names) else ())
        return tuple(parts)

    def to_dict(self) -> dict[str, Any]:
        """Returns the table form of the TOML files, which `from_dict` reads back."""

        def named(pairs: tuple[tuple[int, int], ...]) -> list[list[str]]:
            return [[self.joints[a], self.joints[b]] for a, b in pairs]

        return {
            "name": self.name,
            "joints": list(self.joints),
            "limbs": named(self.limbs),
            "redundant": named(tuple(self.limbs[i] for i in self.redundant)),
            "flip_pairs": named(self.flip_pairs),
            "sigmas": list(self.sigmas),
            "colors": list(self.colors),
            "hidden": named(tuple(self.limbs[i] for i in self.hidden)),
            "means": {joint: list(parts) for joint, parts in self.means},
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Skeleton:
        """Reads the table form of the TOML files. Flip pairs default to those recognized by name.

        Raises:
            SkeletonError: If the table is not a skeleton, or contradicts itself.
        """
        return cls(**skeleton_arguments(table))

    def _check(self) -> None:
        count = len(self.joints)
        if count == 0 or len(set(self.joints)) != count:
            raise SkeletonError(f"skeleton {self.name} needs at least one joint, each name once; got {self.joints}")
        if len(self.sigmas) != count or not all(0 < sigma < math.inf for sigma in self.sigmas):
            raise SkeletonError(f"skeleton {self.name} needs {count} positive sigmas, got {self.sigmas}")
        if self.colors and not (len(self.colors) == count and all(map(COLOR.fullmatch, self.colors))):
            raise SkeletonError(f"skeleton {self.name} needs {count} colors such as #ff8000, got {self.colors!r:.60}")
        for a, b in (*self.limbs, *self.flip_pairs):
            if not (0 <= a < count and 0 <= b < count and a != b):
                raise SkeletonError(f"skeleton {self.name} pairs joints {a} and {b}, but has {count} joints")
        for joint, parts in self.means:
            if joint not in self.joints or not parts:
                raise SkeletonError(
                    f"means of skeleton {self.name} must give parts of its joints, got {joint} of {list(parts)}"
                )
        flipped = [joint for pair in self.flip_pairs for joint in pair]
        if len(set(flipped)) != len(flipped):
            raise SkeletonError(f"skeleton {self.name} flips a joint twice: {self.flip_pairs}")
        group = list(range(count))  # union-find without ranks: skeletons are small
        for limb in self.tree:
            a, b = (_root(group, joint) for joint in self.limbs[limb])
            if a == b:
                names = " - ".join(self.joints[joint] for joint in self.limbs[limb])
                raise SkeletonError(f"limb {names} of skeleton {self.name} closes a circle: list it as redundant")
            group[a] = b


def joined(name: str, parts: Sequence[tuple[str, Skeleton]]) -> Skeleton:
    """Returns one skeleton of several, each with a prefix before the names of its joints.

    Flip pairs are those of the parts, and pairs recognized by name among the other joints, such as those of a left
    and a right hand. The result has colors where all parts have colors.

    Args:
        name: Name of the result.
        parts: Prefix and skeleton of each part.

    Raises:
        SkeletonError: If two joints get the same name.
    """
    pairs: dict[str, list[list[str]]] = {"limbs": [], "redundant": [], "flip_pairs": [], "hidden": []}
    joints: list[str] = []
    means: dict[str, list[str]] = {}
    for prefix, part in parts:
        table = part.to_dict()
        joints += [prefix + joint for joint in part.joints]
        means |= {prefix + joint: [prefix + other for other in others] for joint, others in part.means}
        for key, collected in pairs.items():
            collected += [[prefix + a, prefix + b] for a, b in table[key]]
    paired = {joint for pair in pairs["flip_pairs"] for joint in pair}
    by_name = [[joints[a], joints[b]] for a, b in flip_pairs_by_name(tuple(joints))]
    pairs["flip_pairs"] += [pair for pair in by_name if paired.isdisjoint(pair)]
    return Skeleton.from_dict(
        {
            "name": name,
            "joints": joints,
            "means": means,
            "sigmas": [sigma for _, part in parts for sigma in part.sigmas],
            "colors": [c for _, part in parts for c in part.colors] if all(part.colors for _, part in parts) else [],
            **pairs,
        }
    )


@cache
def load_skeleton(name: str | Path) -> Skeleton:
    """Returns a skeleton by name (`coco17`), or of a TOML file of the same form.

    Raises:
        SkeletonError: If there is no skeleton of that name, or the file cannot be read or contradicts itself.
    """
    if str(name).endswith(".toml"):
        return Skeleton.from_dict(read_table(Path(name)))
    if name not in (known := skeleton_names()):
        raise SkeletonError(f"no skeleton {name!r}; there are {', '.join(known)}, or give a .toml file")
    text = (resources.files("cairn.structures") / "skeletons" / f"{name}.toml").read_text(encoding="utf-8")
    return Skeleton.from_dict(parse_toml(text, str(name)))


def skeleton_names() -> tuple[str, ...]:
    """Returns the names of the skeletons that come with Cairn."""
    folder = resources.files("cairn.structures") / "skeletons"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def _root(group: list[int], joint: int) -> int:
    """Returns the representative of a joint's group."""
    while group[joint] != joint:
        joint = group[joint]
    return joint
