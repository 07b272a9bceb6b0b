"""Ids of COCO records: numbers by the standard, text and floating numbers in files of some tools."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

Id = int | float | str

MAX_DIGITS = 18  # more are text: converting takes quadratic time


def id_of(value: Any) -> Id | None:
    """Returns an id that equals that of the same record elsewhere; None where the value is no id.

    1.0 is 1; text is kept as it is.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else value if math.isfinite(value) else None
    return value


def number_in(key: Id | None) -> int | None:
    """Returns the number that an id is or spells; None where it is none."""
    if isinstance(key, str):
        return int(key) if key.isascii() and key.isdigit() and len(key) <= MAX_DIGITS else None
    return key if isinstance(key, int) else None


class Index:
    """Positions of records by id. An id finds the same id, or else the only one that is the same number as text.

    Args:
        keys: Id of each record; None for one that no id finds.
        names: Returns (name, position) of records that are also found by a name, where no id matches and no other
            has it.
    """

    def __init__(self, keys: Sequence[Id | None], names: Callable[[], Iterable[tuple[str, int]]] | None = None) -> None:
        self._keys = keys
        self._names = names
        self._exact = {key: i for i, key in enumerate(keys) if key is not None}

    def find(self, value: Any) -> int | None:
        """Returns the position of the record with an id; None where there is none."""
        key = value if type(value) is int else id_of(value)
        if key is None:
            return None
        if (exact := self._exact.get(key)) is not None:
            return exact
        if (number := number_in(key)) is not None and number in self._by_number:
            return self._by_number[number]
        return self._by_name.get(key)

    def find_all(self, values: Sequence[Any]) -> list[int | None]:
        """Returns the position of the record with each of many ids."""
        if set(map(type, values)) == {int}:
            positions = list(map(self._exact.get, values))
            if None not in positions:
                return positions
        return list(map(self.find, values))

    @cached_property
    def _by_number(self) -> dict[int, int]:
        return _unique((number_in(key), i) for i, key in enumerate(self._keys))

    @cached_property
    def _by_name(self) -> dict[Id, int]:
        return _unique(self._names()) if self._names else {}


def image_numbers(keys: Sequence[Id | None]) -> list[int]:
    """Returns a number for each image: its id where that is or spells a number of its own, else the next free one."""
    wanted = [number_in(key) for key in keys]
    owned = _unique((number, i) for i, number in enumerate(wanted))
    taken = {key for key in keys if isinstance(key, int)}
    numbers: list[int | None] = []
    for i, (key, number) in enumerate(zip(keys, wanted, strict=True)):
        own = number is not None and (isinstance(key, int) or owned.get(number) == i)
        numbers.append(number if own else None)
    following = max([0, *taken, *(number for number in numbers if number is not None)])
    result: list[int] = []
    for number in numbers:
        following += number is None
        result.append(following if number is None else number)
    return result


def _unique(entries: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    """Keys with the positions of their only entries."""
    positions: dict[Any, int | None] = {}
    for key, i in entries:
        if key is not None:
            positions[key] = None if key in positions else i
    return {key: i for key, i in positions.items() if i is not None}
