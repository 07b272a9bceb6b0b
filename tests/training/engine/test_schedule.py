"""The schedule ends with the last step, however often another number of steps is planned, and never jumps."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.training.engine.schedule import Progress, factor_at
from cairn.training.recipe import Optimizer

plans = st.lists(st.tuples(st.floats(0, 0.99), st.integers(1, 500)), max_size=4)


def planned(curve: int, changes: list[tuple[float, int]]) -> tuple[Progress, list[tuple[Progress, Progress, int]]]:
    """Returns the last progress, and (before, after, step) of each change: at a share of the steps that remain."""
    progress, step, history = Progress(curve, curve), 0, []
    for share, more in changes:
        step += int(share * (progress.total - step))
        other = progress.ending_at(step + more, step)
        history.append((progress, other, step))
        progress = other
    return progress, history


@given(st.integers(1, 1000), plans)
def test_the_curve_ends_with_the_last_step_and_does_not_jump_where_steps_are_planned_again(curve, changes):
    progress, history = planned(curve, changes)
    assert progress.at(progress.total) == pytest.approx(curve)
    for before, after, step in history:
        assert after.at(step) == pytest.approx(before.at(step))
    positions = [progress.at(step) for step in range(progress.step, progress.total + 1)]
    assert positions == sorted(positions)
    assert 0 <= positions[0] <= positions[-1] <= curve + 1e-9


@given(st.integers(1, 1000), plans)
def test_the_remaining_steps_pass_through_the_rest_of_the_curve_at_an_even_rate(curve, changes):
    progress, _ = planned(curve, changes)
    positions = [progress.at(step) for step in range(progress.step, progress.total + 1)]
    gaps = [b - a for a, b in itertools.pairwise(positions)]
    assert gaps == pytest.approx([(curve - progress.position) / max(1, len(gaps))] * len(gaps))


@given(st.integers(1, 300), st.sampled_from(["cosine", "steps", "constant"]), st.sampled_from([0.0, 0.03, 0.5]))
def test_without_another_plan_each_step_is_its_own_position(total, schedule, warmup):
    progress, factor = Progress(total, total), factor_at(Optimizer(schedule=schedule, warmup=warmup), total)
    again = progress.ending_at(total, total // 2)
    for step in range(total + 2):
        assert again.at(step) == step
        assert 0 <= factor(progress.at(step)) <= 1


@pytest.mark.parametrize("total", [40, 400])
def test_a_cosine_that_is_planned_again_ends_at_zero(total):
    factor, progress = factor_at(Optimizer(), 100), Progress(100, 100).ending_at(total, 30)
    rates = [factor(progress.at(step)) for step in range(30, total + 1)]
    assert rates[0] == pytest.approx(factor(30))
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_milestones_stay_shares_of_the_schedule():
    factor, progress = factor_at(Optimizer(schedule="steps", warmup=0.0), 100), Progress(100, 100).ending_at(60, 20)
    assert [factor(progress.at(step)) for step in (44, 45, 54, 55)] == pytest.approx([1, 0.1, 0.1, 0.01])
