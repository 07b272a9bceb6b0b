"""What an object's keypoints are called, and how they hang together."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from cairn.errors import SkeletonError

DEFAULT_SIGMA = 0.05
"""OKS sigma of a joint for which nobody has measured one."""

OPTIONAL = ("limbs", "redundant", "flip_pairs", "sigmas", "means", "colors", "hidden", "source")
"""What a definition may have besides its name and joints."""

PARTS = ("left_hand_", "right_hand_", "face_")
"""What the joints of a whole body's hands and face are called; the others are the body's."""

COLOR = re.compile("#[0-9a-fA-F]{6}")

Limb = tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """Joints by name, limbs as directed pairs of joint indices, and what evaluation needs.

    joints      K names
    limbs       L pairs (from, to), in the order of the part affinity fields' channels
    redundant   indices of limbs outside the tree (TPAMI section 3.3); the others form a forest
    flip_pairs  pairs of joints that change places in a mirror
    sigmas      K OKS sigmas (standard deviation over the root of the object's area)
    colors     K of the form #rrggbb for drawing, none for hues around the circle; a limb has its second joint's
    hidden      indices of limbs that are not drawn
    means       joints that are the mean of others, and names of those: for poses and labels in other joints

    Raises SkeletonError where these contradict each other.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[Limb, ...] = ()
    redundant: tuple[int, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] = ()
    means: tuple[tuple[str, tuple[str, ...]], ...] = ()
    colors: tuple[str, ...] = field(default=(), compare=False)  # how it looks makes it no other skeleton
    hidden: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.sigmas:
            object.__setattr__(self, "sigmas", (DEFAULT_SIGMA,) * len(self.joints))
        self._check()

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """K indices: in a mirrored image, joint k is what flip_order[k] was."""
        order = list(range(len(self.joints)))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return tuple(order)

    @property
    def tree(self) -> tuple[int, ...]:
        """Indices of the limbs that are not redundant."""
        return tuple(i for i in range(len(self.limbs)) if i not in set(self.redundant))

    @property
    def parts(self) -> dict[str, list[int]]:
        """Prefix -> joints of the body (no prefix), of each hand and of the face; those that there are."""
        owners = [next((part for part in PARTS if joint.startswith(part)), "") for joint in self.joints]
        return {part: [i for i, own in enumerate(owners) if own == part] for part in ("", *PARTS) if part in owners}

    def index(self, joint: str) -> int:
        """Raises SkeletonError for a joint that this skeleton does not have."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise SkeletonError(
                f"skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}"
            ) from None

    def parts_in(self, source: Skeleton) -> tuple[tuple[int, ...], ...]:
        """K tuples of joints of `source`: the one of this joint's name, else all those that it is the mean of.

        Empty where `source` has neither.
        """
        where = {joint: i for i, joint in enumerate(source.joints)}
        means = dict(self.means)
        found = []
        for joint in self.joints:
            names = (joint,) if joint in where else means.get(joint, ())
            found.append(tuple(where[name] for name in names) if all(name in where for name in names) else ())
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """The form of the TOML files, which `from_dict` reads back."""

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
        """Reads the form of the TOML files; flip pairs that are not given are found by name."""
        if not isinstance(table, Mapping):
            raise SkeletonError(f"a skeleton is a table with name and joints, got {table!r:.60}")
        if set(table) - {"name", "joints", *OPTIONAL} or not {"name", "joints"} <= set(table):
            raise SkeletonError(
                f"a skeleton has name, joints and optionally {', '.join(OPTIONAL)}; got {', '.join(sorted(table))}"
            )
        joints = tuple(_listed(table, "joints", str, "a list of names"))
        where = {joint: i for i, joint in enumerate(joints)}

        def indices(key: str) -> tuple[tuple[int, int], ...]:
            pairs = _listed(table, key, list | tuple, "a list of pairs of joints")
            for pair in pairs:
                if len(pair) != 2 or not all(joint in joints for joint in pair):
                    raise SkeletonError(f"{key} of skeleton {table['name']} has {pair!r}: expected two of its joints")
            return tuple((where[a], where[b]) for a, b in pairs)

        limbs = indices("limbs")
        colors = _listed(table, "colors", str, "a list of #rrggbb, one for all or one for each joint")
        for key in ("redundant", "hidden"):
            if any(pair not in limbs for pair in indices(key)):
                raise SkeletonError(f"{key} limbs of skeleton {table['name']} must also stand in limbs")
        return cls(
            name=str(table["name"]),
            joints=joints,
            limbs=limbs,
            redundant=tuple(limbs.index(pair) for pair in indices("redundant")),
            flip_pairs=indices("flip_pairs") if "flip_pairs" in table else flip_pairs_by_name(joints),
            sigmas=tuple(map(float, _listed(table, "sigmas", int | float, "a list of numbers"))),
            means=_means(table),
            colors=tuple(colors * len(joints) if len(colors) == 1 else colors),
            hidden=tuple(limbs.index(pair) for pair in indices("hidden")),
        )

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


def flip_pairs_by_name(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Pairs whose names differ only in left/right, or in a marked l/r (`wingL`, `l_knee`, `knee.r`)."""
    where = {joint: i for i, joint in enumerate(joints)}
    pairs = []
    for joint, i in where.items():
        for other in _mirrored_names(joint):
            if other in where:
                pairs.append((i, where[other]))
                break
    return tuple(pairs)


def joined(name: str, parts: Sequence[tuple[str, Skeleton]]) -> Skeleton:
    """One skeleton of several, each with a prefix before the names of its joints.

    Its flip pairs are those of the parts, and pairs by name among the other joints: of a left and a right hand.
    It has colors where all parts have. Raises SkeletonError where two joints would have one name.
    """
    pairs: dict[str, list] = {"limbs": [], "redundant": [], "flip_pairs": [], "hidden": []}
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
    """A definition by name (`coco17`), or from a TOML file of the same form.

    Raises SkeletonError where there is none of that name, or the file contradicts itself.
    """
    folder = resources.files("cairn.structures") / "skeletons"
    if str(name).endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise SkeletonError(f"no skeleton file at {path}")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SkeletonError(f"cannot read skeleton {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SkeletonError(f"{path} is not TOML: it is no UTF-8 text") from None
    elif name in (known := skeleton_names()):
        text = (folder / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise SkeletonError(f"no skeleton {name!r}; there are {', '.join(known)}, or give a .toml file")
    try:
        return Skeleton.from_dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SkeletonError(f"{name} is not TOML: {error}") from None


def skeleton_names() -> tuple[str, ...]:
    """The definitions that come with Cairn."""
    folder = resources.files("cairn.structures") / "skeletons"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def _listed(table: Mapping[str, Any], key: str, kind: Any, expected: str) -> list[Any]:
    """A list of one kind of values from a table; empty where there is none. Raises SkeletonError."""
    values = table.get(key, [])
    if not isinstance(values, list | tuple) or not all(isinstance(value, kind) for value in values):
        raise SkeletonError(f"{key} of skeleton {table['name']} must be {expected}, got {values!r:.60}")
    return list(values)


def _means(table: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    means = table.get("means", {})
    if not isinstance(means, Mapping) or not all(
        isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts) for parts in means.values()
    ):
        raise SkeletonError(f"means of skeleton {table['name']} must be a table of lists of names, got {means!r:.60}")
    return tuple((str(joint), tuple(parts)) for joint, parts in means.items())


def _mirrored_names(joint: str) -> list[str]:
    """Names that the other side's joint could have, asked of left joints only: each pair comes once."""
    names = [joint.replace(a, b, 1) for a, b in (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT")) if a in joint]
    for left, right in (("l", "r"), ("L", "R")):
        for mark in "_-. ":
            if joint.startswith(left + mark):
                names.append(right + joint[1:])
            if joint.endswith(mark + left):
                names.append(joint[:-1] + right)
    names += [joint[:i] + "R" + joint[i + 1 :] for i in range(len(joint)) if _is_marked(joint, i)]
    return names


def _is_marked(joint: str, i: int) -> bool:
    """A capital L of its own: at the start or after a small letter, before a capital, a digit or the end."""
    before, after = joint[:i], joint[i + 1 : i + 2]
    starts, ends = not before or before[-1].islower(), not after or after.isdigit() or after.isupper()
    return joint[i] == "L" and starts and ends and len(joint) > 1


def _root(group: list[int], joint: int) -> int:
    while group[joint] != joint:
        joint = group[joint]
    return joint
