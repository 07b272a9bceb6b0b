"""Shards have every item exactly once, also where the items changed since the shards were computed."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from hypothesis import given
from hypothesis import strategies as st

from cairn.api.dataset.plan import ShardPlan, group
from cairn.media.items import Item
from cairn.media.names import ImageName
from cairn.media.sources import Source
from cairn.results.shards import ShardRecord, item_hash

names = st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted)


def items(numbers: Sequence[int], weight: int = 1) -> list[Item]:
    return [
        Item((0, (0, f"{i:03d}")), Source(ImageName(Path(f"{i:03d}"), PurePath("x")), "image"), weight) for i in numbers
    ]


def is_done(record: ShardRecord, some: Sequence[Item]) -> bool:
    return {item_hash(item.text) for item in some} <= set(record.items)


def record_of(plan: ShardPlan) -> ShardRecord:
    """As JSON gives it back."""
    record = ShardRecord([*plan.items[0].order], [*plan.items[-1].order], [item_hash(i.text) for i in plan.items])
    return ShardRecord.from_json(record.to_json())


@given(names, st.integers(1, 7))
def test_new_shards_have_each_item_once_and_in_order(numbers: list[int], size: int) -> None:
    plans = list(group(iter(items(numbers)), [], size, is_done))
    assert [item for plan in plans for item in plan.items] == items(numbers)
    assert [plan.number for plan in plans] == list(range(len(plans)))
    assert all(len(plan.items) == size for plan in plans[:-1])


@given(names, names, st.integers(1, 7), st.data())
def test_a_run_that_goes_on_computes_what_is_absent_and_nothing_twice(
    before: list[int], now: list[int], size: int, data: st.DataObject
) -> None:
    first = list(group(iter(items(before)), [], size, is_done))
    kept = [plan for plan in first if data.draw(st.booleans())]
    covered = {plan.number: plan.items for plan in kept}
    second = list(group(iter(items(now)), [(plan.number, record_of(plan)) for plan in kept], size, is_done))
    numbers = [plan.number for plan in second]
    assert numbers == sorted(set(numbers))
    shards = [covered[plan.number] if plan.done else plan.items for plan in second]
    found = [item for shard in shards for item in shard]
    assert len(found) == len(set(found))  # nothing twice
    assert set(items(now)) <= set(found)  # no hole
    assert [item.order for item in found] == sorted(item.order for item in found)


@given(names, st.integers(1, 7))
def test_nothing_is_computed_again_where_nothing_changed(numbers: list[int], size: int) -> None:
    first = list(group(iter(items(numbers)), [], size, is_done))
    second = list(group(iter(items(numbers)), [(plan.number, record_of(plan)) for plan in first], size, is_done))
    assert all(plan.done for plan in second)
    assert len(second) == len(first)


def test_results_of_items_that_are_gone_stay_and_later_ones_go_into_new_shards() -> None:
    first = list(group(iter(items(range(6))), [], 3, is_done))
    records = [(plan.number, record_of(plan)) for plan in first]
    second = list(group(iter(items([0, 2, 3, 4, 5, 6, 7])), records, 3, is_done))
    assert [(plan.number, plan.done is not None) for plan in second] == [(0, True), (1, True), (2, False)]


def test_a_video_longer_than_a_shard_is_a_shard() -> None:
    some = [*items([0, 1]), *items([2], weight=500), *items([3])]
    assert [len(plan.items) for plan in group(iter(some), [], 100, is_done)] == [2, 1, 1]
