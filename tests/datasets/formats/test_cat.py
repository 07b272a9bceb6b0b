"""The cat dataset's .cat files."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.made_labels import draw_images

HEAD = np.array([[17, 16], [23, 16], [20, 20], [14, 12], [13, 7], [16, 9], [28, 10], [31, 9], [29, 13]])
"""Eyes, mouth, ears from left to right of the image."""


def text(points: np.ndarray = HEAD, end: str = " ") -> str:
    return f"{len(points)} " + " ".join(map(str, points.ravel())) + end


@pytest.mark.parametrize("end", [" ", "\n", "\r\n"])
def test_folders_of_cats_are_read(tmp_path: Path, end: str) -> None:
    names = ("CAT_00/00000001_000.png", "CAT_01/00000001_000.png", "CAT_01/b.jpg")
    draw_images(tmp_path, names)
    for i, name in enumerate(names):
        (tmp_path / f"{name}.cat").write_text(text(HEAD + i, end), newline="")
    labels = read_labels(tmp_path)
    assert [image.path for image in labels] == [tmp_path / name for name in names]
    points = labels.images[0].annotation.keypoints[0]
    index = labels.skeleton.index
    np.testing.assert_array_equal(points[index("right_eye")], HEAD[0])  # the cat's right eye is left in the image
    np.testing.assert_array_equal(points[index("left_ear_outer")], HEAD[8])
    flipped = points[list(labels.skeleton.flip_order)]
    assert (np.sign(flipped[:, 0] - 21)[[0, 1]] == -np.sign(points[:, 0] - 21)[[0, 1]]).all()
    assert len(read_labels(tmp_path / f"{names[2]}.cat")) == 1


def test_images_may_be_in_another_folder(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", ("CAT_00/a.jpg", "CAT_01/a.jpg"))
    for folder in ("CAT_00", "CAT_01"):
        (tmp_path / "labels" / folder).mkdir(parents=True)
        (tmp_path / "labels" / folder / "a.jpg.cat").write_text(text())
    labels = read_labels(tmp_path / "labels", ReadOptions(images=tmp_path / "images"))
    assert [image.path.parent.name for image in labels] == ["CAT_00", "CAT_01"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text()[:-4], "9 points need 18 numbers, but there are 17"),
        ("", "is empty"),
        ("9 a b", "the number of points"),
        (text().replace("17", "nan", 1), "finite numbers"),
        (text().replace("17", "inf", 1), "joint 1 is at"),
        (text(HEAD[:4]), r"4 points, where a\.jpg\.cat has 9"),
        ("-1", "-1 points need"),
    ],
)
def test_an_invalid_file_is_a_one_line_error_or_skipped(tmp_path: Path, content: str, message: str) -> None:
    draw_images(tmp_path, ("a.jpg", "b.jpg"))
    (tmp_path / "a.jpg.cat").write_text(text())
    (tmp_path / "b.jpg.cat").write_text(content)
    with pytest.raises(LabelError, match=message):
        read_labels(tmp_path)
    problems = Problems(skip=True)
    assert len(read_labels(tmp_path, ReadOptions(problems=problems))) == 1
    assert len(problems.skipped) == 1


def test_a_missing_image_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.cat").write_text(text())
    with pytest.raises(LabelError, match=r"a\.jpg\.cat: no image a\.jpg in"):
        read_labels(tmp_path)
