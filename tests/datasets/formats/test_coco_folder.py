"""A folder with a COCO file for each split: COCO's layout, files beside the images, and Roboflow's."""

from dataclasses import replace
from pathlib import Path

import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from support.coco_sets import put_coco
from support.made_labels import draw_images


def splits_of(path: Path, options: ReadOptions | None = None) -> dict[str, list[str]]:
    labels = read_labels(path, options)
    return {split: [image.path.name for image in labels.of_split(split)] for split in labels.splits}


LAYOUTS = {
    "COCO": ("annotations/person_keypoints_{}2017.json", "{}2017", ("train", "val", "test")),
    "mmpose": ("annotations/fly_{}.json", "images", ("train", "val", "test")),
    "beside": ("{}.json", "images", ("train", "val", "test")),
    "Roboflow": ("{}/_annotations.coco.json", "{}", ("train", "valid", "test")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_file_is_a_split(tmp_path: Path, layout: str) -> None:
    file, images, words = LAYOUTS[layout]
    for word, names in zip(words, (("a.png", "b.png"), ("c.png",), ("d.png",)), strict=True):
        draw_images(tmp_path / images.format(word), names)
        put_coco(tmp_path / file.format(word), *names)
    for other in ("captions", "instances"):
        (tmp_path / f"{other}_train2017.json").write_text('{"info": {}}')
    (tmp_path / "train_settings.json").write_text('{"epochs": 3}')
    assert detect_format(tmp_path).name == "coco-folder"
    assert splits_of(tmp_path) == {"train": ["a.png", "b.png"], "val": ["c.png"], "test": ["d.png"]}
    assert splits_of(tmp_path, ReadOptions(split="val")) == {"val": ["c.png"]}
    labels = read_labels(tmp_path)
    assert [image.id for image in labels] == [1, 2, 3, 4]
    assert labels.skeleton.joints == ("head", "tail")
    if layout == "COCO":
        assert splits_of(tmp_path, ReadOptions(tmp_path, split="test")) == {"test": ["d.png"]}


def test_a_split_has_one_file(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", ("a.png", "b.png"))
    put_coco(tmp_path / "fly_train.json", "a.png")
    put_coco(tmp_path / "annotations/fly_train_2.json", "b.png")
    with pytest.raises(
        LabelError, match=r"2 annotation files of the split train: fly_train_2\.json, fly_train\.json: give one"
    ):
        read_labels(tmp_path)
    (tmp_path / "annotations/fly_train_2.json").unlink()
    with pytest.raises(LabelError, match="no annotation file of the split val: it has train"):
        read_labels(tmp_path, ReadOptions(split="val"))


def test_a_name_with_two_splits_names_none(tmp_path: Path) -> None:
    put_coco(tmp_path / "train_val.json", "a.png")
    put_coco(tmp_path / "training.txt", "a.png")
    put_coco(tmp_path / "trained.json", "a.png")
    with pytest.raises(LabelError, match="is a folder without"):
        read_labels(tmp_path)


def test_an_image_of_several_splits_is_not_trained_on(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", ("a.png", "b.png"))
    put_coco(tmp_path / "train.json", "a.png", "b.png")
    put_coco(tmp_path / "val.json", "b.png")
    problems = Problems()
    assert splits_of(tmp_path, ReadOptions(problems=problems)) == {"train": ["a.png"], "val": ["b.png"]}
    assert "images of train that are also in val" in problems.notes[0]


def test_the_files_share_joints_but_not_their_order(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", ("a.png", "b.png"))
    put_coco(tmp_path / "train.json", "a.png")
    put_coco(tmp_path / "val.json", "b.png", joints=("tail", "head"))
    assert read_labels(tmp_path).skeleton.joints == ("head", "tail")
    put_coco(tmp_path / "val.json", "b.png", joints=("tail", "head", "wing"))
    with pytest.raises(LabelError, match=r"different joints: fly \(2\) and fly \(3\)"):
        read_labels(tmp_path)


def test_classes_of_the_files_are_matched_by_name(tmp_path: Path) -> None:
    """Each part may know other classes, or only one."""
    from cairn.datasets.formats.coco_files import joined

    draw_images(tmp_path / "images", ("a.png", "b.png"))
    fly = read_labels(put_coco(tmp_path / "one.json", "a.png", "b.png"))
    images = tuple(
        replace(image, annotation=replace(image.annotation, classes=image.annotation.crowd.astype(int) + 1))
        for image in fly
    )
    both = replace(fly, images=images, classes=("bee", "wasp"))
    result = joined([fly, both], tmp_path)
    assert result.classes == ("fly", "bee", "wasp")
    assert [image.annotation.classes.tolist() for image in result] == [[0], [0], [2], [2]]  # type: ignore[union-attr]
    assert [image.id for image in result] == [1, 2, 3, 4]
    assert joined([fly, fly], tmp_path).classes == ()
