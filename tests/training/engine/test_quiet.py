"""Lightning and torch are silent while Cairn trains."""

import logging
import warnings

import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

from cairn.training.engine.quiet import ADVISING, without_advice


def test_log_lines_and_warnings_are_silent_within_and_as_before_afterwards() -> None:
    levels = [logging.getLogger(name).level for name in ADVISING]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with without_advice():
            assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in ADVISING)
            warnings.warn("within", stacklevel=1)
        warnings.warn("afterwards", stacklevel=1)
    assert [str(each.message) for each in caught] == ["afterwards"]
    assert [logging.getLogger(name).level for name in ADVISING] == levels
