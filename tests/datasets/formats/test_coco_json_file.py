"""A JSON object that is read chunk by chunk is the one that the standard parser returns, for chunks of any size."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets.formats.coco.json_file import Records, read_object
from cairn.errors import LabelError

KEPT = ("id", "name")
LISTS = {key: Records(KEPT, lambda row: row, lambda row: False) for key in ("images", "annotations")}

text = st.one_of(st.sampled_from(['}, {"id"', '"', "\\", "é€😀", "[", ""]), st.text(string.printable, max_size=5))
number = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), number, text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=8,
)
records = st.lists(st.fixed_dictionaries({"id": number, "name": values}), max_size=5)
objects = st.dictionaries(st.sampled_from(["images", "annotations", "info", "x"]), st.one_of(records, values))


@settings(max_examples=150, deadline=None)
@given(objects, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([1, 7, 40, 1 << 20]))
def test_as_the_standard_parser(
    tmp_path_factory: pytest.TempPathFactory, content: Any, indent: int | None, ascii_only: bool, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "content.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert read_object(path, LISTS, chunk) == content


@settings(max_examples=150, deadline=None)
@given(objects, st.data(), st.sampled_from([1, 7, 1 << 20]))
def test_what_the_standard_parser_refuses_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: Any, data: st.DataObject, chunk: int
) -> None:
    whole = bytearray(json.dumps(content).encode())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(damaged)
    try:
        expected = json.loads(damaged.decode())
    except ValueError:
        with pytest.raises(LabelError, match=r"damaged\.json is (empty|not valid JSON)"):
            read_object(path, LISTS, chunk)
    else:
        assert repr(read_object(path, LISTS, chunk)) == repr(expected)


def test_other_keys_are_never_built(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [{"id": i, "outline": [1.5] * 9, "name": "x" * (i == 7)} for i in range(20)]
    path.write_text(json.dumps({"annotations": rows, "images": rows}))
    enough = {"annotations": Records(KEPT, dict, lambda row: True)}
    content = read_object(path, enough, 200)
    assert [row["id"] for row in content["annotations"]] == list(range(20))
    assert "outline" not in content["annotations"][0]
    assert content["images"] == rows
    named = {"annotations": Records(KEPT, dict, lambda row: not row["name"])}
    assert "outline" in read_object(path, named, 200)["annotations"][7]


def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": [{"id": "\\udcff"}, {"id": 2}, {"id": 3}]}')
    assert read_object(path, LISTS, 30)["images"][0]["id"] == "\udcff"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"images": [{"id": 1},\n {"id": }]}', "Expecting value: line 2 column 9"),
        (b'{"images": [{"id": 1}]', "Expecting ','"),
        (b'{"images": [{"id": 1}', "not valid JSON"),
        (b'{"a": 1} x', "expected nothing more: line 1 column 10"),
        (b"{a: 1}", "a key in double quotes: line 1 column 2"),
        (b'{"a" 1}', "Expecting ':': line 1 column 6"),
        (b'{"a": "\xff"}', "it is not UTF-8 text"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "limit"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    for chunk in (3, 1 << 20):
        with pytest.raises(LabelError, match=message) as caught:
            read_object(path, LISTS, chunk)
        assert "\n" not in str(caught.value)
