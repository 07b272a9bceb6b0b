"""The keys at the start of JSON files, and numbers in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from cairn.datasets.containers.json_file import HEAD, finite, json_start, pixels, read_json
from cairn.errors import LabelError


@pytest.mark.parametrize(
    ("text", "opening", "keys", "inner"),
    [
        ('{"a": 1, "b": {"c": {"d": 1}}, "e": {"f": 1}}', "{", {"a", "b", "e"}, {"c"}),
        ('[{"a": [{"b": 1}], "c": 2}, {"d": 1}]', "[", set(), {"a", "c"}),
        ('\ufeff {"a\\"{": "}", "b": 1}', "{", {'a\\"{', "b"}, set()),
        ('{"a": "cut', "{", {"a"}, set()),
        ("[1, 2]", "[", set(), set()),
        ("text", "", set(), set()),
        ("", "", set(), set()),
    ],
)
def test_keys_of_the_first_two_levels(tmp_path: Path, text: str, opening: str, keys: set[str], inner: set[str]) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    start = json_start(tmp_path / "a")
    assert (start.opening, start.keys, start.inner) == (opening, keys, inner)


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert json_start(tmp_path).opening == ""
    with pytest.raises(LabelError, match="cannot read labels"):
        json_start(tmp_path / "none")


def test_a_long_text_full_of_escaped_quotes_is_one_token(tmp_path: Path) -> None:
    """Not a new text at each quote, which would take quadratic time and take its parts for keys."""
    (tmp_path / "a").write_text('{"a": "' + '\\": ' * HEAD)
    assert json_start(tmp_path / "a").keys == {"a"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"\xff{}", "is not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "is not valid JSON"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(LabelError, match=message) as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, None, "x", [], float("nan"), float("inf"), 10**400, 1e39, "nan", "1e999"])
def test_other_values_are_no_finite_numbers(value: Any) -> None:
    with pytest.raises(LabelError, match="coordinate must be a"):
        finite(value, "coordinate")
    assert pixels(value) is None


def test_numbers_may_be_texts_and_sizes_floats() -> None:
    assert (finite("1.5", ""), finite(-2, ""), pixels("640"), pixels(480.0)) == (1.5, -2.0, 640, 480)
    assert [pixels(value) for value in (0, -1, 1.5, "", json)] == [None] * 5
