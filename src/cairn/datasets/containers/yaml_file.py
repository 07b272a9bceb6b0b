"""YAML files, in which some tools describe a data set."""

from __future__ import annotations

import copy
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from cairn.datasets.containers.expansion import out_of_bounds
from cairn.datasets.containers.text_file import read_text
from cairn.errors import LabelError, MissingExtra

SUFFIXES = (".yaml", ".yml")

NAMES = ("data", "dataset")
"""Names of a YAML file that describes the data set of its folder."""

MAX_DEPTH = 50
"""Lists and tables in one another."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the table of a file; plain values only, no objects.

    Raises:
        LabelError: The file cannot be read, or is not a YAML table.
        MissingExtra: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "io") from None
    try:
        content = copy.deepcopy(_parsed(read_text(path)))
    except RecursionError:
        raise LabelError(f"{path} is not valid YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise LabelError(f"{path} is not valid YAML: {reason:.160}") from None
    if not isinstance(content, dict):
        raise LabelError(f"{path} is {'empty' if content is None else 'not a YAML table'}")
    return content


def yaml_in(path: Path) -> Path | None:
    """Returns the YAML file that a path is, or the one that describes the data set of a folder; None without one.

    Raises:
        LabelError: The folder has several YAML files, and none or several are named data or dataset.
    """
    files = _yaml_files(path)
    named = [file for file in files if file.stem in NAMES] or files
    if len(named) > 1:
        raise LabelError(f"{path} has {len(files)} .yaml files: give the one that describes the data set")
    return named[0] if named else None


def yaml_with(path: Path, key: str, others: Collection[str] = ()) -> Path | None:
    """Returns the YAML file that a path is, or the one of a folder, whose table has a key; None without one.

    Of several such files of a folder, those that also have one of the other keys are preferred, then those that are
    named data or dataset. Files of a folder that are no YAML tables are skipped, unless they have such a name or there
    is no other file.

    Raises:
        LabelError: The YAML file cannot be read, or a folder has several of them.
        MissingExtra: PyYAML is not installed.
    """
    files = _yaml_files(path)
    tables: dict[Path, dict[str, Any]] = {}
    for file in files:
        try:
            tables[file] = read_yaml(file)
        except LabelError:
            if file.stem in NAMES or len(files) == 1:
                raise
    found = [file for file, table in tables.items() if key in table]
    found = [file for file in found if any(other in tables[file] for other in others)] or found
    found = [file for file in found if file.stem in NAMES] or found
    if len(found) > 1:
        raise LabelError(f"{path} has {len(found)} .yaml files with {key}: give one of them, such as {found[0]}")
    return found[0] if found else None


def has_key(path: Path, key: str) -> bool:
    """Returns whether a path is a YAML file, or a folder described by one, whose table has a key.

    Raises:
        LabelError: The YAML file cannot be read, or a folder has several of them.
        MissingExtra: PyYAML is not installed.
    """
    return yaml_with(path, key) is not None


def _yaml_files(path: Path) -> list[Path]:
    """The file itself, or the files in a folder."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    return [path] if path.suffix.lower() in SUFFIXES else []


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    """The plain values of a text; once, since each format asks for its keys."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def fetch_flow_collection_start(self, token: Any) -> None:
            if self.flow_level >= MAX_DEPTH:  # each level slows the scanner down
                raise yaml.YAMLError(f"lists or tables are nested too deeply: expected at most {MAX_DEPTH}")
            super().fetch_flow_collection_start(token)

    content = yaml.load(text, Loader)
    if (reason := out_of_bounds(content)) is not None:
        raise yaml.YAMLError(reason)
    return content
