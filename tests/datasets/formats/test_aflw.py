"""AFLW with names and points apart."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.made_labels import draw_images
from support.matlab_files import save

pytest.importorskip("scipy", reason="writing .mat files needs scipy, which is in the train extra")

FACE = np.array([[7, 6], [21, 7], [13, 15], [9, 22], [19, 23]], float)


def put(folder: Path, split: str, names: tuple[str, ...]) -> None:
    draw_images(folder / "output", names)
    (folder / f"aflw_{split}_images.txt").write_text("".join(f"{name}\n" for name in names))
    gt = np.stack([(FACE + i)[:, ::-1] for i in range(len(names))])
    save(folder / f"aflw_{split}_keypoints.mat", gt=gt, hw=np.full((len(names), 2), 40))


@pytest.mark.parametrize("given", ["aflw_train_images.txt", "aflw_train_keypoints.mat"])
@pytest.mark.parametrize("count", [1, 3])
def test_names_and_points_belong_together(tmp_path: Path, given: str, count: int) -> None:
    put(tmp_path, "train", ("0/a.png", "b.png", "c.png")[:count])
    labels = read_labels(tmp_path / given)
    assert (len(labels), labels.splits) == (count, ("train",))
    np.testing.assert_array_equal(labels.images[-1].annotation.keypoints[0], (FACE + count - 1)[[1, 0, 2, 4, 3]])


def test_a_folder_has_both_splits(tmp_path: Path) -> None:
    put(tmp_path, "train", ("a.png", "b.png"))
    put(tmp_path, "test", ("c.png",))
    assert {image.path.name: image.split for image in read_labels(tmp_path)} == {
        "a.png": "train", "b.png": "train", "c.png": "test",
    }  # fmt: skip
    assert len(read_labels(tmp_path, ReadOptions(split="test"))) == 1


def test_files_that_do_not_match_are_a_one_line_error(tmp_path: Path) -> None:
    put(tmp_path, "train", ("a.png", "b.png"))
    (tmp_path / "aflw_train_images.txt").write_text("a.png\n")
    with pytest.raises(LabelError, match=r"aflw_train_keypoints\.mat: gt must be .*1, 5, 2"):
        read_labels(tmp_path / "aflw_train_images.txt")
    save(tmp_path / "aflw_train_keypoints.mat", points=np.zeros(3))
    with pytest.raises(LabelError, match="has points: expected gt"):
        read_labels(tmp_path / "aflw_train_images.txt")
