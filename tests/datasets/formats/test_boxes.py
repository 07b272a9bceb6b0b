"""Files of bounding boxes."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats.boxes import read_boxes
from cairn.errors import LabelError


def written(folder: Path, content: object) -> Path:
    (folder / "boxes.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "boxes.json"


def test_boxes_match_the_end_of_the_path_and_the_longest_name_wins(tmp_path: Path) -> None:
    path = written(tmp_path, {"a.jpg": [[1, 2, 3, 4]], "sub/a.jpg": [[5, 6, 7, 8.5], [0, 0, 1, 1]], "none.jpg": []})
    images = [Path("sub/a.jpg"), Path("/else/where/a.jpg"), Path("/x/sub/a.jpg"), Path("none.jpg")]
    rows = read_boxes(path).of(images)
    assert [some.shape for some in rows] == [(2, 4), (1, 4), (2, 4), (0, 4)]
    assert np.array_equal(rows[0], [[5, 6, 7, 8.5], [0, 0, 1, 1]])
    assert np.array_equal(rows[1], [[1, 2, 3, 4]])


def test_a_list_is_for_one_image(tmp_path: Path) -> None:
    boxes = read_boxes(written(tmp_path, [[1, 2, 3, 4]]))
    assert np.array_equal(boxes.of([Path("any.jpg")])[0], [[1, 2, 3, 4]])
    with pytest.raises(LabelError, match="is a list of boxes for one image, but there are 2 images"):
        boxes.of([Path("a.jpg"), Path("b.jpg")])


def test_an_image_without_boxes_is_an_error(tmp_path: Path) -> None:
    boxes = read_boxes(written(tmp_path, {"a.jpg": [[1, 2, 3, 4]]}))
    with pytest.raises(LabelError, match=r"has no boxes for sub/b.jpg: it names a.jpg"):
        boxes.of([Path("a.jpg"), Path("sub/b.jpg")])
    with pytest.raises(LabelError, match=r"has no boxes for aa.jpg"):  # the end of a file name is not a match
        boxes.of([Path("aa.jpg")])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not valid JSON"),
        ("\x00\x01", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("{}", "must be"),
        ("3", "must be"),
        ([1, 2, 3, 4], r"box 0 must be \[x, y, width, height\], got 1"),
        ({"a.jpg": [[1, 2, 3]]}, r"a.jpg: box 0 must be .* got \[1, 2, 3\]"),
        ({"a.jpg": [[1, 2, 3, 4], [1, 2, 3, "4"]]}, "a.jpg: box 1 must be"),
        ({"a.jpg": [[1, 2, 3, True]]}, "a.jpg: box 0 must be"),
        ({"a.jpg": {"x": 1}}, "a.jpg: box 0 must be"),
        ({"a.jpg": None}, "a.jpg: box 0 must be"),
    ],
)
def test_other_content_is_a_one_line_error(tmp_path: Path, content: object, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(LabelError, match=words) as caught:
        read_boxes(path)
    assert "\n" not in str(caught.value)
    assert "boxes.json" in str(caught.value)


def test_a_missing_file_and_a_binary_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot read boxes"):
        read_boxes(tmp_path / "absent.json")
    (tmp_path / "photo.json").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(LabelError, match="is not valid JSON"):
        read_boxes(tmp_path / "photo.json")
