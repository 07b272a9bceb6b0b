"""YOLO-pose folders: labels round-trip as far as the format holds them, and each invalid line is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.formats.yolo import write_yolo
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import LabelError, OutputError
from cairn.structures.skeleton import Skeleton
from support.made_labels import MOTH, assert_same, draw_images, make_labels

yaml = pytest.importorskip("yaml", reason="reading data.yaml needs PyYAML, which is in the io extra")

LINE = "0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.5 0.25 1 0 0 0"
DATA = "train: images/train\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nnames: [fly]\nkpt_names: {0: [head, w1, w2]}\n"


def folder(root: Path, data: str = DATA, **texts: str) -> Path:
    """A data set of two images of 40 x 60 pixels."""
    draw_images(root / "images/train", ("a.png", "b.png"))
    (root / "labels/train").mkdir(parents=True)
    for name, text in (texts or {"a": LINE}).items():
        (root / f"labels/train/{name}.txt").write_text(text)
    (root / "data.yaml").write_text(data)
    return root


LOST = (
    "4 track IDs are skipped: YOLO has no field for them",
    "3 images lose their video, subject and frame number: YOLO has no field for them",
    "4 areas are skipped: YOLO has no field for them",
)
"""What YOLO cannot hold of `make_labels`."""


def test_coco_to_yolo_and_back_round_trips(tmp_path: Path) -> None:
    write_coco(make_labels(tmp_path), tmp_path / "one.json")
    labels = read_coco(tmp_path / "one.json")
    lost = write_yolo(labels, tmp_path / "yolo")
    assert lost == LOST
    again = read_labels(tmp_path / "yolo")
    write_coco(again, tmp_path / "yolo/two.json")
    back = read_coco(tmp_path / "yolo/two.json")
    assert_same(labels, back, 1e-4, but=("areas", "tracks"))
    assert back.skeleton.flip_order == MOTH.flip_order
    assert [image.path.name for image in back] == [image.path.name for image in labels]
    for one, other in zip(labels, back, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()


def test_the_files_follow_the_definition_of_the_format(tmp_path: Path) -> None:
    """The expected numbers are computed from the definition, not by the reader."""
    labels = make_labels(tmp_path)
    write_yolo(labels, tmp_path / "yolo", "val")
    table = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))
    assert table["val"] == "images/val"
    assert "train" not in table
    assert table["kpt_shape"] == [5, 3]
    assert table["flip_idx"] == [0, 2, 1, 3, 4]
    assert table["names"] == {0: "moth"}
    assert table["kpt_names"] == {0: list(MOTH.joints)}
    lines = (tmp_path / "yolo/labels/val/a.txt").read_text().splitlines()
    rows = labels.images[0].annotation
    assert len(lines) == len(rows)
    for line, points, flags, (x, y, w, h) in zip(lines, rows.keypoints, rows.visibility, rows.boxes, strict=True):
        values = np.array(line.split(), float)
        np.testing.assert_allclose(values[:5], [0, (x + w / 2) / 60, (y + h / 2) / 40, w / 60, h / 40], atol=1e-6)
        expected = np.nan_to_num(np.concatenate([points / (60, 40), flags[:, None]], axis=1))
        np.testing.assert_allclose(values[5:].reshape(-1, 3), expected, atol=1e-6)


def test_splits_share_one_data_yaml(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    write_yolo(labels, tmp_path / "yolo", "train")
    write_yolo(replace(labels, images=labels.images[:1]), tmp_path / "yolo", "val")
    assert len(read_labels(tmp_path / "yolo")) == 4
    assert len(read_labels(tmp_path / "yolo", ReadOptions(split="train"))) == 3
    assert len(read_labels(tmp_path / "yolo/data.yaml", ReadOptions(split="val"))) == 1
    with pytest.raises(LabelError, match="lists no images under test"):
        read_labels(tmp_path / "yolo", ReadOptions(split="test"))
    other = replace(labels, skeleton=replace(MOTH, joints=("a", "b", "c", "d", "e")))
    with pytest.raises(OutputError, match="has other joints"):
        write_yolo(other, tmp_path / "yolo", "test")
    assert sorted(entry.name for entry in (tmp_path / "yolo").iterdir()) == ["data.yaml", "images", "labels"]


def test_unsupported_information_is_skipped_and_reported(tmp_path: Path) -> None:
    labels = make_labels(tmp_path, crowds=True)
    first = labels.images[0]
    first.annotation.keypoints[0, 0] = (60.5, 3)
    lost = write_yolo(labels, tmp_path / "yolo")
    kinds = {line.split()[1]: int(line.split()[0]) for line in lost}
    assert kinds == {"joints": 1, "crowds": 2, "track": 2, "areas": 2, "images": 3}
    again = read_labels(tmp_path / "yolo").images[0].annotation
    assert len(again) == 1
    assert again.visibility[0].tolist() == [0, *first.annotation.visibility[0, 1:]]


def test_two_numbers_per_joint_and_paths_of_another_tool(tmp_path: Path) -> None:
    data = "path: ../elsewhere\ntrain: ../train/images\nkpt_shape: [2, 2]\nnames: {0: leaf}\n"
    root = folder(tmp_path / "set", data, a="0 0.5 0.5 1 1 0.25 0.5 0 0\n")
    (root / "images/train").rename(root / "moved")
    (root / "train").mkdir()
    (root / "moved").rename(root / "train/images")
    (root / "labels/train").rename(root / "train/labels")
    labels = read_labels(root)
    assert labels.skeleton.joints == ("point_0", "point_1")
    assert labels.images[0].annotation.visibility.tolist() == [[2, 0]]
    np.testing.assert_allclose(labels.images[0].annotation.keypoints[0, 0], [15, 20])
    named = read_labels(root, ReadOptions(skeleton=Skeleton("leaf", ("stem", "tip"))))
    assert named.skeleton.joints == ("stem", "tip")


def test_names_take_precedence_over_an_identity_flip_order(tmp_path: Path) -> None:
    data = DATA.replace("[0, 2, 1]", "[0, 1, 2]").replace("w1, w2", "wingL, wingR")
    assert read_labels(folder(tmp_path, data)).skeleton.flip_pairs == ((1, 2),)


def test_a_text_file_may_list_the_images(tmp_path: Path) -> None:
    root = folder(tmp_path, DATA.replace("images/train", "train.txt"))
    (root / "train.txt").write_text("./images/train/b.png\nimages/train/a.png\n")
    assert [image.path.name for image in read_labels(root)] == ["b.png", "a.png"]
    (root / "train.txt").write_text("images/train/a.png\nimages/train/../train/a.png\n")
    with pytest.raises(LabelError, match=r"train\.txt line 2 is .*a\.png, which is train\.txt line 1 already"):
        read_labels(root)


INVALID_LINES = [
    (LINE.replace("0.25", "nan", 1), r"labels/train/a\.txt line 2: expected finite numbers, got nan"),
    (LINE.replace("0.25", "inf", 1), r"a\.txt line 2: expected finite numbers, got inf"),
    (LINE + " 1", r"a\.txt line 2: expected 14 numbers by kpt_shape, got 15"),
    ("0 0.5 0.5 0.5", r"a\.txt line 2: expected a class and a bounding box, got 4 numbers"),
    (LINE.replace("0.25 1", "0.25 7"), r"a\.txt line 2: v must be 0 .* got 7"),
    (LINE.replace("0.5 0.5 0.5 0.5", "0.5 0.5 -1 0.5", 1), r"a\.txt line 2: .*negative"),
    ("head " + LINE, r"a\.txt line 2: expected numbers, got 'head 0"),
]


@pytest.mark.parametrize(("line", "message"), INVALID_LINES)
def test_an_invalid_line_is_named_or_skipped(tmp_path: Path, line: str, message: str) -> None:
    root = folder(tmp_path, a=f"{LINE}\n{line}\n")
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(root)
    assert "\n" not in str(caught.value)
    problems = Problems(skip=True)
    assert len(read_labels(root, ReadOptions(problems=problems)).images[0].annotation) == 1
    assert len(problems.skipped) == 1


INVALID_DATA: list[tuple[Callable[[str], str], str]] = [
    (lambda data: data.replace("[3, 3]", "[3, 4]"), "kpt_shape must be"),
    (lambda data: data.replace("[3, 3]", "17"), "kpt_shape must be"),
    (lambda data: data.replace("[3, 3]", "[1000000000, 3]"), "kpt_shape must be"),
    (lambda data: data.replace("images/train", "{a: 1}"), "train must be a folder of images"),
    (lambda data: data.replace("images/train", "images/none"), "no images at .*images/none"),
    (lambda data: data.replace("images/train", "../../x"), r"no images at \.\./\.\./x \(train\): .*--images"),
    (lambda data: data.replace("train: images/train", ""), "lists no images"),
    (lambda data: data + "val: images/train\n", r"all images of train are also in val, such as .*a\.png"),
    (lambda data: data + "names: [", "is not valid YAML"),
    (lambda data: "!!python/object/apply:os.system ['true']", "is not valid YAML"),
    (lambda data: data.replace("kpt_shape", "shape"), "describes no keypoints"),
    (lambda data: "", "is empty"),
]


@pytest.mark.parametrize(("corrupt", "message"), INVALID_DATA, ids=[message for _, message in INVALID_DATA])
def test_an_invalid_data_yaml_is_a_one_line_error(tmp_path: Path, corrupt: Callable[[str], str], message: str) -> None:
    root = folder(tmp_path / "set")
    (root / "data.yaml").write_text(corrupt(DATA))
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(root)
    assert "data.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_sets_without_labels_or_images_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no instance has a labeled joint"):
        read_labels(folder(tmp_path / "one", a="0 0.5 0.5 0.5 0.5" + " 0" * 9))
    (tmp_path / "two").mkdir()
    with pytest.raises(LabelError, match=r"a folder without data\.yaml"):
        read_labels(tmp_path / "two")
    root = folder(tmp_path / "three")
    (root / "images/train/b.png").write_bytes(b"no image")
    with pytest.raises(LabelError, match=r"b\.png"):
        read_labels(root)


def test_any_joint_names_round_trip(tmp_path: Path) -> None:
    joints = json.dumps(["ä: b", "#c", "yes"], ensure_ascii=False)
    root = folder(tmp_path, DATA.replace("[head, w1, w2]", joints))
    labels = read_labels(root)
    write_yolo(labels, tmp_path / "out")
    assert read_labels(tmp_path / "out").skeleton.joints == ("ä: b", "#c", "yes")


def test_a_split_is_added_to_a_folder_of_an_earlier_version(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    write_yolo(labels, tmp_path / "yolo")
    path = tmp_path / "yolo/data.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    lines = [f"{line} # another comment" if line.startswith("flip_idx") else line for line in lines]
    path.write_text("\n".join([*lines, "# limbs and sigmas"]) + "\n")
    write_yolo(labels, tmp_path / "yolo", "val")
    assert len(read_labels(tmp_path / "yolo", ReadOptions(split="val"))) == len(labels)


def with_splits(labels: Labels, *splits: str | None) -> Labels:
    images = (replace(image, split=split) for image, split in zip(labels, splits, strict=True))
    return replace(labels, images=tuple(images))


def test_each_image_goes_to_its_own_split(tmp_path: Path) -> None:
    labels = with_splits(make_labels(tmp_path), "val", "train", "test")
    assert write_labels(labels, tmp_path / "yolo", "yolo") == LOST
    again = read_labels(tmp_path / "yolo")
    assert again.splits == ("train", "val", "test")
    again = read_labels(tmp_path / "yolo", ReadOptions(split="val"))
    assert_same(labels.of_split("val"), again, 1e-4, but=("areas", "tracks"))


def test_splits_round_trip(tmp_path: Path) -> None:
    names = ("a.png", "b.png", "c.png", "sub/d.png")
    labels = with_splits(make_labels(tmp_path, names), "test", "val", "train", "train")
    write_labels(labels, tmp_path / "yolo", "yolo")
    again = read_labels(tmp_path / "yolo")
    assert again.splits == ("train", "val", "test")
    for split in again.splits:
        assert_same(labels.of_split(split), again.of_split(split), 1e-4, but=("areas", "tracks"))
    write_labels(again, tmp_path / "all", "yolo", "val")
    assert read_labels(tmp_path / "all").splits == ("val",)


def test_images_without_a_split_beside_others_are_reported(tmp_path: Path) -> None:
    labels = with_splits(make_labels(tmp_path), "val", None, "val")
    lost = write_labels(labels, tmp_path / "yolo", "yolo")
    assert "1 images without a split are written to train" in lost
    assert len(read_labels(tmp_path / "yolo").of_split("train")) == 1


def with_classes(labels: Labels, *classes: str) -> Labels:
    """Instances are of the classes in turn."""
    images = tuple(
        replace(image, annotation=replace(image.annotation, classes=np.arange(len(image.annotation)) % len(classes)))
        for image in labels
    )
    return replace(labels, images=images, classes=classes)


def test_classes_round_trip_and_splits_agree_on_their_numbers(tmp_path: Path) -> None:
    labels = with_classes(make_labels(tmp_path), "moth", 'b"e, 1: e')
    write_yolo(labels, tmp_path / "yolo", "train")
    again = read_labels(tmp_path / "yolo")
    assert again.classes == labels.classes
    assert_same(labels, again, 1e-4, but=("areas", "tracks"))
    swapped = with_classes(make_labels(tmp_path), 'b"e, 1: e', "wasp")
    write_yolo(swapped, tmp_path / "yolo", "val")
    table = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))
    assert table["names"] == {0: "moth", 1: 'b"e, 1: e', 2: "wasp"}
    assert table["kpt_names"] == {i: list(MOTH.joints) for i in range(3)}
    both = read_labels(tmp_path / "yolo")
    assert both.classes == ("moth", 'b"e, 1: e', "wasp")
    for part, names in ((labels, labels.classes), (swapped, swapped.classes)):
        own = both.of_split("train" if part is labels else "val")
        numbers = [int(number) for image in own for number in image.annotation.classes]  # type: ignore[union-attr]
        assert [both.classes[number] for number in numbers] == [*names, *names]
    one = replace(make_labels(tmp_path), skeleton=replace(MOTH, name="wasp"))
    write_yolo(one, tmp_path / "yolo", "test")
    lines = (tmp_path / "yolo/labels/test/a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["2", "2"]


def test_one_class_of_another_name_is_no_further_class(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    write_yolo(labels, tmp_path / "yolo", "train")
    other = replace(labels, skeleton=replace(MOTH, name="bee"))
    with pytest.raises(OutputError, match="has the class moth, the labels have bee"):
        write_yolo(other, tmp_path / "yolo", "val")
    assert not (tmp_path / "yolo/images/val").exists()


def test_regions_to_ignore_round_trip(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    first = labels.images[0].annotation
    first.visibility[1], first.keypoints[1] = 0, np.nan
    write_yolo(labels, tmp_path / "yolo")
    again = read_labels(tmp_path / "yolo")
    assert again.images[0].annotation.labeled.tolist() == [True, False]
    assert_same(labels, again, 1e-4, but=("areas", "tracks"))
