"""HRNet's .csv files of facial landmarks."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.made_labels import draw_images

RNG = np.random.default_rng(4)


def table(count: int, faces: dict[str, np.ndarray], box_size: bool, end: str = "\n") -> str:
    columns = ["image_name", "scale", *(["box_size"] if box_size else []), "center_w", "center_h"]
    columns += [f"original_{i}_{axis}" for i in range(count) for axis in "xy"]
    rows = [
        [name.split("#")[0], 0.1, *([24] if box_size else []), 20, 15, *points.ravel().tolist()]
        for name, points in faces.items()
    ]
    return end.join([",".join(columns), *(",".join(map(str, row)) for row in rows), ""])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("count", "box_size", "skeleton"), [(19, True, "aflw19"), (68, False, "face68"), (98, False, "points")]
)
def test_faces_are_read_with_their_boxes(tmp_path: Path, count: int, box_size: bool, skeleton: str, end: str) -> None:
    draw_images(tmp_path / "images", ("0/a.png", "b.png"))
    faces = {name: RNG.uniform(1, 30, (count, 2)).round(2) for name in ("0/a.png", "b.png", "b.png#2")}
    path = tmp_path / "face_landmarks_test.csv"
    path.write_text(table(count, faces, box_size, end), newline="")
    labels = read_labels(path)
    assert labels.skeleton.name == skeleton
    assert [len(image.annotation) for image in labels] == [1, 2]
    assert labels.splits == ("test",)
    np.testing.assert_allclose(labels.images[1].annotation.keypoints[1], faces["b.png#2"], rtol=1e-6)
    side = 24 if box_size else 20
    np.testing.assert_allclose(labels.images[0].annotation.boxes, [[20 - side / 2, 15 - side / 2, side, side]])


def test_points_that_are_not_labeled_and_names_of_points(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    points = np.array([[3, 4], [0, 0], [-1, -1], [-2, 5]], float)
    (tmp_path / "faces.csv").write_text(table(4, {"a.png": points}, False))
    names = Skeleton("leaf", ("a", "b", "c", "d"))
    labels = read_labels(tmp_path / "faces.csv", ReadOptions(skeleton=names))
    assert labels.skeleton == names
    np.testing.assert_array_equal(labels.images[0].annotation.visibility, [[2, 0, 0, 2]])


def test_the_points_of_aflw_contain_the_five_of_face5() -> None:
    assert all(load_skeleton("face5").parts_in(load_skeleton("aflw19")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b.png,0.1", "b.png,x", "row 3 must have numbers after the image"),
        ("b.png,0.1", "b.png,0.1,0.1", "row 3 has 14 columns, expected 13"),
        ("original_3_y", "original_3_y,more", "expected x and y of each point"),
        ("b.png", "c.png", "1 of 2 images are missing"),
    ],
)
def test_an_invalid_row_is_a_one_line_error(tmp_path: Path, old: str, new: str, message: str) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    faces = {name: np.full((4, 2), 5.0) for name in ("a.png", "b.png")}
    text = table(4, faces, True)
    (tmp_path / "faces.csv").write_text(text.replace(old, new))
    with pytest.raises(LabelError, match=message):
        read_labels(tmp_path / "faces.csv")
    if message.startswith("row"):
        problems = Problems(skip=True)
        assert len(read_labels(tmp_path / "faces.csv", ReadOptions(problems=problems))) == 1
        assert len(problems.skipped) == 1


@pytest.mark.parametrize("break_", ["\r", '"', "\0"])
def test_a_header_that_is_broken_apart_is_a_one_line_error(tmp_path: Path, break_: str) -> None:
    draw_images(tmp_path, ("a.png",))
    content = table(4, {"a.png": np.ones((4, 2))}, False).replace("image_name", f"image_name{break_},{break_}", 1)
    (tmp_path / "faces.csv").write_text("\r" * (break_ == "\r") + content, newline="")
    with pytest.raises(LabelError) as caught:
        read_labels(tmp_path / "faces.csv")
    assert len(str(caught.value).splitlines()) == 1
