"""Lists of images that are excluded."""

import json
import logging
from pathlib import Path

import pytest

from cairn.datasets.exclusion import Exclusion, listed_names
from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.coco import write_coco
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_exclusion, read_labels
from cairn.errors import LabelError
from support.face_sets import make_celeba, names
from support.made_labels import draw_images, make_labels

PATHS = [Path(text) for text in ("/d/train/a.jpg", "/d/val/a.jpg", "/d/val/b.png", "/d/Änderung c.jpg")]


@pytest.mark.parametrize(
    ("name", "excluded"),
    [
        ("b.png", {2}),
        ("b", {2}),
        ("val/b.png", {2}),
        ("C:\\other\\val\\b.png", {2}),
        ("/elsewhere/x/b.png", {2}),
        ("B.PNG", {2}),
        ("a.jpg", {0, 1}),
        ("val/a.jpg", {1}),
        ("val\\a.jpg", {1}),
        ("/d/train/a.jpg", {0}),
        ("A\u0308nderung c.jpg", {3}),
        ("a.png", set()),
        ("a.jpg.jpg", set()),
    ],
)
def test_a_name_stands_for_the_images_with_its_longest_tail(name: str, excluded: set[int]) -> None:
    problems = Problems()
    kept = Exclusion(Path("list.txt"), (name,)).kept(PATHS, problems)
    assert set(range(4)) - set(kept) == excluded
    assert len(problems.notes) == (not excluded)


def test_names_that_match_nothing_are_one_note_with_count_and_example() -> None:
    problems = Problems()
    Exclusion(Path("list.txt"), ("x.jpg", "a.jpg", "y.jpg")).kept(PATHS, problems)
    assert problems.notes == ("names in list.txt that match no image: 2, the first is x.jpg",)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "lines",
    [
        ["a.jpg", "val/b c.png"],
        ["# test images", "", "a.jpg", " val/b c.png "],
        ["image_id,partition", "a.jpg,2", "val/b c.png,2"],
        ["a.jpg 2 3.5", "val/b c.png 1 1"],
        ['"a.jpg"', '"val/b c.png"'],
    ],
)
def test_lists_have_a_name_on_each_line(tmp_path: Path, lines: list[str], end: str) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeff".encode() + end.join(lines).encode())
    assert listed_names(file) == ("a.jpg", "val/b c.png")


def test_names_may_have_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a\nval/b\n")
    assert listed_names(tmp_path / "list.txt") == ("a", "val/b")


def test_labels_and_folders_are_lists_too(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    write_coco(labels, tmp_path / "labels.json")
    everything = read_exclusion(tmp_path / "labels.json")
    assert [Path(name).name for name in everything.names] == [image.path.name for image in labels]
    draw_images(tmp_path / "test", ("x.png", "deep/y.png"))
    assert {Path(name).name for name in read_exclusion(tmp_path / "test").names} == {"x.png", "y.png"}


def test_labels_whose_images_are_missing_are_a_list_too(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "here")
    write_coco(labels, tmp_path / "test.json")
    for image in labels:
        image.path.unlink()
    assert len(read_exclusion(tmp_path / "test.json").names) == 3


def test_celeba_without_the_test_images_of_mafl(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = make_celeba(tmp_path, wild=False)
    with (root / "MAFL/testing.txt").open("a") as file:
        file.write("999999.jpg\n")
    caplog.set_level(logging.INFO, logger="cairn")
    labels = read_labels(root, ReadOptions(exclude=root / "MAFL/testing.txt"))
    assert [image.path.name for image in labels] == names(10)[:-3]
    messages = [record.getMessage() for record in caplog.records]
    assert any("3 of 10 images are excluded by" in message for message in messages)
    assert [message for message in messages if "999999.jpg" in message] == [
        f"{root}: names in {root / 'MAFL/testing.txt'} that match no image: 999999.jpg"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no list of images to exclude at"),
        ("", "lists no images"),
        ("\n# nothing\n", "lists no images"),
        ("a.png\nb ü.png\na.png\nsub/a.png", r"all 3 images are excluded"),
    ],
)
def test_a_list_that_cannot_be_used_is_a_one_line_error(tmp_path: Path, content: str | None, message: str) -> None:
    write_coco(make_labels(tmp_path), tmp_path / "labels.json")
    if content is not None:
        (tmp_path / "list.txt").write_text(content)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "labels.json", ReadOptions(exclude=tmp_path / "list.txt"))
    assert "\n" not in str(caught.value)
    (tmp_path / "bad.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(LabelError, match=r"bad\.json"):
        read_labels(tmp_path / "labels.json", ReadOptions(exclude=tmp_path / "bad.json"))
