"""The images that labels list, with and without their annotations."""

import json

import cv2
import numpy as np
import pytest

from cairn.datasets.formats import FORMATS
from cairn.datasets.reading import read_image_paths, read_labels
from cairn.errors import LabelError


@pytest.fixture
def labels(tmp_path):
    """COCO labels of two of three images."""
    images = []
    for number, name in enumerate(("b/2.png", "a/1.png", "a/3.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 50 * number, np.uint8))
        images.append({"id": number, "file_name": name, "width": 30, "height": 20})
    row = {"category_id": 1, "keypoints": [9, 9, 2], "num_keypoints": 1, "bbox": [4, 4, 9, 9], "area": 81, "iscrowd": 0}
    annotations = [row | {"id": number, "image_id": number} for number in (0, 2)]
    category = {"id": 1, "name": "box", "keypoints": ["nose"], "skeleton": []}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def test_the_images_of_labels_are_those_that_are_read_with_annotations(labels, tmp_path):
    expected = [image.path for image in read_labels(labels)]
    assert len(expected) == 3
    assert read_image_paths(labels) == read_image_paths(labels, tmp_path) == expected
    write = next(each.write for each in FORMATS if each.name == "cvat")
    write(read_labels(labels), tmp_path / "labels.xml", "train")
    assert set(read_image_paths(tmp_path / "labels.xml")) == set(expected)


def test_coco_needs_no_annotations_for_that(labels):
    content = json.loads(labels.read_text()) | {"annotations": [], "categories": []}
    labels.write_text(json.dumps(content))
    assert [path.name for path in read_image_paths(labels)] == ["2.png", "1.png", "3.png"]
    with pytest.raises(LabelError):
        read_labels(labels)


def test_images_that_are_missing_or_listed_twice(labels, tmp_path):
    with pytest.raises(LabelError, match=r"labels\.json: no folder of images at .*none"):
        read_image_paths(labels, tmp_path / "none")
    content = json.loads(labels.read_text())
    labels.write_text(json.dumps(content | {"images": [*content["images"], content["images"][0] | {"id": 9}]}))
    with pytest.raises(LabelError, match=r"labels\.json: .*list an image once"):
        read_image_paths(labels)
    (tmp_path / "a" / "3.png").unlink()
    labels.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"1 of 3 images are missing, the first is .*a/3\.png"):
        read_image_paths(labels)
    labels.write_text("[]")
    with pytest.raises(LabelError, match="labels"):
        read_image_paths(labels)
