"""Plans of shards: which items each one has, and which shards are complete already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from cairn.media.folders import SkippedFiles
from cairn.media.items import Item, ListOptions, Order, list_items
from cairn.results.shards import ShardRecord, item_hash, read_record, shard_numbers, shard_path


@dataclass(frozen=True)
class ShardPlan:
    """A shard to compute, or one that is complete.

    Attributes:
        number: Number of the shard.
        items: Its items; empty where it is complete.
        done: The record of a complete shard.
    """

    number: int
    items: Sequence[Item] = ()
    done: ShardRecord | None = None


@dataclass
class Listing:
    """What was met while the items were listed.

    Attributes:
        skipped: Files that are not read.
        faults: Folders and tables that cannot be read, and the reasons.
    """

    skipped: SkippedFiles = field(default_factory=SkippedFiles)
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Planner:
    """Lists the items of a run and groups them into shards.

    The shards of an earlier run keep their places in the order of the items: what was added since goes into the shards
    between or after them, and results of items that are gone stay. A shard is computed again only where an item was
    added inside it and no number is free beside it.

    Attributes:
        sources: What to list, as `list_items` takes it.
        folder: The output folder.
        size: Number of images of a shard; a video, or the span of one, is not divided.
        split: Whether long videos are divided at keyframes.
        column: The column of images of tables; None chooses it.
        retry: Whether complete shards with faults are computed again.
    """

    sources: tuple[str, ...]
    folder: Path
    size: int
    split: bool = True
    column: str | None = None
    retry: bool = False

    def items(self, listing: Listing) -> Iterator[Item]:
        """Yields the items, and notes what was met."""

        def unreadable(place: str, reason: str) -> None:
            listing.faults.append((place, reason))

        options = ListOptions(self.size if self.split else 0, self.column, unreadable, listing.skipped)
        return list_items(self.sources, options)

    def plans(self, listing: Listing) -> Iterator[ShardPlan]:
        """Yields all shards, in order."""
        records = _records(self.folder, shard_numbers(self.folder))
        yield from group(self.items(listing), records, self.size, self._is_done)

    def _is_done(self, record: ShardRecord, items: Sequence[Item]) -> bool:
        if self.retry and record.faults:
            return False
        return {item_hash(item.text) for item in items} <= set(record.items)


def _records(folder: Path, numbers: Iterable[int]) -> Iterator[tuple[int, ShardRecord]]:
    """Yields the shards that are complete; a damaged one is absent."""
    for number in numbers:
        record = read_record(shard_path(folder, number))
        if record is not None:
            yield number, record


def group(
    items: Iterator[Item],
    records: Iterable[tuple[int, ShardRecord]],
    size: int,
    is_done: Callable[[ShardRecord, Sequence[Item]], bool],
) -> Iterator[ShardPlan]:
    """Yields shards of the items, each item in exactly one.

    Args:
        items: The items, in order.
        records: Number and record of the complete shards, in order.
        size: Number of images of a new shard.
        is_done: Whether a complete shard has all of these items.
    """
    following = _Following(items)
    number = 0
    for at, record in records:
        before = _chunks(following.until(_order(record.first), inclusive=False), size)
        held: list[Item] = []
        for some in before:
            if number < at:
                yield ShardPlan(number, some)
                number += 1
            else:
                held += some  # no number is free
        own = [*held, *following.until(_order(record.last), inclusive=True)]
        yield ShardPlan(at, done=record) if is_done(record, own) else ShardPlan(at, tuple(own))
        number = at + 1
    for some in _chunks(following.rest(), size):
        yield ShardPlan(number, some)
        number += 1


def _order(values: Sequence[Any]) -> Order:
    """Returns a place as it is before JSON makes its tuples lists."""
    return tuple(_order(each) if isinstance(each, list) else each for each in values)


def _chunks(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Yields the items in groups of `size` images or slightly more."""
    some: list[Item] = []
    weight = 0
    for item in items:
        if some and weight + item.weight > size:
            yield tuple(some)
            some, weight = [], 0
        some.append(item)
        weight += item.weight
    if some:
        yield tuple(some)


class _Following:
    """Items of which the next one is known."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._next = next(items, None)

    def until(self, place: Order, inclusive: bool) -> Iterator[Item]:
        """Yields the items before a place, and the one at the place too where it is inclusive."""
        while self._next is not None and (self._next.order < place or (inclusive and self._next.order == place)):
            yield self._next
            self._next = next(self._items, None)

    def rest(self) -> Iterator[Item]:
        """Yields all that follow."""
        return chain([] if self._next is None else [self._next], self._items)
