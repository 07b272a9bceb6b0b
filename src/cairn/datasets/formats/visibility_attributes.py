"""The visibility of a keypoint as tools state it: in flags, attributes and choices that the user names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

OCCLUDED = ("occluded", "occlusion", "hidden", "invisible", "not_visible")
VISIBLE = ("visible", "visibility")
ABSENT = ("absent", "not_labeled", "unlabeled", "outside")
UNKNOWN = ("", "none", "null", "undefined")
FALSE = (*UNKNOWN, "0", "false", "no", "off")


def visibility_of(attributes: Mapping[str, Any]) -> int:
    """Returns COCO's v by the attributes of a keypoint: 0 not labeled, 1 occluded, 2 visible.

    An attribute named like one of OCCLUDED is a flag, one of VISIBLE is a flag or a number 0, 1 or 2, and a value of
    any attribute may be one of these words. Other attributes have no influence.

    Args:
        attributes: Name -> value: a boolean, a number, a text, a list of choices, or a table choice -> boolean.
    """
    visibility = 2
    for name, value in attributes.items():
        choices = [word(choice) for choice in _choices(value)]
        if word(name) in OCCLUDED:
            visibility = min(visibility, 1 if any(choice not in FALSE for choice in choices) else 2)
        elif word(name) == "visibility" and choices and choices[0] in ("0", "1", "2"):
            visibility = min(visibility, int(choices[0]))
        elif word(name) in VISIBLE and choices and all(choice in FALSE and choice not in UNKNOWN for choice in choices):
            visibility = min(visibility, 1)
        if any(choice in ABSENT for choice in choices):
            visibility = 0
        elif any(choice in OCCLUDED for choice in choices):
            visibility = min(visibility, 1)
    return visibility


def is_visibility(name: str) -> bool:
    """Returns whether an attribute states visibility by its name."""
    return word(name) in OCCLUDED + VISIBLE


def _choices(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [choice for choice, chosen in value.items() if word(chosen) not in FALSE]
    return value if isinstance(value, list) else [value]


def word(value: Any) -> str:
    """Returns a name or value in lower case with underscores: True and 1.0 are `true` and `1`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else re.sub(r"[\s-]+", "_", str(value).strip().lower())
