"""Image IDs of a label file: by the longest common tail of the paths, and never a guess."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from cairn.api.label_ids import read_label_ids
from cairn.errors import LabelError
from cairn.results.writer import LabelIds
from cairn.structures.skeleton import Skeleton

SKELETON = Skeleton("moth", ("head", "tail"))


def read(tmp_path: Path, records: Any, images: list[str], **content: Any) -> tuple[LabelIds, list[str]]:
    """Returns the IDs and the lines that were noted."""
    notes: list[str] = []
    path = tmp_path / "labels.json"
    rows = [{"id": number, "file_name": name} for number, name in records] if isinstance(records, list) else records
    path.write_text(json.dumps({"images": rows, **content}), encoding="utf-8")
    return read_label_ids(path, [Path(image) for image in images], SKELETON, notes.append), notes


@pytest.mark.parametrize(
    ("record", "image"),
    [
        ("a.jpg", "images/a.jpg"),
        ("images/a.jpg", "a.jpg"),
        ("/data/of/another/machine/a.jpg", "images/a.jpg"),
        ("C:\\data\\val\\a.jpg", "val/a.jpg"),
        ("../val/a.jpg", "images/val/a.jpg"),
        ("./a.jpg", "./images/../a.jpg"),
        ("https://example.org/val/a%20b.jpg", "val/a b.jpg"),
        ("a%20b.jpg", "a%20b.jpg"),
        ("A.JPG", "A.jpg"),
        (unicodedata.normalize("NFD", "caf\u00e9.jpg"), unicodedata.normalize("NFC", "caf\u00e9.jpg")),
    ],
)
def test_an_image_is_found_by_its_name(tmp_path: Path, record: str, image: str) -> None:
    ids, notes = read(tmp_path, [(5, "other.jpg"), (7, record)], [image])
    assert (dict(ids.ids), notes) == ({Path(image): 7}, [])


@pytest.mark.parametrize("number", [0, 17, 2**40, 3.0, "17", "img_a", ""])
def test_an_id_is_written_as_the_file_has_it(tmp_path: Path, number: Any) -> None:
    (own,) = read(tmp_path, [(number, "a.jpg")], ["a.jpg"])[0].ids.values()
    assert (type(own), own) == (type(number), number)


def test_the_longest_common_tail_wins(tmp_path: Path) -> None:
    records = [(1, "train/x/a.jpg"), (2, "val/x/a.jpg"), (3, "b.jpg")]
    ids, _ = read(tmp_path, records, ["data/val/x/a.jpg", "data/train/x/a.jpg", "b.jpg"])
    assert {path.as_posix(): number for path, number in ids.ids.items()} == {
        "data/val/x/a.jpg": 2,
        "data/train/x/a.jpg": 1,
        "b.jpg": 3,
    }
    ids, notes = read(tmp_path, [(1, "val/a.jpg")], ["train/a.jpg", "val/a.jpg"])
    assert dict(ids.ids) == {Path("val/a.jpg"): 1}
    assert len(notes) == 1
    ids, _ = read(tmp_path, [(1, "a.jpg"), (2, "a.JPG")], ["a.JPG", "a.jpg"])  # on file systems that tell them apart
    assert dict(ids.ids) == {Path("a.JPG"): 2, Path("a.jpg"): 1}


@pytest.mark.parametrize(
    ("records", "images", "message"),
    [
        ([(1, "x/a.jpg"), (2, "y/a.jpg")], ["a.jpg"], "a.jpg could be x/a.jpg or y/a.jpg"),
        ([(1, "a.jpg")], ["x/a.jpg", "y/a.jpg"], "a.jpg could be x/a.jpg or y/a.jpg"),
        ([(1, "a.jpg"), (1, "b.jpg")], ["a.jpg"], "image id 1 occurs twice"),
        ([(1, "a.jpg"), (2, "a.jpg")], ["a.jpg"], "could be a.jpg or a.jpg"),
        ([(1, "b.jpg")], ["x/a.jpg"], "has none of the 1 images by name: x/a.jpg is not in it"),
        ([(None, "a.jpg"), (True, "a.jpg"), (1, 3)], ["a.jpg"], "has none of the 1 images"),
        ({}, ["a.jpg"], "must be a COCO label file: .* has no list of images"),
    ],
)
def test_no_id_is_guessed(tmp_path: Path, records: Any, images: list[str], message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        read(tmp_path, records, images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"images": 3}', "[" * 100_000])
def test_another_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(LabelError, match="must be a COCO label file"):
        read_label_ids(tmp_path / "labels.json", [Path("a.jpg")], SKELETON, print)
    with pytest.raises(LabelError, match="cannot read labels"):
        read_label_ids(tmp_path / "absent.json", [Path("a.jpg")], SKELETON, print)


def test_images_that_the_file_lacks_are_one_line(tmp_path: Path) -> None:
    ids, notes = read(tmp_path, [(4, "b.jpg")], ["x/a.jpg", "x/b.jpg", "x/c.jpg"])
    assert dict(ids.ids) == {Path("x/b.jpg"): 4}
    assert len(notes) == 1
    assert "lacks 2 of 3 images, the first is x/a.jpg" in notes[0]


def test_the_category_is_that_with_the_keypoints_of_the_model(tmp_path: Path) -> None:
    def category(*rows: Any) -> tuple[int, list[str]]:
        ids, notes = read(tmp_path, [(1, "a.jpg")], ["a.jpg"], categories=list(rows))
        (number,) = ids.categories
        return number, notes

    moth = {"id": 3, "name": "moth", "keypoints": ["head", "tail"]}
    assert category() == (1, [])
    assert category({"id": 9, "name": "thing"}) == (9, [])
    assert category({"id": 9, "name": "thing"}, moth) == (3, [])
    assert category({"id": 2, "name": "bee", "keypoints": ["a", "b", "c"]}, moth) == (3, [])
    number, notes = category(moth, {**moth, "id": 4, "name": "wasp"})
    assert number == 3
    assert len(notes) == 1
    assert "2 categories with keypoints (moth, wasp)" in notes[0]


def test_sizes_are_those_that_the_file_states(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    rows = [{"id": 1, "file_name": "a.jpg", "width": 6, "height": 4.0}, {"id": 2, "file_name": "b.jpg", "width": None}]
    path.write_text(json.dumps({"images": rows}), encoding="utf-8-sig")
    ids = read_label_ids(path, [Path("a.jpg"), Path("b.jpg")], SKELETON, print)
    assert dict(ids.sizes) == {Path("a.jpg"): (4, 6)}
