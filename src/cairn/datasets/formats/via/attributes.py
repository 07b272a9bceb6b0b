"""Which region attribute names the joint, the instance and the category: VIA leaves the names to the user.

Attributes that are empty on all points, and those that state visibility, are ignored. Of the others:

1. A name that is common for a role has it: `joint`, `keypoint` and so on; `id`, `instance` and so on; `class`, ...
2. Of the rest, an attribute whose values are all numbers names the instance, and one with other values the joint.
3. A single attribute names the joint, whatever its name is.

It is an error where two attributes have the same role.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.datasets.formats.visibility_attributes import is_visibility, word
from cairn.errors import LabelError

JOINT = ("joint", "keypoint", "key_point", "landmark", "part", "body_part", "bodypart", "point", "joint_name", "kp")
INSTANCE = (
    *("id", "instance", "instance_id", "person_id", "animal_id", "individual", "object_id", "group", "group_id"),
    *("track", "track_id", "identity"),
)
CATEGORY = ("class", "category", "species", "type", "object")


@dataclass(frozen=True)
class Roles:
    """Names of the attributes; None where there is none.

    Attributes:
        joint: Attribute that names the joint of a point, and the category of an outline without another one.
        instance: Attribute that names the instance of a region.
        category: Attribute that names the category.
    """

    joint: str
    instance: str | None = None
    category: str | None = None


def roles(points: Sequence[Mapping[str, str]], path: Path) -> Roles:
    """Returns the roles of the attributes.

    Args:
        points: The attributes of each point that have a value.
        path: The file.

    Raises:
        LabelError: No attribute, or more than one, can be the joint or the instance.
    """
    values: dict[str, set[str]] = {}
    for attributes in points:
        for name, value in attributes.items():
            if not is_visibility(name):
                values.setdefault(name, set()).add(value)
    if not values:
        raise LabelError(f"{path}: no point has a region attribute: name the joints with an attribute, such as joint")
    if len(values) == 1:
        return Roles(next(iter(values)))
    found: dict[str, list[str]] = {"joint": [], "instance": [], "category": [], "": []}
    for name in values:
        found[_usual_role(name)].append(name)
    for name in found.pop(""):
        found["instance" if all(map(_is_number, values[name])) else "joint"].append(name)
    if not found["joint"] and len(found["category"]) == 1:  # `class` and `id`
        found["joint"], found["category"] = found["category"], []
    if len(found["joint"]) != 1 or any(len(names) > 1 for names in found.values()):
        raise LabelError(
            f"{path}: it is ambiguous which region attribute names the joint: {', '.join(values)}; "
            "rename one to joint and one to instance in VIA"
        )
    instance, category = (next(iter(found[role]), None) for role in ("instance", "category"))
    return Roles(found["joint"][0], instance, category)


def texts(attributes: Any, options: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Returns the attributes that have a value, as text.

    Args:
        attributes: The attributes of a region; a checkbox is a table choice -> whether it is chosen.
        options: Attribute -> id of an option -> its text, where ids are numbers and texts are names.
    """
    result = {}
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if isinstance(value, dict):
            value = ", ".join(str(choice) for choice, chosen in value.items() if chosen)
        text = "" if value is None else str(value).strip()
        text = options.get(name, {}).get(text, text)
        if text and text != "undefined":
            result[name] = text
    return result


def _usual_role(name: str) -> str:
    known = {"joint": JOINT, "instance": INSTANCE, "category": CATEGORY}
    return next((role for role, names in known.items() if word(name) in names), "")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
