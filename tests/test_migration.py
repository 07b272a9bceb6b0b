"""Keys of old files are renamed on read."""

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.migration import notice, rename_keys
from cairn.structures.skeleton import Skeleton, load_skeleton

tables = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcxyz"), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict))


@given(tables)
def test_without_renames_nothing_changes(table: dict[str, Any]) -> None:
    assert rename_keys(table, {}) == (table, ())
    assert rename_keys(table, {"q": "r", "q.q": "r"}) == (table, ())


@given(tables)
def test_a_second_time_changes_nothing(table: dict[str, Any]) -> None:
    once, _ = rename_keys(table, {"x": "a", "b.y": "c"})
    assert rename_keys(once, {"x": "a", "b.y": "c"}) == (once, ())


@pytest.mark.parametrize(
    ("values", "renames", "expected", "done"),
    [
        ({"old": 1, "other": 2}, {"old": "new"}, {"new": 1, "other": 2}, ("old -> new",)),
        ({"a": {"old": 1}}, {"a.old": "a.new"}, {"a": {"new": 1}}, ("a.old -> a.new",)),
        (
            {"a": {"old": 1}},
            {"a": "b", "a.old": "b.new"},
            {"b": {"new": 1}},
            ("a.old -> b.new", "a -> b"),
        ),
        ({"a": [{"old": 1}, {"old": 2}]}, {"a.old": "a.new"}, {"a": [{"new": 1}, {"new": 2}]}, ("a.old -> a.new",)),
        ({"old": 1, "new": 2}, {"old": "new"}, {"new": 2}, ("old -> new",)),
        ({"a": 3}, {"a.old": "a.new"}, {"a": 3}, ()),
        ({"b": {"old": 1}}, {"a.old": "a.new"}, {"b": {"old": 1}}, ()),
    ],
)
def test_keys_are_renamed_in_their_tables(
    values: dict[str, Any], renames: dict[str, str], expected: dict[str, Any], done: tuple[str, ...]
) -> None:
    before = repr(values)
    assert rename_keys(values, renames) == (expected, done)
    assert repr(values) == before


def test_the_notice_is_one_line_with_file_and_keys() -> None:
    line = notice("run/recipe.toml", ("a -> b", "c -> d"))
    assert line.startswith("run/recipe.toml ")
    assert line.endswith("a -> b, c -> d")
    assert "\n" not in line


def test_an_old_skeleton_file_is_read_with_one_line_of_notice(tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "skeleton.toml"
    path.write_text('name = "fly"\njoints = ["head", "tail"]\ncolours = ["#102030", "#ff8000"]\n')
    with caplog.at_level(logging.WARNING):
        fly = load_skeleton(path)
    assert fly.colors == ("#102030", "#ff8000")
    assert [record.getMessage() for record in caplog.records] == [notice(str(path), ("colours -> colors",))]


def test_an_old_skeleton_table_is_read() -> None:
    table = {"name": "fly", "joints": ["head"], "colours": ["#102030"]}
    assert Skeleton.from_dict(table).colors == ("#102030",)
