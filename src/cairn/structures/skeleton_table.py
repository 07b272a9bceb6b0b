"""The table form of a skeleton: reading TOML files, and checking tables before they become a `Skeleton`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cairn.errors import SkeletonError
from cairn.migration import notice, rename_keys
from cairn.structures.flip_pairs import flip_pairs_by_name

OPTIONAL = ("limbs", "redundant", "flip_pairs", "sigmas", "means", "colors", "hidden", "source")
"""Optional keys of a table, besides name and joints."""

RENAMED = {"colours": "colors"}
"""Keys that were renamed since version 0.1: old -> new."""


def read_table(path: Path) -> dict[str, Any]:
    """Reads the table of a TOML file; old keys are renamed, with a line in the log.

    Raises:
        SkeletonError: If the file is missing, unreadable or not TOML.
    """
    if not path.is_file():
        raise SkeletonError(f"no skeleton file at {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SkeletonError(f"cannot read skeleton {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SkeletonError(f"{path} is not TOML: it is not UTF-8 text") from None
    table, renamed = rename_keys(parse_toml(text, str(path)), RENAMED)
    if renamed:
        import logging  # here, because `import cairn` is faster without it

        logging.getLogger(__name__).warning("%s", notice(str(path), renamed))
    return table


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Returns the table of a TOML text.

    Args:
        text: The text.
        where: File or name of the skeleton, for the error message.

    Raises:
        SkeletonError: If the text is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SkeletonError(f"{where} is not TOML: {error}") from None


def skeleton_arguments(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `Skeleton` for a table.

    Args:
        table: Keys of a skeleton file. Limbs, redundant and hidden limbs and flip pairs are pairs of joint names.
            Flip pairs default to the pairs of `flip_pairs_by_name`; one color stands for all joints.

    Raises:
        SkeletonError: If a key is unknown or missing, or a value has the wrong form.
    """
    if not isinstance(table, Mapping):
        raise SkeletonError(f"a skeleton is a table with name and joints, got {table!r:.60}")
    table, _ = rename_keys(table, RENAMED)
    if set(table) - {"name", "joints", *OPTIONAL} or not {"name", "joints"} <= set(table):
        raise SkeletonError(
            f"a skeleton has name, joints and optionally {', '.join(OPTIONAL)}; got {', '.join(sorted(table))}"
        )
    joints = tuple(_list_of(table, "joints", str, "a list of names"))
    limbs = _pairs(table, "limbs", joints)
    for key in ("redundant", "hidden"):
        if any(pair not in limbs for pair in _pairs(table, key, joints)):
            raise SkeletonError(f"{key} limbs of skeleton {table['name']} must also be in limbs")
    flip_pairs = _pairs(table, "flip_pairs", joints) if "flip_pairs" in table else flip_pairs_by_name(joints)
    colors = _list_of(table, "colors", str, "a list of #rrggbb, one for all or one for each joint")
    return {
        "name": str(table["name"]),
        "joints": joints,
        "limbs": limbs,
        "redundant": tuple(limbs.index(pair) for pair in _pairs(table, "redundant", joints)),
        "flip_pairs": flip_pairs,
        "sigmas": tuple(map(float, _list_of(table, "sigmas", int | float, "a list of numbers"))),
        "means": _means(table),
        "colors": tuple(colors * len(joints) if len(colors) == 1 else colors),
        "hidden": tuple(limbs.index(pair) for pair in _pairs(table, "hidden", joints)),
    }


def _pairs(table: Mapping[str, Any], key: str, joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Returns a list of pairs of joint names as pairs of indices; empty where the key is missing."""
    index = {joint: i for i, joint in enumerate(joints)}
    pairs = _list_of(table, key, list | tuple, "a list of pairs of joints")
    for pair in pairs:
        if len(pair) != 2 or not all(joint in joints for joint in pair):
            raise SkeletonError(f"{key} of skeleton {table['name']} has {pair!r}: expected two of its joints")
    return tuple((index[a], index[b]) for a, b in pairs)


def _list_of(table: Mapping[str, Any], key: str, kind: Any, expected: str) -> list[Any]:
    """Returns a list whose values are all of one kind; empty where the key is missing."""
    values = table.get(key, [])
    if not isinstance(values, list | tuple) or not all(isinstance(value, kind) for value in values):
        raise SkeletonError(f"{key} of skeleton {table['name']} must be {expected}, got {values!r:.60}")
    return list(values)


def _means(table: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Returns joints that are means, with the names of their parts."""
    means = table.get("means", {})
    if not isinstance(means, Mapping) or not all(
        isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts) for parts in means.values()
    ):
        raise SkeletonError(f"means of skeleton {table['name']} must be a table of lists of names, got {means!r:.60}")
    return tuple((str(joint), tuple(parts)) for joint, parts in means.items())
