"""Decode settings: keywords of a method's `decode()` that a model file or a user sets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from cairn.errors import ModelError
from cairn.structures.poses import Poses


def check_settings(method: str, decode: Callable[..., Poses], settings: Mapping[str, Any]) -> None:
    """Checks that a method's `decode` has each setting as a keyword, with a default of the same type.

    Raises:
        ModelError: A setting is unknown or of another type.
    """
    known = with_defaults(decode, {})
    if unknown := set(settings) - set(known):
        raise ModelError(f"decode() of {method} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    for name, value in settings.items():
        if not _same_type(value, known[name]):
            raise ModelError(f"decode() of {method} takes {name} such as {known[name]!r}, got {value!r}")


def with_defaults(decode: Callable[..., Poses], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all settings of a method's `decode`: those given, and the defaults of the others."""
    parameters = inspect.signature(decode).parameters.values()
    known = {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
    return {**known, **settings}


def _same_type(value: Any, default: Any) -> bool:
    """Whether a setting has the type of its default; 0.0 and 1.0 are valid booleans, as some TOML readers give them."""
    if isinstance(default, bool):
        return value in (True, False)
    expected = next(kind for kind in (Integral, Real, str) if isinstance(default, kind))
    return isinstance(value, expected) and not isinstance(value, bool)
