"""The methods: one folder each, registered in one table.

A method is a folder `methods/NAME/` whose package defines `METHOD`, a `Method`, and one line in `METHODS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cairn.errors import ModelError

if TYPE_CHECKING:
    from cairn.methods.method import Method

# Packages are imported on first use: `cairn --help` needs no numpy.
METHODS: dict[str, str] = {
    "openpose": "cairn.methods.openpose",
    "hourglass": "cairn.methods.hourglass",
    "landmarks": "cairn.methods.landmarks",
    "lifting": "cairn.methods.lifting",
    "usip": "cairn.methods.usip",
    "keypointnet": "cairn.methods.keypointnet",
}


def get_method(name: str) -> Method:
    """Returns a method by its name.

    Raises:
        ModelError: There is no method of that name.
    """
    if name not in METHODS:
        raise ModelError(f"no method {name!r}; this version of Cairn has {', '.join(METHODS)}")
    method: Method = import_module(METHODS[name]).METHOD
    return method


def all_methods() -> list[Method]:
    """Returns all registered methods, in the order of the table."""
    return [get_method(name) for name in METHODS]
