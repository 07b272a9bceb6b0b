"""Tables of values as TOML text; the standard library only reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def to_toml(values: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """Returns values, and tables of values, as TOML; None is omitted.

    `to_toml(recipe.model_dump(mode="json"))` has every value of a recipe.

    Args:
        values: Values by name; tables are dictionaries.
        comments: Comments behind values, by `name` or `section.name`.
    """
    comments = comments or {}
    values = {key: value for key, value in values.items() if value is not None}
    lines = [
        f"{key} = {_value(value)}{_comment(comments.get(key))}"
        for key, value in values.items()
        if not isinstance(value, dict)
    ]
    for section, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]"]
            lines += [
                f"{_key(key)} = {_value(value)}{_comment(comments.get(f'{section}.{key}'))}"
                for key, value in table.items()
                if value is not None
            ]
    return "\n".join(lines) + "\n"


def _comment(text: str | None) -> str:
    return f" # {' '.join(text.split())}" if text else ""


def _key(key: str) -> str:
    """A key, quoted where TOML needs it: names of keypoints may hold any character."""
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML has the escapes of JSON
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items() if item is not None) + " }"
    return repr(value)
