"""A resumed run trains on the labels that it began with, or stops in one line."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.training.data.record import check_unchanged, record_of
from cairn.training.recipe import LabelSource
from cairn.training.run_folder import RunFolder
from support.made_data import made_labels
from support.made_objects import with_image

SOURCE = LabelSource(labels=Path("labels.json"))


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return made_labels(tmp_path / "set", 5, people=2)


@pytest.fixture
def begun(labels: Labels, tmp_path: Path) -> RunFolder:
    """A run that has trained on four images and validated on the fifth."""
    folder = RunFolder(tmp_path / "run")
    check_unchanged(*parts(labels), folder, resume=False)
    return folder


def parts(labels: Labels) -> tuple[list[tuple[Labels, LabelSource]], Labels]:
    return [(replace(labels, images=labels.images[:4]), SOURCE)], replace(labels, images=labels.images[4:])


def moved(labels: Labels, index: int) -> Labels:
    rows = labels.images[index].annotation
    points = rows.keypoints.copy()
    points[0, 0] += 2
    return with_image(labels, index, annotation=replace(rows, keypoints=points))


def hidden(labels: Labels) -> Labels:
    rows = labels.images[0].annotation
    return with_image(labels, 0, annotation=replace(rows, visibility=np.ones_like(rows.visibility)))


def boxed(labels: Labels) -> Labels:
    rows = labels.images[0].annotation
    return with_image(labels, 0, annotation=replace(rows, boxes=rows.boxes + np.float32(3)))


def test_the_same_labels_resume(labels: Labels, begun: RunFolder) -> None:
    check_unchanged(*parts(labels), begun, resume=True)
    content = json.loads(begun.data.read_text())
    assert (content["train"]["images"], content["train"]["instances"]) == (4, 8)
    assert (content["val"]["images"], content["val"]["instances"]) == (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: moved(labels, 0), "4 training images with 8 instances, as many as before, with other"),
        (lambda labels: moved(labels, 4), "1 validation images with 2 instances, as many as before, with other"),
        (hidden, "as many as before"),
        (boxed, "as many as before"),
        (lambda labels: with_image(labels, 1, path=Path("other.png")), "as many as before"),
        (
            lambda labels: with_image(labels, 1, annotation=labels.images[1].annotation[:1]),
            "4 training images with 7 instances, before 4 with 8",
        ),
        (
            lambda labels: replace(labels, images=labels.images[1:] + labels.images[:1]),
            "4 training images with 8 instances",
        ),
    ],
    ids=["keypoint", "validation", "visibility", "box", "name", "instance", "split"],
)
def test_changed_labels_stop_a_resumed_run(
    labels: Labels, begun: RunFolder, change: Callable[[Labels], Labels], message: str
) -> None:
    before = begun.data.read_bytes()
    with pytest.raises(LabelError, match=message) as error:
        check_unchanged(*parts(change(labels)), begun, resume=True)
    assert "\n" not in str(error.value)
    assert f"--from {begun.path}" in str(error.value)
    assert begun.data.read_bytes() == before


def test_order_and_folder_of_the_images_do_not_matter(labels: Labels, begun: RunFolder) -> None:
    images = [replace(image, path=Path("elsewhere") / image.path.name) for image in labels]
    again = replace(labels, images=(images[2], images[0], images[3], images[1], images[4]))
    check_unchanged(*parts(again), begun, resume=True)


def test_a_hundredth_of_a_pixel_is_rounding(labels: Labels) -> None:
    images = [
        replace(image, annotation=replace(image.annotation, keypoints=np.round(image.annotation.keypoints, 1)))
        for image in labels
    ]
    near = [
        replace(image, annotation=replace(image.annotation, keypoints=image.annotation.keypoints + np.float32(1e-4)))
        for image in images
    ]
    assert record_of(near) == record_of(images)


def test_a_run_without_a_record_resumes_with_a_note_and_gets_one(
    labels: Labels, begun: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    begun.data.unlink()
    with caplog.at_level(logging.INFO):
        check_unchanged(*parts(labels), begun, resume=True)
    assert "no record of its labels" in caplog.text
    with pytest.raises(LabelError, match="not those that the run began with"):
        check_unchanged(*parts(moved(labels, 0)), begun, resume=True)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"train": 1, "val": 2}', "\0"])
def test_a_damaged_record_is_one_line(labels: Labels, begun: RunFolder, content: str) -> None:
    begun.data.write_text(content)
    with pytest.raises(LabelError, match="is damaged"):
        check_unchanged(*parts(labels), begun, resume=True)
