"""Messages of errors stay one line that can be printed."""

import pytest

from cairn.errors import CairnError, LabelError


@pytest.mark.parametrize("name", ["a\nb", "a\r\nb", "a\u2028b", "\x1b[2J", "\ud800", "a\0b", "\x85"])
def test_control_characters_of_names_are_escaped(name: str) -> None:
    message = str(LabelError(f"{name}.png is missing"))
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    message.encode()
    assert message.endswith(".png is missing")
    assert f"{CairnError(message)}" == message  # as an error of an error


def test_other_characters_are_kept_as_they_are() -> None:
    assert str(LabelError("b ü 猫.png: 'a\\nb'")) == "b ü 猫.png: 'a\\nb'"


def test_a_long_message_keeps_its_start_and_end() -> None:
    message = str(LabelError(f"start {'a' * 10**6} end"))
    assert len(message) < 2000
    assert (message[:6], message[-4:]) == ("start ", " end")
