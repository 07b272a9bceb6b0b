"""The class of an instance in every format that has a place for it, and files of one class as before."""

import csv
import json
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest

from cairn.api.label_ids import read_label_ids
from cairn.api.outputs import OutputOptions, make_writers
from cairn.media.names import ImageName
from cairn.results import Detections, WriterOptions, create_writers
from cairn.structures.poses import Poses
from cairn.visualization.overlay import draw
from support.fake_network import SPEC, TOTEM
from support.fake_poses import random_poses

NAMES = ("cat", "dog", "cow")
CLASSED = SPEC.model_copy(update={"classes": NAMES})


def classed(classes: list[int], names: tuple[str, ...] = NAMES) -> Poses:
    return replace(random_poses(0, len(classes)), classes=np.array(classes, np.int64), class_names=names)


def write(folder: Path, spec, poses: list[Poses], formats: str) -> None:
    paths = [Path(f"{i}.png") for i in range(len(poses))]
    for writer in make_writers(OutputOptions(folder, formats.split()), WriterOptions(folder, spec.name, paths), spec):
        with writer:
            for path, each in zip(paths, poses, strict=True):
                writer.write(Detections(ImageName(path, PurePath(path.stem)), (100, 100), each))


def test_files_of_several_classes_name_the_class_of_each_instance(tmp_path):
    write(tmp_path, CLASSED, [classed([2, 0]), Poses.empty(TOTEM, NAMES)], "json csv coco")
    content = json.loads((tmp_path / "0.cairn.json").read_text())
    assert content["classes"] == list(NAMES)
    assert [person["class"] for person in content["people"]] == ["cow", "cat"]
    assert json.loads((tmp_path / "1.cairn.json").read_text())["classes"] == list(NAMES)
    rows = list(csv.DictReader((tmp_path / "cairn.csv").open()))
    assert [(row["person"], row["class"]) for row in rows] == [("0", "cow")] * 3 + [("1", "cat")] * 3
    results = json.loads((tmp_path / "cairn.coco.json").read_text())
    assert [row["category_id"] for row in results] == [3, 1]
    images = json.loads((tmp_path / "cairn.coco-images.json").read_text())
    assert images["categories"] == [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)]
    assert len(images["images"]) == 2


def test_files_of_one_class_are_as_before(tmp_path):
    write(tmp_path, SPEC, [random_poses(0, 2)], "json csv coco")
    content = json.loads((tmp_path / "0.cairn.json").read_text())
    assert "classes" not in content
    assert list(content["people"][0]) == ["score", "box", "keypoints"]
    header = (tmp_path / "cairn.csv").read_text().splitlines()[0]
    assert header == "image,frame,seconds,person,id,score,joint,x,y,confidence"
    assert {row["category_id"] for row in json.loads((tmp_path / "cairn.coco.json").read_text())} == {1}
    assert list(json.loads((tmp_path / "cairn.coco-images.json").read_text())) == ["images"]


def test_category_ids_are_those_of_the_model_whatever_the_order_of_an_image(tmp_path):
    write(tmp_path, CLASSED, [classed([0], ("cow", "dog", "cat"))], "coco")
    assert json.loads((tmp_path / "cairn.coco.json").read_text())[0]["category_id"] == 3


def test_category_ids_of_a_label_file_are_found_by_the_names_of_the_classes(tmp_path):
    labels, image, notices = tmp_path / "labels.json", tmp_path / "0.png", []
    categories = [{"id": 7, "name": "dog", "keypoints": ["a"]}, {"id": 9, "name": "cat", "keypoints": ["a"]}]
    content = {"images": [{"id": "first", "file_name": "0.png"}], "annotations": [], "categories": categories}
    labels.write_text(json.dumps(content))
    ids = read_label_ids(labels, [image], TOTEM, notices.append, NAMES)
    assert ids.categories == (9, 7, None)
    assert notices == [f"{labels} has no category cow: the COCO results skip such detections"]
    for writer in create_writers(["coco"], WriterOptions(tmp_path, "totems", [image], label_ids=ids, classes=NAMES)):
        with writer:
            writer.write(Detections(ImageName(image, PurePath("0")), (100, 100), classed([0, 2, 1])))
    rows = json.loads((tmp_path / "cairn.coco.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows] == [("first", 9), ("first", 7)]


def test_parquet_has_a_column_for_the_class(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path, CLASSED, [classed([2, 0]), Poses.empty(TOTEM, NAMES)], "parquet")
    table = parquet.read_table(tmp_path / "cairn.parquet")
    assert table.column("class").to_pylist() == ["cow"] * 3 + ["cat"] * 3
    write(tmp_path / "plain", SPEC, [random_poses(0, 2)], "parquet")
    assert "class" not in parquet.read_table(tmp_path / "plain" / "cairn.parquet").column_names


def test_a_drawing_labels_instances_with_their_class():
    poses = random_poses(3, 2)
    image = np.full((120, 120, 3), 90, np.uint8)
    plain, labeled = draw(image, poses), draw(image, replace(poses, classes=np.array([0, 1]), class_names=NAMES))
    assert not np.array_equal(plain, labeled)
    assert np.array_equal(
        draw(image, replace(poses, classes=np.array([0, 1]), class_names=NAMES).in_classes(())), plain
    )
    with_ids = replace(poses, ids=np.array([4, 5]))
    named = replace(with_ids, classes=np.array([0, 1]), class_names=NAMES)
    assert not np.array_equal(draw(image, with_ids), draw(image, named))
