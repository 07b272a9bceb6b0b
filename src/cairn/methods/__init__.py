"""The learned methods: one folder each, registered in one table."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from cairn.errors import ModelError

METHODS = {
    "openpose": "cairn.methods.openpose",
    "hourglass": "cairn.methods.hourglass",
    "landmarks": "cairn.methods.landmarks",
}


def method(name: str) -> ModuleType:
    """A method's package by name. Raises ModelError where there is none of that name."""
    if name not in METHODS:
        raise ModelError(f"no method {name!r}; this version of Cairn has {', '.join(METHODS)}")
    return import_module(METHODS[name])
