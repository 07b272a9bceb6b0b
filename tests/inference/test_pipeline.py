"""A pipeline does the same work in the same order, with few items at a time, and it always ends."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.inference.pipeline import Parallel, overlap

AHEAD = [0, 1, 3]


def running() -> int:
    return sum(thread.name.startswith("overlap-") for thread in threading.enumerate())


def collect(items: Iterator[int], into: list[int]) -> None:
    for item in items:
        into.append(item)


@given(st.lists(st.integers(), max_size=20), st.integers(0, 3), st.integers(0, 3))
def test_pipeline_equals_stages_in_sequence(items: list[int], stages: int, ahead: int) -> None:
    steps = [lambda x, k=k: 3 * x + k for k in range(stages)]
    expected = items
    for step in steps:
        expected = [step(x) for x in expected]
    assert list(overlap(iter(items), *steps, ahead=ahead)) == expected
    assert running() == 0


def test_stages_run_concurrently() -> None:
    """The second stage processes item n while the first processes n + 1: else the barrier would time out."""
    barrier = threading.Barrier(2, timeout=60)

    def first(item: int) -> int:
        if item > 0:
            barrier.wait()
        return item

    def second(item: int) -> int:
        if item < 9:
            barrier.wait()
        return item

    assert list(overlap(range(10), first, second)) == list(range(10))


@pytest.mark.parametrize("ahead", AHEAD)
def test_stage_gets_one_item_at_a_time_in_order(ahead: int) -> None:
    seen: list[int] = []
    busy = threading.Lock()

    def stage(item: int) -> int:
        assert busy.acquire(blocking=False)
        seen.append(item)
        busy.release()
        return item

    assert list(overlap(range(200), stage, ahead=ahead)) == seen == list(range(200))


@pytest.mark.parametrize("ahead", AHEAD)
def test_at_most_as_many_items_as_the_queues_hold_are_read_ahead(ahead: int) -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    taken = overlap(items(), lambda x: x, lambda x: x, ahead=ahead)
    for done in range(1, 100):
        assert next(taken) == done
        assert drawn - done <= 3 * (ahead + 1)  # what waits in three queues, and what three threads have in hand
    taken.close()
    assert running() == 0


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["items", "first", "second"])
def test_an_exception_follows_the_items_before_it(ahead: int, error: type[BaseException], where: str) -> None:
    def broken_from(place: str, item: int) -> int:
        if place == where and item == 5:
            raise error(place)
        return item

    items = (broken_from("items", i) for i in range(10))
    done: list[int] = []
    worked = overlap(items, lambda x: broken_from("first", x), lambda x: broken_from("second", x), ahead=ahead)
    with pytest.raises(error, match=where):
        collect(worked, done)
    assert done == [0, 1, 2, 3, 4]
    assert running() == 0


@pytest.mark.parametrize("ahead", AHEAD)
def test_when_the_caller_stops_the_threads_stop_and_the_items_are_closed(ahead: int) -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    taken = overlap(items(), lambda x: x, ahead=ahead)
    assert next(taken) == 0
    taken.close()
    assert closed == [True]
    assert running() == 0


def test_a_slow_or_absent_caller_does_not_block_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that never returns is left behind when the caller stops."""
    monkeypatch.setattr("cairn.inference.pipeline.PATIENCE", 0.05)
    never = threading.Event()
    taken = overlap(range(3), lambda x: x if x == 0 else never.wait())
    assert next(taken) == 0
    taken.close()
    never.set()


@given(st.lists(st.integers(), max_size=20), st.integers(1, 4), st.integers(0, 3))
def test_a_parallel_stage_keeps_results_and_order(items: list[int], count: int, ahead: int) -> None:
    stage = Parallel(lambda x: 3 * x + 1, count)
    assert list(overlap(iter(items), stage, lambda x: -x, ahead=ahead)) == [-(3 * x + 1) for x in items]


def test_a_parallel_stage_runs_at_most_its_number_of_items_concurrently() -> None:
    """The barrier would block with fewer threads."""
    barrier, inside, most = threading.Barrier(3, timeout=60), threading.Semaphore(3), []

    def stage(item: int) -> int:
        most.append(inside.acquire(blocking=False))
        barrier.wait()
        inside.release()
        return item

    assert list(overlap(range(12), Parallel(stage, 3))) == list(range(12))
    assert all(most)


@pytest.mark.parametrize("ahead", AHEAD)
def test_an_error_in_a_parallel_stage_follows_all_items_before_it(ahead: int) -> None:
    def stage(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    seen: list[int] = []
    with pytest.raises(ValueError, match="five"):
        collect(overlap(range(9), Parallel(stage, 3), ahead=ahead), seen)
    assert seen == [0, 1, 2, 3, 4]
    assert running() == 0
