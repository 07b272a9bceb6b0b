"""Settings given by name: `--set section.name=value` of the command line, a dict in Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cairn.errors import CairnError

Settings = Mapping[str, Any] | Iterable[str] | None
"""A mapping `{"optimizer.learning_rate": 1e-3}`, or strings `"optimizer.learning_rate=1e-3"`."""

LOAD_OPTIONS = {"model", "device", "size", "threads"}
"""Arguments of `cairn.load` that are no settings of the decoder."""


def with_settings(tables: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Returns a copy of a recipe's tables with settings applied.

    Args:
        tables: Tables of a recipe.
        settings: Dotted keys with values.

    Raises:
        RecipeError: A setting has no value, or its section is not a section.
    """
    from cairn.training.recipe_tables import override, put

    if isinstance(settings, str):
        settings = [settings]
    if not isinstance(settings, Mapping):
        return override(tables, settings or ())
    result = override(tables, ())
    for key, value in settings.items():
        put(result, str(key), str(value) if isinstance(value, Path) else value)
    return result


def decode_settings(settings: Settings) -> dict[str, Any]:
    """Returns settings of a model's decoder as keyword arguments of `cairn.load`.

    Raises:
        CairnError: A setting has no value, or is an option of its own.
    """
    pairs = [] if settings is None or isinstance(settings, Mapping) else list(settings)
    for pair in pairs:
        if "=" not in pair:
            raise CairnError(f"a decoder setting is NAME=VALUE, such as flip=true or peak_threshold=0.1; got {pair!r}")
    values = with_settings({}, settings if isinstance(settings, Mapping) else pairs)
    if taken := LOAD_OPTIONS & set(values):
        raise CairnError(f"settings are for the decoder, got {', '.join(sorted(taken))}: pass it as its own option")
    return values


def optional_path(path: str | Path | None) -> Path | None:
    """Returns an optional argument as a path."""
    return None if path is None else Path(path)
