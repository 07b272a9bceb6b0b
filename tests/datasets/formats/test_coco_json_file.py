"""A JSON object that is read chunk by chunk is the one that the standard parser returns, for chunks of any size."""

import json
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.datasets.formats.coco.json_file import Records, read_object
from cairn.errors import LabelError

KEPT = ("id", "name", "outline")


def chosen(rows: list[Any], build: Callable[[Any], Any]) -> list[Any]:
    """The kept fields of objects; other values as they are."""
    return [
        {key: build(row[key]) if key == "outline" else row[key] for key in KEPT if key in row}
        if isinstance(row, dict)
        else row
        for row in rows
    ]


def kept(content: Any) -> Any:
    """A content with the kept fields of its lists alone."""
    if not isinstance(content, dict):
        return content
    return {
        key: chosen(value, lambda field: field) if key in LISTS and isinstance(value, list) else value
        for key, value in content.items()
    }


LISTS = {key: Records(dict.fromkeys(KEPT, Any), chosen, ("outline",)) for key in ("images", "annotations")}


@pytest.fixture(params=["msgspec", "no msgspec"], autouse=True)
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    """With the fast library, and as where it is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "msgspec":
            pytest.importorskip("msgspec")
        else:
            patch.setitem(sys.modules, "msgspec", None)
        yield


text = st.one_of(st.sampled_from(['}, {"id"', '"', "\\", "é€😀", "[", ""]), st.text(string.printable, max_size=5))
number = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), number, text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=8,
)
records = st.lists(st.fixed_dictionaries({"id": number, "name": values, "outline": values}), max_size=5)
objects = st.dictionaries(st.sampled_from(["images", "annotations", "info", "x"]), st.one_of(records, values))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([1, 7, 40, 1 << 20]))
def test_as_the_standard_parser(
    tmp_path_factory: pytest.TempPathFactory, content: Any, indent: int | None, ascii_only: bool, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "content.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert read_object(path, LISTS, chunk) == kept(content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        assert repr(read_object(path, LISTS, chunk)) == repr(kept(expected))


def test_other_keys_are_skipped_and_large_ones_built_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [{"id": i, "outline": [1.5] * i, "x": 1} for i in range(20)]
    path.write_text(json.dumps({"annotations": rows, "info": rows}))
    seen: list[Any] = []

    def outlines(rows: list[Any], build: Callable[[Any], Any]) -> list[Any]:
        seen.extend(rows)
        return [build(row["outline"]) for row in rows]

    content = read_object(path, {"annotations": Records({"id": int, "outline": Any}, outlines, ("outline",))}, 200)
    assert content == {"annotations": [row["outline"] for row in rows], "info": rows}
    if sys.modules["msgspec"] is not None:
        assert any("x" not in row for row in seen)
        assert not any(isinstance(row["outline"], list) for row in seen if "x" not in row)


@pytest.mark.parametrize(
    "row", ['{"id": NaN}', '{"id": 1e999}', '{"id": "1"}', "7", '{"id": 1, "outline": [1e999]}', '{"id": -0.0}']
)
def test_chunks_that_the_fast_parser_refuses_are_read(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"images": [{", ".join([*["{}"] * 9, row, *["{}"] * 9])}]}}'.replace("{}", '{"id": 2}'))
    lists = {"images": Records({"id": int | None, "name": Any, "outline": Any}, chosen, ("outline",))}
    for chunk in (20, 100, 1 << 20):
        assert repr(read_object(path, lists, chunk)) == repr(json.loads(path.read_text()))


def test_text_that_is_not_utf8_is_refused_in_other_keys_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"images": [{"id": 1, "x": "\xff"}, {"id": 2}, {"id": 3}]}')
    with pytest.raises(LabelError, match="it is not UTF-8 text"):
        read_object(path, LISTS, 35)


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
