"""FLIC, LSP and LSPET in files of a few images, and the detection of MATLAB files."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.containers import matlab
from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError, MissingExtra
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.matlab_files import images, save, struct_array

pytest.importorskip("scipy", reason="writing .mat files needs scipy, which is in the train extra")


def flic(count: int = 2) -> np.ndarray:
    """Joint j of example i at (j + 1, i + 10) in MATLAB's count; the right eye is not labeled."""
    examples = []
    for i in range(count):
        coords = np.stack([np.arange(29.0) + 1, np.full(29, i + 10.0)])
        coords[:, 13] = np.nan
        examples.append(
            {"filepath": f"{i}.jpg", "coords": coords, "torsobox": np.array([[11.0, 21, 31, 61]]),
             "imgdims": np.array([[30, 40, 3]]), "istrain": i % 2, "istest": 1 - i % 2}
        )  # fmt: skip
    return struct_array(examples)


@pytest.mark.parametrize("count", [1, 2])  # MATLAB's readers drop the dimension of a single one
def test_flic(tmp_path: Path, count: int) -> None:
    images(tmp_path, ["0.jpg", "1.jpg"])
    labels = read_labels(save(tmp_path / "examples.mat", examples=flic(count)))
    assert labels.skeleton.name == "flic11"
    assert len(labels) == count
    annotation = labels.images[0].annotation
    np.testing.assert_array_equal(annotation.visibility[0], [2] * 9 + [0, 2])
    np.testing.assert_array_equal(annotation.keypoints[0, [0, 6, 7, 10]], [[0, 9], [6, 9], [9, 9], [16, 9]])
    np.testing.assert_allclose(annotation.boxes[0], [20 - 176, 40 - 176, 352, 352])


def test_flic_splits_and_invalid_examples(tmp_path: Path) -> None:
    images(tmp_path, ["0.jpg", "1.jpg"])
    path = save(tmp_path / "examples.mat", examples=flic())
    assert [image.path.name for image in read_labels(path, ReadOptions(split="train"))] == ["1.jpg"]
    assert [image.path.name for image in read_labels(path, ReadOptions(split="test"))] == ["0.jpg"]
    assert [image.split for image in read_labels(path)] == ["test", "train"]
    corrupted = flic()
    corrupted["coords"][0, 1] = np.zeros((2, 14))
    with pytest.raises(LabelError, match=r"example 2: coords must be \(2, 29\) numbers, got \(2, 14\)"):
        read_labels(save(path, examples=corrupted))


def test_flip_pairs_of_flic_are_the_published_ones() -> None:
    assert load_skeleton("flic11").flip_order == (3, 4, 5, 0, 1, 2, 7, 6, 9, 8, 10)


def test_lspet_flags_the_labeled_joints(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    images(tmp_path / "images", ["im00001.jpg", "im00002.jpg"])
    joints = np.zeros((14, 3, 2))
    joints[:, 0], joints[:, 1] = np.arange(14)[:, None] + 1, [[5, 6]]
    joints[3:, 2, 0] = 1
    joints[:, 2, 1] = 1
    joints[:3, :2, 0] = -7  # coordinates without a flag are meaningless
    path = save(tmp_path / "joints.mat", joints=joints)
    labels = read_labels(path)
    assert [image.path.name for image in labels] == ["im00001.jpg", "im00002.jpg"]
    first = labels.images[0].annotation
    np.testing.assert_array_equal(first.visibility[0], [0] * 3 + [2] * 11)
    np.testing.assert_array_equal(first.keypoints[0, 3:, 0], np.arange(3, 14))
    np.testing.assert_array_equal(first.boxes[0], [3, 4, 10, 0])
    assert labels.splits == ("train",)
    with pytest.raises(LabelError, match="LSPET, which has no test split"):
        read_labels(path, ReadOptions(split="test"))


def test_lsp_flags_the_occluded_joints_and_has_a_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    names = [f"im{i:04d}.jpg" for i in range(1, 1003)]
    images(folder, names[:1])
    for name in names[1:]:
        (folder / name).write_bytes((folder / names[0]).read_bytes())
    joints = np.ones((3, 14, 1002))
    joints[2] = 0
    joints[:, 4, 1001] = 8, 9, 1
    path = save(tmp_path / "joints.mat", joints=joints)
    labels = read_labels(path, ReadOptions(folder))
    assert len(labels) == 1002
    last = labels.images[-1].annotation
    np.testing.assert_array_equal(last.visibility[0], [2] * 4 + [1] + [2] * 9)
    np.testing.assert_array_equal(last.keypoints[0, 4], [7, 8])
    assert len(read_labels(path, ReadOptions(folder, split="train"))) == 1000
    assert [p.path.name for p in read_labels(path, ReadOptions(folder, split="test"))] == names[1000:]
    assert labels.splits == ("train", "test")
    assert [image.path.name for image in labels.of_split("test")] == names[1000:]


def test_mat_files_are_detected_by_their_variables(tmp_path: Path) -> None:
    assert detect_format(save(tmp_path / "a.mat", examples=flic())).name == "flic"
    assert detect_format(save(tmp_path / "b.mat", joints=np.ones((14, 3, 2)))).name == "lsp"
    assert detect_format(save(tmp_path / "c.mat", RELEASE=struct_array([{"annolist": 1}]))).name == "mpii"


def test_a_split_that_the_format_lacks_is_an_error(tmp_path: Path) -> None:
    images(tmp_path, ["0.jpg", "1.jpg"])
    path = save(tmp_path / "examples.mat", examples=flic())
    with pytest.raises(LabelError, match="labels in flic format have the splits train, test, got split val"):
        read_labels(path, ReadOptions(split="val"))


def test_a_skeleton_is_mapped_by_name(tmp_path: Path) -> None:
    images(tmp_path, ["im00001.jpg"])
    path = save(tmp_path / "joints.mat", joints=np.full((14, 3, 1), 5.0))
    assert read_labels(path).skeleton.name == "lsp14"
    labels = read_labels(path, ReadOptions(skeleton=load_skeleton("coco17")))
    assert labels.skeleton.name == "coco17"
    assert labels.labeled_joints.sum() == 12
    with pytest.raises(LabelError, match=r"joints\.mat: .*share none"):
        read_labels(path, ReadOptions(skeleton=Skeleton("hand", ("thumb",))))


def test_another_mat_file_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(tmp_path / "other.mat", weights=np.ones(3))
    with pytest.raises(LabelError, match="has weights: expected RELEASE of MPII, examples of FLIC, or joints"):
        read_labels(other)
    with pytest.raises(LabelError, match=r"joints must be \(3, 14, N\) .* got \(2, 2, 2\)"):
        read_labels(save(tmp_path / "joints.mat", joints=np.ones((2, 2, 2))))
    cut = tmp_path / "cut.mat"
    cut.write_bytes(save(tmp_path / "whole.mat", joints=np.ones((14, 3, 5))).read_bytes()[:300])
    with pytest.raises(LabelError, match=r"cut\.mat is damaged, or not a MATLAB file"):
        read_labels(cut)
    with pytest.raises(LabelError, match="cannot read labels"):
        read_labels(tmp_path / "none.mat")
    with pytest.raises(LabelError, match="no folder of images"):
        read_labels(other, ReadOptions(tmp_path / "nowhere"))
    monkeypatch.setattr(matlab, "READING", f"import sys; sys.exit({matlab.MISSING})")
    with pytest.raises(MissingExtra, match="scipy"):
        read_labels(save(tmp_path / "fresh.mat", weights=np.ones(3)))


def test_coco_has_no_splits(tmp_path: Path) -> None:
    images(tmp_path, ["a.jpg"])
    row = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [3, 4, 2]}
    path = tmp_path / "labels.json"
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [row],
        "categories": [{"id": 1, "name": "dot", "keypoints": ["dot"]}],
    }
    path.write_text(json.dumps(content))
    assert read_labels(path).skeleton.joints == ("dot",)
    with pytest.raises(LabelError, match="have no splits"):
        read_labels(path, ReadOptions(split="val"))


def test_incomplete_examples_of_flic_are_read(tmp_path: Path) -> None:
    """Neither a torso box nor a split is needed."""
    images(tmp_path, ["0.jpg", "1.jpg", "2.jpg"])
    coords = np.full((2, 29), 5.0)
    coords[0, 1] = np.nan  # one coordinate is missing
    examples = [
        {"filepath": "0.jpg", "coords": coords, "istrain": 1.0},
        {"filepath": "1.jpg", "coords": coords.astype(np.float32), "torsobox": np.full((1, 4), np.nan), "istest": True},
        {"filepath": "2.jpg", "coords": coords, "torsobox": np.array([[11.0, 21, 31, 61]])},
    ]
    path = save(tmp_path / "examples.mat", examples=struct_array(examples))
    labels = read_labels(path)
    assert [image.split for image in labels] == ["train", "test", None]
    np.testing.assert_array_equal(labels.images[0].annotation.keypoints[0, :2], [[4, 4], [np.nan, np.nan]])
    np.testing.assert_array_equal([image.annotation.boxes[0, 2] for image in labels], [0, 0, 352])
    assert [image.path.name for image in read_labels(path, ReadOptions(split="train"))] == ["0.jpg"]


def test_an_invalid_example_is_skipped_where_asked(tmp_path: Path) -> None:
    images(tmp_path, ["0.jpg", "1.jpg"])
    corrupted = flic()
    corrupted["coords"][0, 0] = np.full((2, 29), np.inf)
    path = save(tmp_path / "examples.mat", examples=corrupted)
    with pytest.raises(LabelError, match=r"example 1: joint 1 is at \[inf, inf\]"):
        read_labels(path)
    problems = Problems(skip=True)
    assert [image.path.name for image in read_labels(path, ReadOptions(problems=problems))] == ["1.jpg"]
    assert len(problems.skipped) == 1


def test_a_joint_of_lsp_without_a_coordinate_is_not_labeled(tmp_path: Path) -> None:
    images(tmp_path, ["im0001.jpg", "im0002.jpg"])
    joints = np.full((3, 14, 2), 5.0)
    joints[2] = 0
    joints[0, 3, 0] = np.nan
    labels = read_labels(save(tmp_path / "joints.mat", joints=joints))
    first = labels.images[0].annotation
    assert first.visibility[0].tolist() == [2] * 3 + [0] + [2] * 10
    assert np.isnan(first.keypoints[0, 3]).all()
    assert labels.splits == ("train",)
