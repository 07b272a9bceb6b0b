"""COCO format as CVAT, Label Studio and coco-annotator write it, unusual image names, and detection of formats."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from cairn.structures.annotation import AREA_PER_BOX
from support.made_labels import draw_images

POINTS = [10, 12, 2, 0, 0, 0, 20, 22, 1]


def content(**row: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "bug", "keypoints": ["head", "left", "right"], "skeleton": [[1, 2], [1, 3]]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": POINTS, "iscrowd": 0, **row}],
    }


def put(path: Path, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


def test_cvat(tmp_path: Path) -> None:
    """annotations/person_keypoints_SPLIT.json, images in images/SPLIT; empty lists for labels without a skeleton;
    track IDs among the attributes."""
    draw_images(tmp_path / "images/default", ("a.png",))
    values = content(attributes={"occluded": False, "track_id": 5}, bbox=[10, 12, 10, 10], area=100.0)
    values["categories"].append({"id": 2, "name": "cage", "keypoints": [], "skeleton": []})
    values["annotations"].append({"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 3, 3]})
    (image,) = read_labels(put(tmp_path / "annotations/person_keypoints_default.json", values))
    assert image.path == tmp_path / "images/default/a.png"
    assert image.annotation.tracks is not None
    assert image.annotation.tracks.tolist() == [5]
    assert image.annotation.visibility.tolist() == [[2, 0, 1]]


@pytest.mark.parametrize("value", [False, 0])
def test_posetrack_frames_that_are_not_labeled_are_no_images_without_people(tmp_path: Path, value: object) -> None:
    draw_images(tmp_path / "images", ("a.png", "b.png"))
    values = content(track_id=5)
    values["images"].append({"id": 2, "file_name": "b.png", "width": 60, "height": 40, "is_labeled": value})
    values["images"][0]["is_labeled"] = True
    values["annotations"].append(values["annotations"][0] | {"id": 2, "image_id": 2})
    problems = Problems()
    (image,) = read_labels(put(tmp_path / "labels.json", values), ReadOptions(problems=problems))
    assert (image.path.name, len(image.annotation)) == ("a.png", 1)
    assert any("is_labeled false are skipped" in line for line in problems.notes)


def test_label_studio(tmp_path: Path) -> None:
    """result.json with numbers from 0, images as images/NAME, no area, one category of all keypoints."""
    draw_images(tmp_path / "images", ("0f-a.png",))
    values = content(id=0, image_id=0, category_id=1, bbox=[10, 12, 10, 10])
    values["images"][0] |= {"id": 0, "file_name": "images\\0f-a.png"}
    values["categories"] = [{"id": 0, "name": "Bug"}, values["categories"][0] | {"name": "default", "skeleton": []}]
    labels = read_labels(put(tmp_path / "result.json", values))
    assert labels.images[0].path == tmp_path / "images/0f-a.png"
    assert labels.skeleton.flip_pairs == ((1, 2),)
    assert labels.images[0].annotation.areas[0] == pytest.approx(AREA_PER_BOX * 100)


def test_coco_annotator(tmp_path: Path) -> None:
    """Boxes and areas of 0 for points without an outline; outlines without points; colors; paths of its server."""
    draw_images(tmp_path, ("a.png",))
    values = content(bbox=[0, 0, 0, 0], area=0, isbbox=False, color="#ff0000", metadata={})
    values["images"][0] |= {"path": "/datasets/bugs/a.png", "dataset_id": 3}
    values["categories"][0]["keypoint_colors"] = ["#bf5c4d", "#d99100", "#4d8068"]
    outline = {"segmentation": [[1, 1, 5, 1, 5, 5]], "bbox": [1, 1, 4, 4], "area": 8, "iscrowd": False}
    values["annotations"].append({"id": 2, "image_id": 1, "category_id": 1, **outline})
    labels = read_labels(put(tmp_path / "coco.json", values))
    assert labels.skeleton.colors == ("#bf5c4d", "#d99100", "#4d8068")
    rows = labels.images[0].annotation
    np.testing.assert_array_equal(rows.boxes, [[10, 12, 10, 10], [1, 1, 4, 4]])
    np.testing.assert_allclose(rows.areas, [AREA_PER_BOX * 100, 8])
    assert rows.visibility[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "name", ["a b ü/Ä 1.png", "sub/../a.png", "./a.png", "/home/else/set/sub/a.png", "C:\\x\\a.png"]
)
def test_names_with_spaces_non_ascii_letters_and_folders_of_another_machine(tmp_path: Path, name: str) -> None:
    draw_images(tmp_path / "p", ("a b ü/Ä 1.png", "a.png"))
    values = content()
    values["images"][0]["file_name"] = name
    (image,) = read_labels(put(tmp_path / "x y.json", values), ReadOptions(tmp_path / "p"))
    assert image.path.is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../a.png", r"1 of 1 images are missing, the first is .*/p/a\.png"),
        ("p/../../a.png", "1 of 1 images are missing"),
        ("..\\a.png", "1 of 1 images are missing"),
        ("https://example.org/a.png", "image 1 is at https"),
        ("b.png", r"1 of 1 images are missing, the first is .*b\.png"),
        ("a" * 5000, "1 of 1 images are missing"),
        ("a\0.png", "1 of 1 images are missing"),
    ],
)
def test_invalid_names_are_errors(tmp_path: Path, name: str, message: str) -> None:
    draw_images(tmp_path, ("a.png", "p/c.png"))
    values = content()
    values["images"][0]["file_name"] = name
    with pytest.raises(LabelError, match=message):
        read_labels(put(tmp_path / "labels.json", values), ReadOptions(tmp_path / "p"))


def test_an_image_that_is_listed_twice_is_an_error(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    values = content()
    values["images"].append({"id": 2, "file_name": "./a.png", "width": 60, "height": 40})
    with pytest.raises(LabelError, match=r"labels\.json: image 2 is .*a\.png, which is image 1 already"):
        read_labels(put(tmp_path / "labels.json", values))


def test_invalid_records_are_skipped_and_counted(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    values = content()
    image, row = values["images"][0], values["annotations"][0]
    values["images"] += [
        image | {"id": 2, "file_name": "b.png"},
        image | {"id": 3, "file_name": "none.png"},
        image | {"id": 4, "file_name": "../a.png"},
        image | {"id": 5, "width": 0},
        image,
        "image",
    ]
    values["annotations"] += [
        row | {"id": 2, "image_id": 2, "keypoints": [float("nan"), *POINTS[1:]]},
        row | {"id": 3, "image_id": 2, "keypoints": POINTS[:-1]},
        row | {"id": 4, "image_id": 3},
        row | {"id": 5, "image_id": 99},
        row,
        row | {"id": 6, "image_id": 2, "keypoints": [*POINTS[:-1], 3]},
        row | {"id": 7, "image_id": 2},
    ]
    problems = Problems(skip=True)
    labels = read_labels(put(tmp_path / "labels.json", values), ReadOptions(problems=problems))
    # An annotation that repeats the id of another is kept.
    assert [len(entry.annotation) for entry in labels] == [2, 1]
    assert len(problems.skipped) == 9
    assert all("labels.json" in line and "\n" not in line for line in problems.skipped)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"images": [{"id"', "is not valid JSON"),
        ('{"images": []}'.encode("utf-16"), "is not UTF-8 text: expected .*COCO"),
        (b'{"a": "\xff"}', "not UTF-8 text"),
        (b"\x89HDF\r\n\x1a\nrubbish", "damaged: it is an HDF5 file"),
        (b"dataset_info = dict()", "describes a skeleton"),
        (b'name = "bug"\njoints = []', "describes a skeleton"),
        (b"hello", "is in an unknown format: expected .*COCO keypoints"),
    ],
)
def test_another_file_is_a_one_line_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "labels.txt").write_bytes(data)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "labels.txt")
    assert "labels.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_format_is_detected_by_content(tmp_path: Path) -> None:
    for data, name in (
        (b'\xef\xbb\xbf{"images": []}', "coco"),
        (b'[{"joints": [[1, 2]]}]', "mpii"),
        (b'{"root": []}', "mpii"),
        (b'[{"id": 1, "annotations": [], "data": {"image": "a.png"}}]', "label_studio"),
        (b'[{"image_id": "a.png", "category_id": 1, "keypoints": [1, 2, 3], "score": 1}]', "alphapose"),
        (b'{"version": 1.3, "people": []}', "openpose"),
        (b'{"version": "5.4.1", "flags": {}, "shapes": []}', "labelme"),
        (b'{"_via_settings": {}, "_via_img_metadata": {}}', "via"),
        (b'{"a.png12": {"filename": "a.png", "size": 12, "regions": []}}', "via"),
        (b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n', "cvat"),
        (b"scorer,,,me\n", "deeplabcut"),
        (b"version: 1\nn_points: 68\n", "pts"),
        (b"PAR1", "parquet"),
        (b"frame,image,object,joint,x,y,v\n", "csv"),
    ):
        (tmp_path / "labels.dat").write_bytes(data)
        assert detect_format(tmp_path / "labels.dat").name == name
