"""Lists of five facial points: MTFL's, those of LFW and Net, and others."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.made_labels import draw_images

FACE = np.array([[7.25, 6.5], [21.75, 7.25], [13, 15.5], [9.5, 22.25], [19, 23]])
"""Left eye, right eye, nose, left and right corner of the mouth, as in the image."""

NAMES = ("AFLW/a.png", "lfw_5590/b.png", "net_7876/c.png")


def mtfl(face: np.ndarray, name: str, attributes: str = "1 2 2 3") -> str:
    return " " + name.replace("/", "\\") + " " + " ".join(f"{v:f}" for v in face.T.ravel()) + f" {attributes}"


def sun(face: np.ndarray, name: str) -> str:
    return name.replace("/", "\\") + " 1 30 2 33 " + " ".join(f"{v:f}" for v in face.ravel())


def plain(face: np.ndarray, name: str) -> str:
    return f"{name} " + " ".join(f"{v:g}" for v in face.ravel())


def comma(face: np.ndarray, name: str) -> str:
    return plain(face, name).replace(" ", ",")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("write", "header", "file"),
    [
        (mtfl, "", "training.txt"),
        (sun, "", "trainImageList.txt"),
        (plain, "", "faces.txt"),
        (plain, "3\n", "faces.txt"),
        (comma, "image,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n", "faces.csv"),
        (comma, "name,lefteye_x,lefteye_y,a_x,a_y,b_x,b_y,c_x,c_y,d_x,d_y\n", "faces.csv"),
    ],
)
def test_every_list_has_the_same_points(tmp_path: Path, write, header: str, file: str, end: str) -> None:
    draw_images(tmp_path, NAMES)
    faces = [FACE + i for i in range(3)]
    lines = [write(face, name) for face, name in zip(faces, NAMES, strict=True)]
    (tmp_path / file).write_text(header.replace("\n", end) + end.join(lines) + end, newline="")
    labels = read_labels(tmp_path / file)
    assert labels.skeleton.joints == ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")
    assert [image.path for image in labels] == [tmp_path / name for name in NAMES]
    for image, face in zip(labels, faces, strict=True):
        np.testing.assert_allclose(image.annotation.keypoints[0], face[[1, 0, 2, 4, 3]], rtol=1e-6)
    assert labels.splits == (("train",) if "train" in file else ())
    if write is sun:
        np.testing.assert_allclose(labels.images[0].annotation.boxes, [[1, 2, 29, 31]])


def test_a_header_may_name_all_x_first(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    columns = [f"{axis}{i}" for axis in "xy" for i in range(1, 6)]
    row = ["a.png", *map(str, FACE.T.ravel())]
    (tmp_path / "faces.csv").write_text(f"image,{','.join(columns)}\n{','.join(row)}\n")
    np.testing.assert_allclose(
        read_labels(tmp_path / "faces.csv").images[0].annotation.keypoints[0], FACE[[1, 0, 2, 4, 3]]
    )


def test_the_folder_has_both_splits(tmp_path: Path) -> None:
    draw_images(tmp_path, NAMES)
    (tmp_path / "training.txt").write_text("\n".join(mtfl(FACE, name) for name in NAMES[1:]))
    (tmp_path / "testing.txt").write_text(mtfl(FACE, NAMES[0]))
    labels = read_labels(tmp_path)
    assert {image.path.name: image.split for image in labels} == {"a.png": "test", "b.png": "train", "c.png": "train"}
    assert [image.path.name for image in read_labels(tmp_path, ReadOptions(split="test"))] == ["a.png"]


def test_an_invalid_line_is_a_one_line_error_or_skipped(tmp_path: Path) -> None:
    draw_images(tmp_path, NAMES)
    lines = [mtfl(FACE, name) for name in NAMES]
    lines[1] = lines[1].rsplit(" ", 6)[0]
    (tmp_path / "training.txt").write_text("\n".join(lines))
    with pytest.raises(LabelError, match=r"training\.txt: line 2 must be an image name and 14 finite numbers"):
        read_labels(tmp_path / "training.txt")
    problems = Problems(skip=True)
    assert len(read_labels(tmp_path / "training.txt", ReadOptions(problems=problems))) == 2
    assert len(problems.skipped) == 1
    (tmp_path / "training.txt").write_text("\n".join(mtfl(FACE, name) for name in (*NAMES, "AFLW/none.png")))
    with pytest.raises(LabelError, match=r"1 of 4 images are missing, the first is .*none\.png"):
        read_labels(tmp_path / "training.txt")


def test_a_count_without_end_is_no_count(tmp_path: Path) -> None:
    draw_images(tmp_path, NAMES)
    (tmp_path / "faces.txt").write_text("9" * 5000 + "\n" + plain(FACE, NAMES[0]) + "\n")
    with pytest.raises(LabelError):
        read_labels(tmp_path / "faces.txt")
