"""TOML of cameras: tables of names, numbers and matrices."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import text_of


def read_toml(path: Path) -> dict[str, Any]:
    """Returns the tables of a file.

    Raises:
        CameraError: The file cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(text_of(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CameraError(f"{path} is not valid TOML: {error}") from None


def table(name: str, values: Mapping[str, Any]) -> str:
    """Returns a table; floats are written so that they are read as the same."""
    return "\n".join([f"[{name}]", *(f"{key} = {_value(value)}" for key, value in values.items())]) + "\n"


def key(name: str) -> str:
    """Returns a name as a key, in quotes where it needs them."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _value(value.tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int) else repr(float(value))
