"""Labels as a table: CSV and Parquet round-trip, and each invalid row is one line."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.formats.skeleton_file import write_skeleton
from cairn.datasets.formats.table import write_csv, write_parquet
from cairn.datasets.formats.table.rows import COLUMNS
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.made_labels import MOTH, assert_same, draw_images, make_labels

HEADER = "image,object,joint,x,y,v\n"


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_labels_round_trip_through_a_table(tmp_path: Path, name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is in the parquet extra")
    write_coco(make_labels(tmp_path, crowds=True), tmp_path / "one.json")
    labels = read_coco(tmp_path / "one.json")
    path = tmp_path / f"two.{name}"
    (write_csv if name == "csv" else write_parquet)(labels, path)
    write_skeleton(labels.skeleton, tmp_path / "two.skeleton.toml")  # as `cairn convert` does
    again = read_labels(path)
    write_coco(again, tmp_path / "three.json")
    back = read_coco(tmp_path / "three.json")
    for other in (again, back):
        assert_same(labels, other)
        assert [(p.path, p.groups, p.frame) for p in other] == [(p.path, p.groups, p.frame) for p in labels]
    assert back.skeleton.flip_order == MOTH.flip_order


def test_a_table_has_a_row_for_each_joint(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    write_csv(labels, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 2 * 2 * 5 + 1
    first, annotation = rows[0], labels.images[0].annotation
    assert (first["image"], first["joint"], first["v"], first["frame"]) == ("a.png", "head", "2", "7")
    assert (float(first["x"]), float(first["y"])) == tuple(annotation.keypoints[0, 0])
    unlabeled = [row for row in rows if row["v"] == "0"]
    assert len(unlabeled) == sum(int((image.annotation.visibility == 0).sum()) for image in labels)
    assert unlabeled
    assert all(row["x"] == row["y"] == "" for row in unlabeled)


def test_the_required_columns_are_sufficient(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    (tmp_path / "t.csv").write_text(HEADER + "a.png,0,left tip,1.5,2,2\na.png,0,right tip,3,4,1\n")
    labels = read_labels(tmp_path / "t.csv")
    assert labels.skeleton.joints == ("left tip", "right tip")
    assert labels.skeleton.flip_pairs == ((0, 1),)
    (image,) = labels
    assert image.size == (40, 60)
    np.testing.assert_array_equal(image.annotation.keypoints, [[[1.5, 2], [3, 4]]])
    np.testing.assert_array_equal(image.annotation.boxes, [[1.5, 2, 1.5, 2]])
    assert image.annotation.visibility.tolist() == [[2, 1]]


INVALID = [
    ("a.png,0,tip,nan,2,2", "row 3: x and y must be numbers where v is not 0, got nan"),
    ("a.png,0,tip,,2,2", "row 3: x and y must be numbers where v is not 0, got None"),
    ("a.png,0,tip,one,2,2", "row 3: x and y must be numbers"),
    ("a.png,0,tip,1e39,2,2", r"row 3: joint 1 is at \[1e\+39, 2"),
    ("a.png,0,tip,inf,2,1", "row 3: joint 1 is at"),
    ("a.png,0,tip,1,2,5", "row 3: v must be 0"),
    ("a.png,0,tip,1,2,", "row 3: v must be 0"),
    ("a.png,0,root,1,2,2", r"row 3: root of object 0 in a\.png occurs twice"),
    ("a.png,x,tip,1,2,2", "row 3: object must be a whole number, got nan"),
    ("a.png,1e300,tip,1,2,2", r"row 3: object must be a whole number, got 1e\+300"),
    (",0,tip,1,2,2", "row 3 names no image"),
    ("../p/c.png,0,tip,1,2,2", r"missing.*p/c\.png"),
    ("c.png,0,tip,1,2,2", "1 of 2 images are missing"),
]


@pytest.mark.parametrize(("row", "message"), INVALID, ids=[message for _, message in INVALID])
def test_an_invalid_row_is_a_one_line_error_or_skipped(tmp_path: Path, row: str, message: str) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    good = "a.png,0,root,1,2,2\n"
    (tmp_path / "t.csv").write_text(f"{HEADER}{good}{row}\n")
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "t.csv")
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
    good = "b.png,0,root,1,2,2\nb.png,0,tip,1,2,2\n"
    again = "a.png,0,root,1,2,2\n" if "occurs twice" in message else ""
    (tmp_path / "t.csv").write_text(f"{HEADER}{good}{row}\n{again}")
    problems = Problems(skip=True)
    assert "b.png" in [image.path.name for image in read_labels(tmp_path / "t.csv", ReadOptions(problems=problems))]
    assert len(problems.skipped) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"t\.csv is empty"),
        (HEADER.encode(), r"t\.csv is empty: it has a header"),
        (b"image,joint\n", "no column 'object'"),
        (HEADER.encode("utf-16"), "not UTF-8 text"),
        (HEADER.encode() + b"\xff\xfe,0,tip,1,2,2\n", "not UTF-8 text"),
        (b"\x00\x01\x02", "in an unknown format"),
        (b"x,y\n1,2\n", "in an unknown format: expected .*COCO"),
    ],
)
def test_another_file_is_a_one_line_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_is_a_one_line_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is in the parquet extra")
    path: Any = tmp_path / "t.parquet"
    write_parquet(make_labels(tmp_path), path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(LabelError, match="damaged"):
        read_labels(path)


@pytest.mark.parametrize("text", [b"joint", b"wingL"], ids=["the name of a column", "a value"])
def test_text_that_is_not_utf8_is_a_one_line_error(tmp_path: Path, text: bytes) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is in the parquet extra")
    path = tmp_path / "t.parquet"
    write_parquet(make_labels(tmp_path), path)
    path.write_bytes(path.read_bytes().replace(text, text[:2] + b"\x80" + text[3:]))
    with pytest.raises(LabelError, match=r"t\.parquet is damaged") as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["cairn.skeleton", "cairn.structures.skeleton"])
def test_a_parquet_of_an_earlier_version_keeps_its_skeleton(tmp_path: Path, key: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow, which is in the parquet extra")
    labels, path = make_labels(tmp_path), tmp_path / "t.parquet"
    write_parquet(labels, path)
    table = parquet.read_table(path)
    skeleton = table.schema.metadata[b"cairn.skeleton"]
    parquet.write_table(table.replace_schema_metadata({key: skeleton}), path)
    assert read_labels(path).skeleton == labels.skeleton
