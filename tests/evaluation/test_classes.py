"""Metrics by class, against hand-computed examples and against COCO's own evaluation of several categories."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.classes import in_classes
from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.classes import align
from cairn.evaluation.evaluate import measure
from cairn.evaluation.metrics.oks import NAMES, library, oks_metrics
from cairn.evaluation.metrics.summary import class_rows, definition_of_classes, headline, metrics
from cairn.evaluation.reports.compare import class_comparison
from cairn.evaluation.reports.diagnosis import diagnose
from cairn.evaluation.reports.report import definition_line
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from support.fake_network import TOTEM

CLASSES = ("cat", "dog", "cow")
SHAPE = np.array([[0, 0], [0, 30], [20, 60]], np.float32)


def annotation(places: list[tuple[float, float]], classes: list[int]) -> Annotation:
    points = np.array(places, np.float32).reshape(-1, 1, 2) + SHAPE
    count = len(points)
    boxes = np.concatenate([points.min(axis=1), np.tile([20.0, 60.0], (count, 1))], axis=1).astype(np.float32)
    return Annotation(
        keypoints=points,
        visibility=np.full((count, 3), 2, np.uint8),
        boxes=boxes,
        areas=np.full(count, 1200, np.float32),
        crowd=np.zeros(count, bool),
        classes=np.array(classes, np.int64),
    )


def labels_of(*images: tuple[list[tuple[float, float]], list[int]], names: tuple[str, ...] = CLASSES) -> Labels:
    listed = tuple(
        LabeledImage(i, Path(f"{i}.png"), (400, 400), annotation(*entry)) for i, entry in enumerate(images, start=1)
    )
    return Labels(TOTEM, listed, np.ones(3, bool), names)


def poses_of(places, classes, scores=None, names=CLASSES) -> Poses:
    points = np.array(places, np.float32).reshape(-1, 1, 2) + SHAPE
    confidence = np.ones(points.shape[:2], np.float32)
    scores = np.array(scores or [1.0] * len(points), np.float32)
    return Poses(points, confidence, scores, TOTEM, classes=np.array(classes, np.int64), class_names=names)


A, B, C, D = (10.0, 10.0), (110.0, 10.0), (210.0, 10.0), (310.0, 10.0)

TRUTH = labels_of(([A, B, C], [0, 0, 1]), ([A, B], [1, 1]))
# In image 1 one cat is taken for a dog, in image 2 both dogs are right, and the dog at D is a false alarm.
FOUND = (poses_of([A, B, C], [0, 1, 1], [0.9, 0.8, 0.7]), poses_of([A, B, D], [1, 1, 1], [0.95, 0.6, 0.5]))


def test_metrics_of_each_class_are_those_computed_by_hand():
    evaluation = measure(TRUTH, FOUND)
    cat, dog = evaluation.classes
    assert (cat.name, cat.instances) == ("cat", 2)
    assert (dog.name, dog.instances) == ("dog", 3)
    # One of two cats at precision 1: COCO's 101 recall thresholds from 0 to 0.5, which are 51, have precision 1.
    assert cat.ap == pytest.approx(100 * 51 / 101)
    # Dogs by score: right, wrong, right, right, wrong: precision 1 up to recall 1/3, 34 thresholds, then 3/4.
    assert dog.ap == pytest.approx(100 * (34 + 67 * 0.75) / 101)
    assert evaluation.oks["AP"] == pytest.approx((cat.ap + dog.ap) / 2)
    assert evaluation.oks["AR"] == pytest.approx((50 + 100) / 2)
    assert (cat.pck, dog.pck) == (50, 100)
    assert evaluation.pck.value == pytest.approx(80)  # 4 of 5 instances, every joint alike
    assert evaluation.class_accuracy == pytest.approx(80)  # 4 of the 5 detected ones
    assert evaluation.class_note == ""
    assert definition_of_classes(evaluation) == (
        "instances are matched within classes, and OKS metrics are means over classes"
    )


def test_classes_are_matched_by_name_and_not_by_number():
    order = ("cow", "dog", "cat", "hen")
    renamed = tuple(poses.in_classes(order) for poses in FOUND)
    assert measure(TRUTH, renamed).oks == pytest.approx(measure(TRUTH, FOUND).oks, nan_ok=True)
    assert [each.name for each in measure(TRUTH, renamed).classes] == ["cat", "dog"]


def test_the_metrics_are_those_of_coco_for_several_categories():
    rng = np.random.default_rng(0)
    images, found = [], []
    for _ in range(12):
        count = int(rng.integers(0, 5))
        places = [(float(x), float(y)) for x, y in rng.uniform(0, 300, (count, 2))]
        classes = rng.integers(0, 3, count).tolist()
        images.append((places, classes))
        noisy = [(x + rng.normal(0, 4), y + rng.normal(0, 4)) for x, y in places] + [(350.0, 300.0)]
        kinds = [int(rng.integers(0, 3)) if rng.random() < 0.3 else kind for kind in classes] + [
            int(rng.integers(0, 3))
        ]
        found.append(poses_of(noisy, kinds, rng.uniform(0.1, 1, count + 1).tolist()))
    labels = labels_of(*images)
    got = oks_metrics(labels, found)

    coco, evaluator = library()
    rows, results = [], []
    for i, (image, poses) in enumerate(zip(labels, found, strict=True)):
        own = image.annotation
        for points, box, area, kind in zip(own.keypoints, own.boxes, own.areas, own.classes, strict=True):
            flat = np.concatenate([points, np.full((3, 1), 2)], axis=1).ravel().tolist()
            rows.append({"id": len(rows) + 1, "image_id": i, "category_id": int(kind) + 1, "keypoints": flat,
                         "num_keypoints": 3, "bbox": box.tolist(), "area": float(area), "iscrowd": 0})  # fmt: skip
        results += [{**row, "bbox": box} for row, box in zip(poses.to_coco(i), poses.boxes.tolist(), strict=True)]
    content = {"images": [{"id": i, "height": 400, "width": 400} for i in range(12)], "annotations": rows,
               "categories": [{"id": i + 1, "name": name} for i, name in enumerate(CLASSES)]}  # fmt: skip
    truth = coco(content)
    evaluation = evaluator(truth, truth.loadRes(results), "keypoints", kpt_oks_sigmas=list(TOTEM.sigmas))
    evaluation.params.maxDets = [20]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    for name, key in NAMES.items():
        value = evaluation.stats_as_dict[key]
        assert got[name] == pytest.approx(100 * value, abs=1e-3) if value >= 0 else math.isnan(got[name]), name


def without_classes(predictions):
    return tuple(poses.in_classes(()) for poses in predictions)


def test_a_model_without_classes_is_measured_regardless_of_class():
    evaluation = measure(TRUTH, without_classes(FOUND))
    plain = measure(in_classes(TRUTH, ()), without_classes(FOUND))
    assert evaluation.oks == pytest.approx(plain.oks, nan_ok=True)
    assert evaluation.pck.value == 100
    assert evaluation.classes == ()
    assert evaluation.class_note == (
        "the labels have the classes cat, dog, cow, the model has none: measured regardless of class"
    )
    assert evaluation.class_note in definition_line(evaluation)
    assert plain.class_note == ""
    assert math.isnan(plain.class_accuracy)


def test_labels_without_classes_names_in_common_or_known_ones_are_measured_regardless_of_class():
    plain = in_classes(TRUTH, ())
    assert align(plain, FOUND).note.startswith("the model has the classes cat, dog, cow, the labels have none: ")
    other = tuple(replace(poses, class_names=("Cat", "Dog", "Cow")) for poses in FOUND)
    assert "no name is the same: measured regardless" in align(TRUTH, other).note
    image = TRUTH.images[0]
    unknown = replace(image, annotation=replace(image.annotation, classes=np.array([-1, 0, 1])))
    labels = replace(TRUTH, images=(unknown, TRUTH.images[1]))
    assert align(labels, FOUND).note == "some labeled instances have no class: measured regardless of class"
    for truth, poses in ((plain, FOUND), (TRUTH, other), (labels, FOUND)):
        assert measure(truth, poses).pck.value == 100


def test_a_class_that_the_model_lacks_is_said_and_counts_as_missed():
    found = tuple(poses[np.flatnonzero(poses.classes == 0)].in_classes(("cat", "hen")) for poses in FOUND)
    evaluation = measure(TRUTH, found)
    assert evaluation.class_note == (
        "the model does not have these classes, whose labeled instances count as missed: dog (3)"
    )
    assert [(each.name, each.pck) for each in evaluation.classes] == [("cat", 50), ("dog", 0)]


def test_crops_are_paired_in_order_and_classes_are_counted():
    found = (poses_of([A, B, C], [0, 1, 1]), poses_of([A, B], [1, 1]))
    evaluation = measure(TRUTH, found, task="crop")
    assert evaluation.pck.value == 100
    assert evaluation.class_accuracy == pytest.approx(80)
    assert [(each.name, each.pck, math.isnan(each.ap)) for each in evaluation.classes] == [
        ("cat", 100, True), ("dog", 100, True)
    ]  # fmt: skip
    assert definition_of_classes(evaluation) == "PCK does not depend on the predicted class"


def test_tables_have_the_classes_only_where_there_are_several():
    evaluation = measure(TRUTH, FOUND)
    plain = measure(in_classes(TRUTH, ()), without_classes(FOUND))
    assert class_rows(evaluation) == [("cat", "2", "50.5", "50.0"), ("dog", "3", "83.4", "100.0")]
    assert class_rows(plain) == []
    assert class_comparison({"a": evaluation, "b": measure(TRUTH, without_classes(FOUND))}) == [
        ("cat", "2", "50.5 / 50.0", "-"), ("dog", "3", "83.4 / 100.0", "-")
    ]  # fmt: skip
    content = json.loads(json.dumps(metrics(evaluation), allow_nan=False))
    assert content["classes"]["dog"]["instances"] == 3
    assert content["class_accuracy"] == pytest.approx(80)
    assert not {"classes", "class_accuracy", "class_note"} & set(metrics(plain))
    assert headline(evaluation)["class of detected instances right, %"] == "80.0"
    assert not any("class" in name for name in headline(plain))


def test_diagnosis_works_with_classes():
    diagnosis = diagnose(measure(TRUTH, FOUND))
    # The cat that was taken for a dog is missed, and that dog and the one at D are false alarms.
    assert diagnosis.breakdown.background == 2
    assert diagnosis.breakdown.shares["false negative"] == pytest.approx(20)
    assert diagnosis.corrected_ap["background false positive"] == pytest.approx((100 * 51 / 101 + 100) / 2)


def test_images_without_predictions_or_instances():
    labels = labels_of(([A], [0]), ([], []))
    nothing = Poses.empty(TOTEM, CLASSES)
    evaluation = measure(labels, (nothing, nothing))
    assert evaluation.oks["AP"] == 0
    assert [(each.name, each.ap) for each in evaluation.classes] == [("cat", 0)]
    assert math.isnan(evaluation.class_accuracy)
