"""Laws of the end of a run: it ends where `still` has risen twice in a row, and not before."""

import logging
from types import SimpleNamespace

import pytest
import torch

from cairn.methods.landmarks.drift import StopOnDrift


def validated(callback: StopOnDrift, values: list[float], sanity: bool = False) -> list[bool]:
    """Whether the run would end after each validation."""
    trainer = SimpleNamespace(sanity_checking=sanity, should_stop=False, current_epoch=0, callback_metrics={})
    ends = []
    for epoch, value in enumerate(values):
        trainer.current_epoch = epoch
        trainer.callback_metrics = {"still": torch.tensor(value)}
        callback.on_validation_end(trainer, None)
        ends.append(trainer.should_stop)
    return ends


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([100, 40, 3, 0, 0, 87, 87], 6),
        ([100, 40, 3, 0, 0, 87, 100], 6),
        ([100, 60, 70, 80], 3),  # it never was low, and rises
        ([100, 100, 100, 40, 20, 3, 3], None),
        ([100, 10, 20, 10, 20, 10], None),  # one landmark of ten, now and then
        ([100, 0, 5, 5, 5, 5], None),  # the limit itself
        ([100, 0, 6, 6], 3),
    ],
)
def test_a_run_ends_after_two_rises_in_a_row(values: list[float], end: int | None) -> None:
    ends = validated(StopOnDrift(5.0), values)
    assert ends == [end is not None and epoch >= end for epoch in range(len(values))]


def test_the_message_is_one_line_with_both_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        validated(StopOnDrift(5.0), [100, 3, 40, 87])
    [message] = [record.getMessage() for record in caplog.records]
    assert "from 3% to 87%" in message
    assert "epoch 4" in message
    assert "\n" not in message


def test_a_limit_of_100_never_ends_a_run_and_checks_of_the_start_do_not_count() -> None:
    assert not any(validated(StopOnDrift(100.0), [0, 100, 100, 100]))
    assert not any(validated(StopOnDrift(5.0), [0, 100, 100, 100], sanity=True))


def test_a_resumed_run_continues_to_count() -> None:
    before, after = StopOnDrift(5.0), StopOnDrift(5.0)
    validated(before, [100, 0, 50])
    after.load_state_dict(before.state_dict())
    assert validated(after, [50]) == [True]
