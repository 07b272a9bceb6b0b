"""Set-up of the workers of a Ray cluster in tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def prepare() -> None:
    """Makes reading slow enough to interrupt it, and an image end the process that reads it."""
    import os
    import time

    from cairn.media import items

    read = items._read_item

    def slowly(item: Any, options: Any) -> Iterator[Any]:
        time.sleep(0.03)
        if item.source.name.path.name == "deadly.png":
            os._exit(1)
        yield from read(item, options)

    items._read_item = slowly
