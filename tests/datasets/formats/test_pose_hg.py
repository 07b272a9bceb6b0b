"""Annotations of pose-hg-train in all their variants."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cairn
from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.splits import training_splits
from cairn.errors import LabelError
from cairn.evaluation.protocols import PROTOCOLS, default_protocol
from support.matlab_files import images

h5py = pytest.importorskip("h5py", reason="HDF5 files need h5py, which is in the io extra")

NAMES = ("005808361.jpg", "015601864.jpg", "086617615.jpg")


def codes(names: list[str]) -> np.ndarray:
    table = np.zeros((len(names), 16))
    for row, name in zip(table, names, strict=True):
        row[: len(name)] = [ord(letter) for letter in name]
    return table


def arrays(names: list[str], joints: int = 16, **others: Any) -> dict[str, Any]:
    """People with joint k at (10 + k, 20 + k); joint 1 is missing and joint 2 is occluded."""
    count = len(names)
    part = np.zeros((count, joints, 2)) + np.arange(joints)[:, None] + (10, 20)
    part[:, 1] = 0
    visible = np.ones((count, joints))
    visible[:, [1, 2]] = 0
    table = {
        "imgname": np.array([name.encode() for name in names]),
        "part": part,
        "visible": visible,
        "center": np.tile([[15.0, 20.0]], (count, 1)),
        "scale": np.full(count, 0.1),
        "normalize": np.full(count, 6.0),
        "torsoangle": np.zeros(count),
        "index": np.arange(count),
        "person": np.zeros(count),
    }
    return {key: value for key, value in (table | others).items() if value is not None}


def write(path: Path, table: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, value in table.items():
            file[key] = value
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The layout of pose-hg-train: annot/ and images/ in data/mpii."""
    (tmp_path / "mpii/images").mkdir(parents=True)
    images(tmp_path / "mpii/images", NAMES)
    return tmp_path / "mpii"


def test_people_of_an_image_are_joined_and_all_values_are_kept(root: Path) -> None:
    path = write(root / "annot/valid.h5", arrays([NAMES[0], NAMES[1], NAMES[0]]))
    labels = read_labels(path)
    assert labels.skeleton.name == "mpii16"
    assert labels.splits == ("val",)
    assert [(image.path.name, len(image.annotation)) for image in labels] == [(NAMES[0], 2), (NAMES[1], 1)]
    annotation = labels.images[0].annotation
    np.testing.assert_array_equal(annotation.keypoints[0, [0, 2, 15]], [[9, 19], [11, 21], [24, 34]])
    assert annotation.visibility[0].tolist() == [2, 0, 1] + [2] * 13
    np.testing.assert_allclose(annotation.heads, 10)  # normalize is 0.6 of the head box
    np.testing.assert_allclose(PROTOCOLS["mpii"].length(annotation, labels.skeleton), 6)
    # The crop of scale 0.1 has a side of 20; the box is the crop without its margin of 1.25.
    np.testing.assert_allclose(annotation.boxes[0], [14 - 8, 19 - 8, 16, 16], atol=1e-5)


@pytest.mark.parametrize("kind", ["bytes", "text", "codes", "short codes", "list file", "list file with blanks"])
def test_image_names_in_all_their_forms(root: Path, kind: str) -> None:
    names = [NAMES[1], NAMES[2]]
    table = arrays(names)
    if kind == "text":
        table["imgname"] = names
    if "codes" in kind:
        table["imgname"] = codes(names) if kind == "codes" else codes(names).astype(np.uint8)[:, :13]
    if "list file" in kind:
        del table["imgname"]
        (root / "annot").mkdir()
        (root / "annot/train_images.txt").write_text("\n".join(names) + ("\n\n" if "blanks" in kind else ""))
    labels = read_labels(write(root / "annot/train.h5", table))
    assert [image.path.name for image in labels] == names
    assert labels.splits == ("train",)


@pytest.mark.parametrize("given", ["mpii", "mpii/annot"])
def test_a_folder_has_both_splits_and_validation_images_are_not_trained_on(root: Path, given: str) -> None:
    write(root / "annot/train.h5", arrays([NAMES[0], NAMES[1], NAMES[2]]))
    write(root / "annot/valid.h5", arrays([NAMES[1]], person=np.ones(1)))
    labels = read_labels(root.parent / given)
    assert {image.path.name: image.split for image in labels} == {NAMES[0]: "train", NAMES[1]: "val", NAMES[2]: "train"}
    shared = next(image for image in labels if image.path.name == NAMES[1])
    assert sorted(shared.annotation.labeled.tolist()) == [False, True]  # the person of train.h5 counts for neither
    train, val = training_splits(labels, "x")
    assert (len(train), len(val)) == (2, 1)  # type: ignore[arg-type]
    only = read_labels(root, ReadOptions(split="val"))
    assert [image.path.name for image in only] == [NAMES[1]]


def whole(istrain: list[int], names: list[str], **others: Any) -> dict[str, Any]:
    table = arrays(names, istrain=np.array(istrain), multi=np.zeros(len(names)), imgname=codes(names), **others)
    for i, kind in enumerate(istrain):
        if kind != 1:
            table["part"][i], table["visible"][i], table["normalize"][i] = -1, 0, 1
    return table


def test_annot_h5_has_the_published_center_and_its_splits_by_valid_h5(root: Path) -> None:
    names = [NAMES[0], NAMES[0], NAMES[1], "test.jpg", NAMES[2]]
    path = write(root / "annot.h5", whole([1, 2, 1, 0, 1], names, person=np.array([0, 1, 0, 0, 0])))
    problems = Problems()
    labels = read_labels(path, ReadOptions(problems=problems))
    assert labels.splits == ("train",)
    assert "no valid.h5 beside" in problems.notes[0]
    first = labels.images[0].annotation
    assert first.labeled.tolist() == [True, False]
    assert not np.isfinite(first.heads[1])
    np.testing.assert_allclose(first.boxes[0], [14 - 10, 19 + 1.5 - 10, 20, 20], atol=1e-5)  # as of the .mat
    write(root / "annot/valid.h5", arrays([NAMES[2]]))
    labels = read_labels(path)
    assert {image.path.name: image.split for image in labels} == {NAMES[0]: "train", NAMES[1]: "train", NAMES[2]: "val"}


@pytest.mark.parametrize("swapped", [False, True])
def test_flic_keeps_its_torso_lengths_by_its_joints(tmp_path: Path, swapped: bool) -> None:
    (tmp_path / "images").mkdir()
    images(tmp_path / "images", NAMES)
    table = arrays([NAMES[0], NAMES[1]], joints=11, visible=np.ones((2, 11)))
    table["part"] = np.random.default_rng(0).uniform(5, 25, (2, 11, 2))
    table["normalize"] = np.linalg.norm(table["part"][:, 3] - table["part"][:, 6], axis=1)
    if swapped:  # as the first version of FLIC has a few people
        table["part"][1] = table["part"][1, [3, 4, 5, 0, 1, 2, 7, 6, 9, 8, 10]]
    problems = Problems()
    labels = read_labels(write(tmp_path / "annot/train.h5", table), ReadOptions(problems=problems))
    annotation = labels.instances.annotation
    protocol = default_protocol(annotation, labels.skeleton)
    assert (protocol.name, annotation.heads) == ("flic", None)
    kept = slice(0, 1) if swapped else slice(None)
    np.testing.assert_allclose(protocol.length(annotation, labels.skeleton)[kept], table["normalize"][kept], rtol=1e-6)
    assert [note.startswith("torso lengths in normalize differ") for note in problems.notes] == [True] * swapped


def test_conversion_keeps_head_sizes_and_splits(root: Path) -> None:
    write(root / "annot/train.h5", arrays([NAMES[0], NAMES[2]]))
    write(root / "annot/valid.h5", arrays([NAMES[1]]))
    conversion = cairn.convert(root, root / "labels.json", split="train")
    np.testing.assert_allclose(read_labels(conversion.target).instances.annotation.heads, 10)
    again = read_labels(cairn.convert(root, root / "yolo").target)
    assert again.splits == ("train", "val")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"part": np.zeros((2, 17, 2))},
            r"part must be \(N, 16, 2\) of MPII or \(N, 11, 2\) of FLIC, got \(2, 17, 2\)",
        ),
        ({"part": np.zeros((2, 16, 3))}, r"part must be .*got \(2, 16, 3\)"),
        ({"visible": np.ones((2, 11))}, r"visible must be \(2, 16\) numbers, got \(2, 11\)"),
        ({"scale": np.ones(3)}, r"scale must be \(2,\) numbers"),
        ({"normalize": np.array([b"a", b"b"])}, r"normalize must be \(2,\) numbers"),
        ({"imgname": np.array([b"a.jpg"])}, "imgname must have 2 names, one for each person of part, got 1"),
        ({"imgname": np.array([b"a.jpg", b""])}, "has no name of person 2"),
        ({"imgname": np.full((2, 16), 3000.0)}, "is damaged .*neither text nor codes"),
        ({"imgname": None}, "has no imgname, and there is no train_images.txt beside it"),
        ({"part": np.full((2, 16, 2), np.inf)}, "person 1: joint 1 is at"),
        ({"part": np.full((2, 16, 2), -1.0)}, "no instance has a labeled joint"),
        ({"imgname": np.array([b"a.jpg", b"b.jpg"])}, "2 of 2 images are missing"),
    ],
)
def test_files_of_another_version_are_one_line(root: Path, change: dict[str, Any], message: str) -> None:
    path = write(root / "annot/train.h5", arrays([NAMES[0], NAMES[1]], **change))
    with pytest.raises(LabelError, match=message) as raised:
        read_labels(path)
    assert "\n" not in str(raised.value)


def test_truncated_and_foreign_files_are_one_line(root: Path) -> None:
    path = write(root / "annot/train.h5", arrays([NAMES[0]] * 200))
    content = path.read_bytes()
    for size in (len(content) // 2, 600, 100, 9):
        path.write_bytes(content[:size])
        with pytest.raises(LabelError) as raised:
            read_labels(path)
        assert "\n" not in str(raised.value)
    write(root / "annot/train.h5", arrays([NAMES[0]]))
    write(root / "annot/valid.h5", arrays([NAMES[1]], joints=11))
    with pytest.raises(LabelError, match="has files of MPII and of FLIC"):
        read_labels(root)
    predictions = write(root / "preds.h5", {"preds": np.zeros((3, 16, 2))})
    with pytest.raises(LabelError):
        read_labels(predictions)
