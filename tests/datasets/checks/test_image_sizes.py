"""Images of another size than in their labels stop whatever uses the pixels; rounding and right labels do not."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cairn.datasets.checks.check import check
from cairn.datasets.checks.image_sizes import UNREADABLE, check_sizes, differs, read_sizes
from cairn.datasets.checks.sanity import check_before_use
from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.media.images import read_image, write_image
from support.made_objects import ANIMAL, animals, labels_of, random_image, with_image

SIZE = (200, 260)


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return labels_of(tmp_path, animals(6), ANIMAL, [random_image(i, SIZE) for i in range(6)])


def exif(orientation: int) -> bytes:
    """A JPEG's segment APP1 that states an orientation."""
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    return b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff


def with_jpeg(labels: Labels, index: int, orientation: int) -> Labels:
    """The labels with an image as a JPEG that EXIF rotates."""
    path = labels.images[index].path.with_suffix(".jpg")
    data = cv2.imencode(".jpg", random_image(index, SIZE))[1].tobytes()
    path.write_bytes(data[:2] + exif(orientation) + data[2:])
    return with_image(labels, index, path=path)


def test_right_sizes_have_no_findings(labels: Labels) -> None:
    assert read_sizes(labels) == (SIZE,) * 6
    assert check_sizes("set", labels, read_sizes(labels)) == []
    assert check_before_use("set", labels) == ()


@pytest.mark.parametrize("size", [(100, 130), (400, 520), (260, 200), (200, 250)])
def test_resized_and_cropped_images_are_an_error_with_count_and_example(labels: Labels, size: tuple[int, int]) -> None:
    for image in labels.images[2:4]:
        write_image(image.path, random_image(0, size))
    message = rf"set: 2 of 6 images of another size than in the labels: p2x.png is {size[1]}×{size[0]}, in .* 260×200"
    with pytest.raises(LabelError, match=message) as error:
        check_before_use("set", labels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_that_exchanges_the_axes_is_an_error_and_others_are_not(labels: Labels, orientation: int) -> None:
    rotated = with_jpeg(labels, 1, orientation)
    assert read_sizes(rotated)[1] == read_image(rotated.images[1].path).shape[:2]
    if orientation < 5:
        assert check_before_use("set", rotated) == ()
    else:
        with pytest.raises(LabelError, match=r"p1x.jpg is 200×260, in the labels 260×200 \(rotated, as by EXIF"):
            check_before_use("set", rotated)


def test_labels_of_the_rotated_image_are_right(labels: Labels) -> None:
    rotated = with_image(with_jpeg(labels, 1, 6), 1, size=SIZE[::-1])
    assert check_before_use("set", rotated) == ()


def test_rounding_by_one_pixel_is_no_error(labels: Labels) -> None:
    near = with_image(labels, 3, size=(SIZE[0] + 1, SIZE[1] - 1))
    (line,) = check_before_use("set", near)
    assert "1 of 6 images of another size than in the labels: p3x.png" in line
    with pytest.raises(LabelError, match="another size"):
        check_before_use("set", with_image(labels, 3, size=(SIZE[0] + 2, SIZE[1])))


def test_images_without_instances_suffer_nothing(labels: Labels) -> None:
    empty = with_image(labels, 3, size=(10, 10), annotation=labels.images[3].annotation[:0])
    assert check_before_use("set", empty) == ()
    (finding,) = check_sizes("set", empty, read_sizes(empty))
    assert finding.level == "warning"


def test_an_unreadable_image_has_no_size(labels: Labels) -> None:
    labels.images[0].path.write_bytes(b"no image")
    assert read_sizes(labels)[0] == UNREADABLE
    assert not differs(labels.images[0], UNREADABLE)
    assert check_before_use("set", labels) == ()


def test_a_check_says_that_training_cannot_start(labels: Labels) -> None:
    result = check({"set": with_image(labels, 0, size=(400, 520))})
    (finding,) = (entry for entry in result.findings if entry.kind == "size")
    assert (result.status, finding.level) == (2, "error")
    assert finding.cases[0]["size_in_labels"] == [520, 400]


def test_a_check_and_a_use_find_the_same_in_instances(labels: Labels) -> None:
    twice = with_image(labels, 0, annotation=labels.images[0].annotation[[0, 0]])
    rows = labels.images[1].annotation
    wrong = with_image(twice, 1, annotation=replace(rows, areas=np.zeros(1, np.float32)))
    lines = check_before_use("set", wrong)
    assert len(lines) == 2
    assert set(lines) <= {finding.line for finding in check({"set": wrong}).findings}


def test_labels_without_images_pass(labels: Labels) -> None:
    assert check_before_use("set", replace(labels, images=())) == ()
