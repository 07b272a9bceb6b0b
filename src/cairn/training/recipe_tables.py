"""Tables of a recipe: read from TOML, migrated, overridden by settings, and checked against a recipe class."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from cairn.errors import RecipeError
from cairn.inference.model_spec import TASK_OF_FIT
from cairn.migration import notice, rename_keys
from cairn.training.backbones.migration import migrate_network
from cairn.training.recipe import BasicRecipe, R, Recipe

RENAMED = {
    "licence": "license",
    "start": "pretrained",
    "optimiser": "optimizer",
    "data.train.unlabelled": "data.train.unlabeled",
    "data.val.unlabelled": "data.val.unlabeled",
    "augmentation.colour": "augmentation.color",
    "augmentation.grey": "augmentation.gray",
    "run.batch": "run.batch_size",
    "input.detect": "input.inference_size",
    "input.gap": "input.scale_gap",
    "network.trunk": "network.backbone",
    "network.trunk_rate": "network.backbone_lr_factor",
    "decode.least_parts": "decode.min_parts",
    "decode.least_score": "decode.min_score",
    "decode.most_peaks": "decode.max_peaks",
    "decode.uncounted": "decode.ignore_keypoints",
}
"""Keys of version 0.1 -> present keys."""

RENAMED_OF_METHOD = {
    "landmarks": {"network.trunk": "network.kind"},
}
"""The same where a method differs."""

log = logging.getLogger(__name__)


def read_recipe(path: str | Path) -> dict[str, Any]:
    """Reads the tables of a recipe file, and migrates old keys with one line of warning.

    Relative paths in it stay as they are: they are relative to the current folder.

    Raises:
        RecipeError: The file cannot be read, or is not TOML.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from None
    tables, renamed = migrate(tables)
    if renamed:
        log.warning(notice(str(path), renamed))
    return tables


def migrate(tables: Mapping[str, Any], method: str | None = None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Renames the keys of a recipe of version 0.1. A present recipe is not changed.

    Args:
        tables: The tables.
        method: The method, if `tables` are a part of a recipe that does not name it.

    Returns:
        The tables, and `old -> new` for each renamed key.
    """
    result, renamed = rename_keys(tables, RENAMED | RENAMED_OF_METHOD.get(str(tables.get("method", method)), {}))
    shape = result.get("input")
    if isinstance(shape, dict) and (fit := shape.get("fit")) in TASK_OF_FIT:
        del shape["fit"]
        if not shape:
            del result["input"]
        result.setdefault("task", TASK_OF_FIT[fit])
        renamed = (*renamed, "input.fit -> task")
    if "network" in result:
        result["network"], changed = migrate_network(result.get("method", method), result["network"])
        renamed = (*renamed, *changed)
    return result, renamed


def override(tables: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Applies settings to the tables of a recipe. Old keys are migrated with one line of warning.

    Settings are migrated together, because some old keys are read with others; their order does not matter.

    Args:
        tables: The tables. Not changed.
        settings: `section.name=value`; the value is TOML, or a bare word for a string.

    Raises:
        RecipeError: A setting has no `=`, or its section is not a table.
    """
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tables.items()}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise RecipeError(f"a setting is section.name=value, got {setting!r}")
        values[key.strip()] = _parse(text.strip())
    given: dict[str, Any] = {}
    for key, value in values.items():
        put(given, key, value)
    migrated, renamed = migrate(given, tables.get("method"))
    if renamed:
        log.warning("old name of a setting: %s", ", ".join(renamed))
        values = dict(_leaves(migrated))
    for key, value in values.items():
        put(result, key, value)
    return result


def _leaves(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Values of nested tables by their dotted names."""
    leaves: list[tuple[str, Any]] = []
    for key, value in tables.items():
        leaves += _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return leaves


def put(tables: dict[str, Any], key: str, value: Any) -> None:
    """Sets `section.name` in tables, in place.

    Raises:
        RecipeError: The section is not a table.
    """
    *sections, name = key.split(".")
    table = tables
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"recipe: {section} must be a section, to set {key} in it; got {table!r}")
    table[name] = value


def check_recipe(kind: type[R], tables: Mapping[str, Any]) -> R:
    """Returns the recipe of tables.

    Args:
        kind: The class of the method's recipes.
        tables: The tables.

    Raises:
        RecipeError: A name is unknown or a value is impossible; the message names the first one.
    """
    try:
        return kind.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise RecipeError(_unknown(kind, first["loc"], first["input"])) from None
        # The words of TOML instead of pydantic's.
        reason = re.sub(" or instance of .*", "", first["msg"].removeprefix("Value error, "))
        reason = reason.replace("valid dictionary", "table").replace("valid tuple", "list")
        message = f"{where}: {reason}" if where else reason
        got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        raise RecipeError(f"recipe: {message}{got}") from None


def _unknown(kind: type[BasicRecipe], location: tuple[int | str, ...], value: Any) -> str:
    """Returns the message for an unknown section or setting, with the names that exist."""
    table: type[BaseModel] = kind
    for name in location[:-1]:
        if isinstance(name, str):
            table = _table_in(table.model_fields[name].annotation) or table
    shared = {**Recipe.model_fields, **BasicRecipe.model_fields}
    names = sorted(table.model_fields, key=lambda name: table is kind and name in shared)  # its own first
    what = "section" if isinstance(value, Mapping) else "setting"
    where = ".".join(map(str, location))
    owner = ".".join(map(str, location[:-1])) or str(kind.model_fields["method"].default)
    return f"recipe: there is no {what} {where}; {owner} has {', '.join(names)}"


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """The table that a field holds, itself or in a list."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
