"""YAML files, in which some tools describe a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cairn.errors import LabelError, MissingExtra

SUFFIXES = (".yaml", ".yml")


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
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not valid YAML: it is not UTF-8 text") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
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
    if not path.is_dir():
        return path if path.suffix.lower() in SUFFIXES else None
    files = sorted(file for suffix in SUFFIXES for file in path.glob(f"*{suffix}"))
    if not files:
        return None
    named = [file for file in files if file.stem in ("data", "dataset")] or files
    if len(named) != 1:
        raise LabelError(f"{path} has {len(files)} .yaml files: give the one that describes the data set")
    return named[0]


def has_key(path: Path, key: str) -> bool:
    """Returns whether a path is a YAML file, or a folder described by one, whose table has a key.

    Raises:
        LabelError: The YAML file cannot be read.
        MissingExtra: PyYAML is not installed.
    """
    file = yaml_in(path)
    return file is not None and key in read_yaml(file)
