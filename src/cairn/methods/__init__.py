"""The learned methods: one folder each, registered in one table.

A method is a folder `methods/NAME/` whose package has `METHOD`, a `Method`, and one entry in `METHODS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cairn.errors import ModelError

if TYPE_CHECKING:
    from cairn.methods.method import Method

# Names of packages, which are imported when they are first asked for: `cairn --help` needs no numpy.
METHODS: dict[str, str] = {
    "openpose": "cairn.methods.openpose",
    "hourglass": "cairn.methods.hourglass",
    "landmarks": "cairn.methods.landmarks",
}


def get_method(name: str) -> Method:
    """A method by its name.

    Raises:
        ModelError: There is no method of that name.
    """
    if name not in METHODS:
        raise ModelError(f"no method {name!r}; this version of Cairn has {', '.join(METHODS)}")
    found: Method = import_module(METHODS[name]).METHOD
    return found


def all_methods() -> list[Method]:
    """Every registered method, in the order of the table."""
    return [get_method(name) for name in METHODS]
