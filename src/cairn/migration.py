"""Migration of old files: keys that were renamed since a recipe, model or skeleton was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rename_keys(values: Mapping[str, Any], renames: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Renames keys of nested tables.

    Args:
        values: Tables of tables, as JSON and TOML give them. Not changed.
        renames: Old dotted key -> new dotted key, both in the same table or the new one in a table above, such as
            `{"optimiser.colour": "optimiser.color", "optimiser": "optimizer"}`. Old keys are looked up under their
            old names, so entries do not depend on one another. A key reaches into every table of a list of tables.

    Returns:
        The tables with the new keys, and `old -> new` for each key that was renamed. Where both keys are present the
        new one wins, because it was added by hand.
    """
    result = _copied(values)
    done = []
    # Deep keys first: their path is still the old one.
    for old, new in sorted(renames.items(), key=lambda item: -item[0].count(".")):
        *path, key = old.split(".")
        target = new.split(".")[-1]
        for table in _tables(result, path):
            if key in table:
                table.setdefault(target, table[key])
                del table[key]
                if f"{old} -> {new}" not in done:
                    done.append(f"{old} -> {new}")
    return result, tuple(done)


def notice(where: str, renamed: tuple[str, ...]) -> str:
    """Returns one line of notice for an old file whose keys were renamed.

    Args:
        where: The file, as the user named it.
        renamed: `old -> new` for each renamed key, as from `rename_keys`.
    """
    return f"{where} was written by an older version of Cairn; read with renamed keys: {', '.join(renamed)}"


def _tables(values: Any, path: list[str]) -> list[dict[str, Any]]:
    """Returns all tables at a path; a list of tables stands for each of them."""
    if isinstance(values, list):
        return [table for item in values for table in _tables(item, path)]
    if not isinstance(values, dict):
        return []
    if not path:
        return [values]
    return _tables(values[path[0]], path[1:]) if path[0] in values else []


def _copied(values: Any) -> Any:
    """Returns a deep copy with plain dicts and lists."""
    if isinstance(values, Mapping):
        return {key: _copied(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_copied(value) for value in values]
    return values
