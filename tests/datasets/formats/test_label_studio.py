"""Label Studio's own JSON, JSON-MIN and pre-annotations."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import form_by_name, write_labels
from cairn.errors import LabelError
from support.made_labels import MOTH, NAMES, SIZE, assert_same, draw_images, make_labels

SIDES = {"original_width": 60, "original_height": 40, "image_rotation": 0, "to_name": "img", "origin": "manual"}


def keypoint(number: str, label: str, x: float, y: float, parent: str | None = None, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]}
    tied = {"parentID": parent} if parent else {}
    return {"id": number, "type": "keypointlabels", "from_name": "kp", "value": value, **SIDES, **tied, **more}


def rectangle(number: str, label: str, *box: float, **more: Any) -> dict[str, Any]:
    x, y, width, height = box or (10, 10, 50, 50)
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label], **more}
    return {"id": number, "type": "rectanglelabels", "from_name": "box", "value": value, **SIDES}


def annotation(*results: Any, **more: Any) -> dict[str, Any]:
    times = {"created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-02T00:00:00Z"}
    return {
        "id": 1,
        "completed_by": 1,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
        **times,
        **more,
    }


def task(*annotations: Any, name: str = "/data/upload/3/0a1b2c3d-a.png", **more: Any) -> dict[str, Any]:
    return {"id": 7, "annotations": list(annotations), "predictions": [], "data": {"image": name}, "project": 3, **more}


def file(path: Path, *tasks: Any) -> Path:
    path.write_text(json.dumps(list(tasks), ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_images(tmp_path, ("a.png", "b ü.png"))
    return tmp_path


def test_percent_become_pixels_and_parents_tie_keypoints(folder: Path) -> None:
    results = (
        rectangle("r1", "bug"),
        keypoint("k1", "nose", 10, 20, "r1"),
        keypoint("k2", "tail", 50, 25.5, "r1", meta={"text": ["occluded"]}),
        rectangle("r2", "bug", 50, 0, 10, 10),
        {"id": "k3", "type": "keypointlabels", **keypoint("k3", "tail", 12, 12)},
        {"type": "relation", "from_id": "k3", "to_id": "r2", "direction": "right"},
    )
    labels = read_labels(file(folder / "project.json", task(annotation(*results))))
    assert (labels.skeleton.name, labels.skeleton.joints) == ("bug", ("nose", "tail"))
    (image,) = labels
    assert (image.size, image.path) == (SIZE, folder / "a.png")
    np.testing.assert_allclose(
        image.annotation.keypoints, [[[6, 8], [30, 10.2]], [[np.nan, np.nan], [7.2, 4.8]]], rtol=1e-6
    )
    np.testing.assert_array_equal(image.annotation.visibility, [[2, 1], [0, 2]])
    np.testing.assert_allclose(image.annotation.boxes, [[6, 4, 30, 20], [30, 0, 6, 4]], rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "/data/upload/1/0a1b2c3d-a.png",
        "/data/upload/0a1b2c3d-a.png",
        "/data/local-files/?d=sets/bugs/a.png",
        "https://e.org/x/a.png?token=1",
        "s3://bucket/x/a.png",
        "C:\\x\\a.png",
        "a.png",
    ],
)
def test_addresses_of_images(folder: Path, name: str) -> None:
    (image,) = read_labels(file(folder / "project.json", task(annotation(keypoint("k", "nose", 1, 2)), name=name)))
    assert image.path == folder / "a.png"


def test_names_are_decoded_and_uploads_may_keep_their_digits(folder: Path) -> None:
    draw_images(folder, ("0a1b2c3d-b ü.png",))
    for name in ("/data/upload/1/0a1b2c3d-b%20%C3%BC.png", "/data/local-files/?d=0a1b2c3d-b%20%C3%BC.png"):
        (image,) = read_labels(file(folder / "project.json", task(annotation(keypoint("k", "nose", 1, 2)), name=name)))
        assert image.path == folder / "0a1b2c3d-b ü.png"


def test_the_annotation_that_counts(folder: Path) -> None:
    old, new = annotation(keypoint("k", "nose", 10, 10)), annotation(keypoint("k", "nose", 20, 20))
    new["updated_at"] = "2024-03-01T00:00:00Z"
    canceled = annotation(keypoint("k", "nose", 90, 90), was_cancelled=True, updated_at="2025-01-01T00:00:00Z")
    truth = annotation(keypoint("k", "nose", 50, 50), ground_truth=True, updated_at="2020-01-01T00:00:00Z")
    for annotations, x in (
        ((new, old), 12),
        ((old, new, canceled), 12),
        ((old, truth, new), 30),
        ((canceled, old), 6),
    ):
        problems = Problems(log_notes=False)
        labels = read_labels(file(folder / "project.json", task(*annotations)), ReadOptions(problems=problems))
        assert labels.images[0].annotation.keypoints[0, 0, 0] == pytest.approx(x)
        assert any("latest" in note for note in problems.notes) == (len(annotations) - (canceled in annotations) > 1)


def test_unlabeled_tasks_are_skipped_and_empty_annotations_are_images_without_instances(folder: Path) -> None:
    guess = {"model_version": "m", "result": [keypoint("k", "nose", 1, 2)]}
    tasks = (
        task(annotation(keypoint("k", "nose", 1, 2))),
        task(annotation(), name="b ü.png"),
        task(name="none.png", id=9) | {"predictions": [guess]},
        task(annotation(was_cancelled=True), name="none.png", id=10),
    )
    problems = Problems(log_notes=False)
    labels = read_labels(file(folder / "project.json", *tasks), ReadOptions(problems=problems))
    assert [len(image.annotation) for image in labels] == [1, 0]
    assert any("tasks without an annotation are skipped: 2" in note for note in problems.notes)


def test_predictions_are_read_where_there_is_no_annotation(folder: Path) -> None:
    regions = [
        keypoint("a", "nose", 1, 2, score=0.4),
        keypoint("b", "tail", 3, 4, score=0.9),
        keypoint("c", "ear", 5, 6),
    ]
    path = file(folder / "pre.json", {"data": {"image": "a.png"}, "predictions": [{"result": regions}]})
    problems = Problems(log_notes=False)
    assert read_labels(path, ReadOptions(problems=problems)).skeleton.joints == ("tail", "ear")
    assert read_labels(path, ReadOptions(confidence=0.3)).skeleton.joints == ("nose", "tail", "ear")
    assert any("model predictions are read" in note for note in problems.notes)


def test_json_min_and_a_single_task(folder: Path) -> None:
    def flat(row: dict[str, Any]) -> dict[str, Any]:
        return {**row["value"], "original_width": 60, "original_height": 40}

    first = {
        "image": "/data/upload/1/0a1b2c3d-a.png",
        "id": 1,
        "kp": [flat(keypoint("k", "nose", 20, 20)), flat(keypoint("k", "nose", 80, 20))],
        "box": [flat(rectangle("r", "bug")), flat(rectangle("r", "ant", 70, 10, 20, 20))],
        "choice": "good",
        "annotator": 1,
        "annotation_id": 5,
        "updated_at": "2024-03-01T00:00:00Z",
    }
    second = {**first, "annotator": 2, "kp": first["kp"][:1], "updated_at": "2024-02-01T00:00:00Z"}
    labels = read_labels(file(folder / "min.json", first, second))
    assert labels.classes == ("ant", "bug")
    np.testing.assert_allclose(labels.images[0].annotation.keypoints[:, 0], [[12, 8], [48, 8]], rtol=1e-6)
    (folder / "one.json").write_text(json.dumps(task(annotation(keypoint("k", "nose", 1, 2)))))
    assert len(read_labels(folder / "one.json")) == 1


def test_regions_of_two_tags_other_regions_and_turned_rectangles(folder: Path) -> None:
    point = keypoint("k", "nose", 10, 20)
    bare = {**point, "type": "keypoint", "value": {"x": 10, "y": 20, "width": 1}}
    label = {**point, "type": "labels", "from_name": "l", "value": {"x": 10, "y": 20, "width": 1, "labels": ["nose"]}}
    state = {**point, "type": "choices", "value": {"x": 10, "y": 20, "width": 1, "choices": ["Not visible"]}}
    brush = {"id": "m", "type": "brushlabels", "value": {"format": "rle", "rle": [1, 2], "brushlabels": ["x"]}, **SIDES}
    image = {"id": "c", "type": "choices", "value": {"choices": ["good"]}}
    turned = rectangle("r", "bug", 50, 50, 50, 25, rotation=90)
    problems = Problems(log_notes=False)
    path = file(folder / "p.json", task(annotation(bare, label, state, brush, image, turned)))
    rows = read_labels(path, ReadOptions(problems=problems)).images[0].annotation
    assert rows.visibility.tolist() == [[1]]
    np.testing.assert_allclose(rows.boxes, [[20, 20, 10, 30]], rtol=1e-5)  # about the corner at 30, 20
    assert any("other than keypoints" in note for note in problems.notes)


def test_a_missing_size_is_read_from_the_image(folder: Path) -> None:
    point = {key: value for key, value in keypoint("k", "nose", 50, 50).items() if not key.startswith("original")}
    (image,) = read_labels(file(folder / "p.json", task(annotation(point))))
    assert image.annotation.keypoints.tolist() == [[[30, 20]]]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (task(annotation(keypoint("k", "a", 1, 2), keypoint("l", "a", 1, 2))), "'a' occurs twice without parentID"),
        (task(annotation(keypoint("k", "a", 1, 2, image_rotation=90))), "the image was rotated in Label Studio"),
        (task(annotation(keypoint("k", "a", 1, 2, item_index=1))), "another image of the task"),
        (task(annotation(keypoint("k", "a", float("inf"), 2))), "task 7: region k: x must be a finite number"),
        (task(annotation({"id": "k", "value": {"y": 1, "x": "", "keypointlabels": "a"}, **SIDES})), "must be a number"),
        (task(annotation(3)), "result 0 must be a region, got 3"),
        (task(annotation(keypoint("k", "a", 1, 2)), data={"video": "/data/a.mp4"}), "is of a video"),
        (task(annotation(keypoint("k", "a", 1, 2)), data=None), "has no image"),
        (task(annotation(keypoint("k", "a", 1, 2)), annotations=[{"result": None}]), "result must be a list"),
        (task(), "has no annotation"),
        (3, "expected a list of tasks"),
    ],
)  # fmt: skip
def test_an_invalid_file_is_a_one_line_error(folder: Path, entry: Any, message: str) -> None:
    good = task(annotation(keypoint("k", "a", 1, 2)), name="b ü.png") if entry == 3 else {"data": {}, "drafts": []}
    with pytest.raises(LabelError, match=rf"p\.json.*{message}") as caught:
        read_labels(file(folder / "p.json", *((good, entry) if entry == 3 else (entry,))))
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    path = tmp_path / "moths.label_studio.json"
    assert form_by_name(path) == "label_studio"
    lost = write_labels(labels, path)
    assert [line.split(" ", 1)[1].split(":")[0] for line in lost] == [
        "track IDs are skipped",
        "images lose their video, subject and frame number",
        "areas are skipped",
    ]
    again = read_labels(path, ReadOptions(skeleton=labels.skeleton))
    assert_same(labels, again, 1e-4, but=("areas", "tracks"))
    config = ElementTree.parse(tmp_path / "moths.label_config.xml").getroot()
    assert [label.get("value") for label in config.iterfind("KeyPointLabels/Label")] == list(NAMES)
    assert [label.get("value") for label in config.iterfind("RectangleLabels/Label")] == [MOTH.name]
    controls = {control.get("name") for control in config}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        assert entry["data"]["image"].startswith("/data/local-files/?d=")
        for region in entry["predictions"][0]["result"]:
            assert region["from_name"] in controls
            assert region["to_name"] in controls


def test_a_name_that_no_file_can_have_is_a_missing_image(folder: Path) -> None:
    entry = task(annotation(keypoint("k", "a", 1, 2)), name=f"{'a' * 5000}.png")
    with pytest.raises(LabelError, match=r"p\.json.*missing") as caught:
        read_labels(file(folder / "p.json", entry))
    assert "\n" not in str(caught.value)
