"""YAML files, in which some tools describe a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cairn.errors import LabelError, MissingExtra


def read_yaml(path: Path) -> dict[str, Any]:
    """A file's table; values only, no objects. Raises LabelError, and MissingExtra without PyYAML."""
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "io") from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not YAML: it is no UTF-8 text") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise LabelError(f"{path} is not YAML that can be read: {reason:.160}") from None
    if not isinstance(content, dict):
        raise LabelError(f"{path} is {'empty' if content is None else 'no table of YAML'}")
    return content
