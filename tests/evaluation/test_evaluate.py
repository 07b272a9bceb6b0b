"""Pairing, and the metrics of an evaluation, worked by hand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from cairn.datasets.formats.coco import read_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.evaluate import evaluate, measure
from cairn.evaluation.keypoint_metrics import measure_error, measure_pck
from cairn.evaluation.metrics.oks import match
from cairn.evaluation.pairing import pair_instances
from cairn.evaluation.prediction import Predict, predict_all_boxes, predict_in_skeleton
from cairn.evaluation.protocols import PROTOCOLS, protocol_of
from cairn.evaluation.tasks import TASKS
from cairn.inference.model_spec import Task
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from support import DATA

TOY = Skeleton("toy", ("a", "b"), sigmas=(0.1, 0.1))


def image(number: int, points: list, visibility: list, crowd: list | None = None) -> LabeledImage:
    visible = np.array(visibility, np.uint8).reshape(-1, 2)
    keypoints = np.where(visible[..., None] > 0, np.array(points, np.float32).reshape(-1, 2, 2), np.nan)
    boxes = np.array([[0, 0, 30, 40]] * len(visible), np.float32).reshape(-1, 4)
    annotation = Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=visible,
        boxes=boxes,
        areas=np.full(len(visible), 1200, np.float32),
        crowd=np.array(crowd or [False] * len(visible), bool),
    )
    return LabeledImage(number, Path(f"{number}.jpg"), (100, 100), annotation)


# Two instances in the first image, with an unlabeled instance and a crowd between them; none in the second.
LABELS = Labels(
    TOY,
    (
        image(
            5,
            [[[10, 10], [20, 10]], [[1, 1], [2, 2]], [[5, 5], [6, 6]], [[50, 50], [60, 50]]],
            [[2, 2], [0, 0], [2, 2], [2, 1]],
            [False, False, True, False],
        ),
        image(9, [], []),
    ),
    np.ones(2, bool),
)


def poses(points: list) -> Poses:
    keypoints = np.array(points, np.float32).reshape(-1, 2, 2)
    detected = ~np.isnan(keypoints).any(axis=-1)
    return Poses(keypoints, detected.astype(np.float32), np.ones(len(keypoints), np.float32), TOY)


def test_multiple_instances_pair_by_similarity_and_missed_ones_are_nan() -> None:
    near_last = [[51, 50], [math.nan, math.nan]]
    pairs = pair_instances(LABELS, [poses([[[90, 90], [80, 80]], near_last]), poses([])])
    np.testing.assert_array_equal(pairs.images, [0, 0])
    np.testing.assert_array_equal(pairs.ground_truth.keypoints[1], [[50, 50], [60, 50]])
    np.testing.assert_array_equal(pairs.predicted, [np.full((2, 2), np.nan), near_last])
    np.testing.assert_array_equal(pairs.matched, [False, True])


@pytest.mark.parametrize("area", [0.0, 1e-4, 0.3, 1e7])
def test_pairs_and_pck_do_not_depend_on_a_wrong_area(area: float) -> None:
    predictions = [poses([[[12, 10], [21, 11]], [[51, 52], [61, 50]]]), poses([])]
    right = measure_pck(pair_instances(LABELS, predictions), PROTOCOLS["diagonal"], threshold=0.5)
    wrong = []
    for entry in LABELS:
        areas = np.full(len(entry.annotation), area, np.float32)
        wrong.append(replace(entry, annotation=replace(entry.annotation, areas=areas)))
    pairs = pair_instances(replace(LABELS, images=tuple(wrong)), predictions)
    assert pairs.matched.all()
    np.testing.assert_array_equal(measure_pck(pairs, PROTOCOLS["diagonal"], threshold=0.5).errors, right.errors)


def test_possible_areas_pair_as_annotated() -> None:
    """A threshold of OKS between the scales of two areas shows which one was used."""
    rows = LABELS.images[0].annotation[[0]]
    boxes = np.array([[0, 0, 40, 40]], np.float32)
    far = poses([[[20, 17], [30, 17]]])
    matched = {
        area: match(replace(rows, boxes=boxes, areas=np.array([area], np.float32)), far)[0] for area in (60, 1500)
    }
    assert matched == {60: -1, 1500: 0}


def test_crops_pair_row_by_row_and_get_the_boxes_of_labeled_instances() -> None:
    calls = []

    def predict(path: Path, boxes: np.ndarray) -> Poses:
        calls.append((path, len(boxes)))
        return poses([[[0, 0], [1, 1]], [[2, 2], [3, 3]]])

    pairs = pair_instances(LABELS, list(predict_all_boxes(predict, LABELS)), task="crop")
    assert calls == [(Path("5.jpg"), 2)]
    np.testing.assert_array_equal(pairs.predicted, [[[0, 0], [1, 1]], [[2, 2], [3, 3]]])


@pytest.mark.parametrize(
    ("point", "row"),
    [([[12, 9], [math.nan, math.nan]], 0), ([[300, 310], [320, 330]], 1), ([[math.nan] * 2] * 2, None)],
)
def test_a_single_instance_pairs_with_the_nearest_label_at_any_distance(point: list, row: int | None) -> None:
    pairs = pair_instances(LABELS, [poses([point]), poses([point])], task="single_instance")
    expected = np.full((2, 2, 2), np.nan)
    if row is not None:
        expected[row] = point
    np.testing.assert_array_equal(pairs.predicted, expected)


def test_a_single_instance_model_gets_no_boxes() -> None:
    def predict(path: Path) -> Poses:  # takes no boxes
        return poses([[[10, 10], [24, 13]]])

    result = evaluate(predict, LABELS, "single_instance")
    assert (result.oks, result.pck_detected) == (None, None)
    np.testing.assert_array_equal(result.pairs.matched, [True, False])
    assert (result.pck.value, result.error.not_detected) == (25, 50)
    assert result.error.value == pytest.approx(5)  # 0 and 5 of 50


def test_several_predictions_of_a_single_instance_are_an_error() -> None:
    two = poses([[[10, 10], [24, 13]]] * 2)
    with pytest.raises(LabelError, match=r"5\.jpg: expected at most one predicted instance per image, got 2"):
        pair_instances(LABELS, [two, two], task="single_instance")


def test_metrics_by_hand() -> None:
    # Boxes have a diagonal of 50: the keypoints are off by 0, 5 and 10 of 50, and one is not detected.
    predicted = poses([[[10, 10], [23, 14]], [[50, 60], [math.nan, math.nan]]])
    pairs = pair_instances(LABELS, [predicted, poses([])], task="crop")
    result = measure_pck(pairs, PROTOCOLS["diagonal"], threshold=0.15)
    np.testing.assert_array_equal(result.per_joint, [50, 50])
    assert (result.value, result.unmeasured) == (50, 0)
    assert result.area == pytest.approx((50 + 100 / 6) / 2)  # joint a: 1 and 0; joint b: 1 - 0.1/0.15 and 0
    error = measure_error(pairs, PROTOCOLS["diagonal"])
    np.testing.assert_allclose(error.per_joint, [10, 10])
    assert error.value == pytest.approx(10)
    assert error.not_detected == 25
    assert error.unmeasured == 0


@pytest.mark.parametrize(("name", "nme"), [("box", 12.5), ("a:b", 50), ("diagonal", 10)])
def test_nme_uses_the_reference_length_of_the_protocol(name: str, nme: float) -> None:
    predicted = poses([[[13, 14], [23, 14]], [[50, 55], [60, 55]]])  # off by 5 everywhere
    result = measure(LABELS, (predicted, poses([])), protocol=protocol_of(name))
    assert result.error.protocol.name == name
    assert result.error.value == pytest.approx(nme)


def test_ignored_joints_are_in_the_table_but_not_in_the_mean() -> None:
    body = Skeleton("body", ("pelvis", "left_hip"))
    labels = Labels(body, LABELS.images, LABELS.labeled_joints)
    rows = np.flatnonzero(labels.images[0].annotation.labeled)
    annotation = labels.images[0].annotation
    annotation = Annotation(**{**vars(annotation), "heads": np.full(len(annotation), 10, np.float32)})
    labels = Labels(body, (LabeledImage(1, Path("1.jpg"), (100, 100), annotation),), labels.labeled_joints)
    shifted = annotation.keypoints[rows] + np.array([[[40, 0], [0, 0]]], np.float32)
    predicted = Poses(shifted, np.ones((2, 2), np.float32), np.ones(2, np.float32), body)
    result = measure(labels, (predicted,), "crop", PROTOCOLS["mpii"])
    np.testing.assert_array_equal(result.pck.per_joint, [0, 100])
    assert result.pck.value == 100
    np.testing.assert_allclose(result.error.per_joint, [80, 0])  # of boxes whose diagonal is 50
    assert result.error.protocol is PROTOCOLS["diagonal"]


def oracle(labels: Labels, noise: float = 0.0) -> Predict:
    """A predictor that returns the ground truth with noise, in units of the square root of the instance area."""
    generator = np.random.default_rng(0)
    annotations = {image.path: image.annotation for image in labels}

    def predict(path: Path, boxes: np.ndarray | None = None) -> Poses:
        rows = annotations[path][np.flatnonzero(annotations[path].labeled)]
        error = noise * np.sqrt(rows.areas)[:, None, None] * generator.normal(size=rows.keypoints.shape)
        confidence = (rows.visibility > 0).astype(np.float32)
        return Poses(
            (rows.keypoints + error).astype(np.float32), confidence, np.ones(len(rows), np.float32), labels.skeleton
        )

    return predict


@pytest.mark.parametrize("task", ["multi_instance", "crop"])
def test_ground_truth_scores_100(task: Task) -> None:
    done: list[int] = []
    result = evaluate(oracle(LABELS), LABELS, task, progress=done.append)
    assert done == [1, 2]
    assert (result.pck.value, result.pck.area, result.error.value, result.error.not_detected) == (100, 100, 0, 0)
    assert result.pck.protocol.name == "diagonal"
    assert result.seconds > 0
    if task == "crop":
        assert result.oks is None
        assert result.pck_detected is None
    else:
        assert result.oks is not None
        assert result.oks["AP"] == pytest.approx(100)
        assert result.pck_detected is not None
        assert result.pck_detected.value == 100


def test_a_missed_instance_lowers_pck_but_not_pck_of_detected_instances() -> None:
    result = measure(LABELS, (poses([[[10, 10], [20, 10]]]), poses([])))
    assert result.pck.value == 50
    assert result.pck_detected is not None
    assert result.pck_detected.value == 100


def test_no_detections_give_zero_pck_and_no_nme() -> None:
    result = measure(LABELS, (poses([]), poses([])))
    assert result.pck.value == 0
    assert result.pck_detected is None
    assert result.error.not_detected == 100
    assert math.isnan(result.error.value)


def test_a_wrong_number_of_predictions_for_boxes_is_an_error() -> None:
    with pytest.raises(LabelError, match=r"5\.jpg: expected one prediction for each of 2 labeled instances, got 1"):
        pair_instances(LABELS, [poses([[[10, 10], [20, 10]]]), poses([])], task="crop")


def test_every_task_has_an_evaluation() -> None:
    assert set(TASKS) == set(get_args(Task))


def test_predictions_are_mapped_to_the_skeleton_of_the_labels() -> None:
    reverse = Skeleton("reverse", ("b", "c", "a"))
    predicted = Poses(
        np.array([[[1, 2], [3, 4], [5, 6]]], np.float32), np.ones((1, 3), np.float32), np.ones(1, np.float32), reverse
    )
    mapped = predict_in_skeleton(lambda path: predicted, reverse, LABELS)(Path("5.jpg"))
    assert mapped.skeleton is TOY
    np.testing.assert_array_equal(mapped.keypoints, [[[5, 6], [1, 2]]])
    with pytest.raises(LabelError, match="keypoints of toy that the model's skeleton other does not have: b"):
        predict_in_skeleton(lambda path: predicted, Skeleton("other", ("a",)), LABELS)


@pytest.mark.data
@pytest.mark.parametrize("name", ["coco-people", "lspet", "faces", "flies", "openfield"])
def test_an_oracle_on_real_data_sets(name: str) -> None:
    path = DATA / name / "val.json"
    if not path.is_file():
        pytest.skip(f"no data set at {path}")
    labels = read_coco(path)
    exact, noisy = (evaluate(oracle(labels, noise), labels) for noise in (0.0, 0.05))
    assert exact.oks is not None
    assert noisy.oks is not None
    assert exact.oks["AP"] == pytest.approx(100)
    assert 30 < noisy.oks["AP"] < 95
    assert exact.pck.value == 100
    assert 0 < measure_error(noisy.pairs, PROTOCOLS["diagonal"]).value < 10
