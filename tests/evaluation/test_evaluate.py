"""From a model and labels to figures: pairs, and what each figure stands on."""

import math
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats.coco import read_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.evaluate import (
    Finder,
    evaluate,
    measure,
    measure_error,
    measure_pck,
    pair_objects,
    predict_objects,
)
from cairn.evaluation.protocols import PROTOCOLS, protocol_of
from cairn.inference.model_spec import Task
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from support import DATA

TOY = Skeleton("toy", ("a", "b"), sigmas=(0.1, 0.1))


def image(number: int, points: list, visibility: list, crowd: list | None = None) -> LabeledImage:
    shown = np.array(visibility, np.uint8).reshape(-1, 2)
    keypoints = np.where(shown[..., None] > 0, np.array(points, np.float32).reshape(-1, 2, 2), np.nan)
    boxes = np.array([[0, 0, 30, 40]] * len(shown), np.float32).reshape(-1, 4)
    annotation = Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=shown,
        boxes=boxes,
        areas=np.full(len(shown), 1200, np.float32),
        crowd=np.array(crowd or [False] * len(shown), bool),
    )
    return LabeledImage(number, Path(f"{number}.jpg"), (100, 100), annotation)


# Two objects in the first image with a crowd and an unlabeled object between them; none in the second.
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
    found = ~np.isnan(keypoints).any(axis=-1)
    return Poses(keypoints, found.astype(np.float32), np.ones(len(keypoints), np.float32), TOY)


def test_whole_images_pair_by_similarity_and_missed_objects_stay_empty() -> None:
    near_last = [[51, 50], [math.nan, math.nan]]
    pairs = pair_objects(LABELS, [poses([[[90, 90], [80, 80]], near_last]), poses([])])
    np.testing.assert_array_equal(pairs.images, [0, 0])
    np.testing.assert_array_equal(pairs.truth.keypoints[1], [[50, 50], [60, 50]])
    np.testing.assert_array_equal(pairs.predicted, [np.full((2, 2), np.nan), near_last])
    np.testing.assert_array_equal(pairs.met, [False, True])


def test_crops_pair_row_by_row_and_see_labeled_objects_only() -> None:
    asked = []

    def finder(path: Path, boxes: np.ndarray) -> Poses:
        asked.append((path, len(boxes)))
        return poses([[[0, 0], [1, 1]], [[2, 2], [3, 3]]])

    pairs = pair_objects(LABELS, list(predict_objects(finder, LABELS)), task="crop")
    assert asked == [(Path("5.jpg"), 2)]
    np.testing.assert_array_equal(pairs.predicted, [[[0, 0], [1, 1]], [[2, 2], [3, 3]]])


@pytest.mark.parametrize(
    ("point", "row"),
    [([[12, 9], [math.nan, math.nan]], 0), ([[300, 310], [320, 330]], 1), ([[math.nan] * 2] * 2, None)],
)
def test_the_one_object_of_a_whole_image_is_the_nearest_however_far(point: list, row: int | None) -> None:
    pairs = pair_objects(LABELS, [poses([point]), poses([point])], task="single_instance")
    expected = np.full((2, 2, 2), np.nan)
    if row is not None:
        expected[row] = point
    np.testing.assert_array_equal(pairs.predicted, expected)


def test_a_model_of_the_whole_image_is_not_told_where_the_object_is() -> None:
    def finder(path: Path) -> Poses:  # it takes no boxes
        return poses([[[10, 10], [24, 13]]])

    result = evaluate(finder, LABELS, "single_instance")
    assert (result.oks, result.pck_met) == (None, None)
    np.testing.assert_array_equal(result.pairs.met, [True, False])
    assert (result.pck.value, result.error.missing) == (25, 50)
    assert result.error.value == pytest.approx(5)  # 0 and 5 of 50


def test_several_objects_in_a_whole_image_are_one_line() -> None:
    two = poses([[[10, 10], [24, 13]]] * 2)
    with pytest.raises(LabelError, match=r"5\.jpg: expected one object in the whole image, got 2"):
        pair_objects(LABELS, [two, two], task="single_instance")


def test_figures_by_hand() -> None:
    # Boxes have a diagonal of 50: the keypoints are off by 0, 5 and 10 of 50, and one is not found.
    found = poses([[[10, 10], [23, 14]], [[50, 60], [math.nan, math.nan]]])
    pairs = pair_objects(LABELS, [found, poses([])], task="crop")
    result = measure_pck(pairs, PROTOCOLS["diagonal"], threshold=0.15)
    np.testing.assert_array_equal(result.per_joint, [50, 50])
    assert (result.value, result.unmeasured) == (50, 0)
    assert result.area == pytest.approx((50 + 100 / 6) / 2)  # joint a: 1 and 0; joint b: 1 - 0.1/0.15 and 0
    error = measure_error(pairs, PROTOCOLS["diagonal"])
    np.testing.assert_allclose(error.per_joint, [10, 10])
    assert error.value == pytest.approx(10)
    assert error.missing == 25
    assert error.unmeasured == 0


@pytest.mark.parametrize(("name", "nme"), [("box", 12.5), ("a:b", 50), ("diagonal", 10)])
def test_nme_is_in_the_protocol_s_length(name: str, nme: float) -> None:
    found = poses([[[13, 14], [23, 14]], [[50, 55], [60, 55]]])  # off by 5 everywhere
    result = measure(LABELS, (found, poses([])), protocol=protocol_of(name))
    assert result.error.protocol.name == name
    assert result.error.value == pytest.approx(nme)


def test_left_out_joints_stay_in_the_table_and_out_of_the_mean() -> None:
    body = Skeleton("body", ("pelvis", "left_hip"))
    labels = Labels(body, LABELS.images, LABELS.known)
    rows = np.flatnonzero(labels.images[0].annotation.labeled)
    truth = labels.images[0].annotation
    truth = Annotation(**{**vars(truth), "heads": np.full(len(truth), 10, np.float32)})
    labels = Labels(body, (LabeledImage(1, Path("1.jpg"), (100, 100), truth),), labels.known)
    shifted = truth.keypoints[rows] + np.array([[[40, 0], [0, 0]]], np.float32)
    found = Poses(shifted, np.ones((2, 2), np.float32), np.ones(2, np.float32), body)
    result = measure(labels, (found,), "crop", PROTOCOLS["mpii"])
    np.testing.assert_array_equal(result.pck.per_joint, [0, 100])
    assert result.pck.value == 100
    np.testing.assert_allclose(result.error.per_joint, [80, 0])  # of boxes whose diagonal is 50
    assert result.error.protocol is PROTOCOLS["diagonal"]


def truth_finder(labels: Labels, noise: float = 0.0) -> Finder:
    """A model that knows the answers; noise in units of the root of an object's area."""
    generator = np.random.default_rng(0)
    answers = {image.path: image.annotation for image in labels}

    def finder(path: Path, boxes: np.ndarray | None = None) -> Poses:
        rows = answers[path][np.flatnonzero(answers[path].labeled)]
        error = noise * np.sqrt(rows.areas)[:, None, None] * generator.normal(size=rows.keypoints.shape)
        found = (rows.visibility > 0).astype(np.float32)
        return Poses(
            (rows.keypoints + error).astype(np.float32), found, np.ones(len(rows), np.float32), labels.skeleton
        )

    return finder


@pytest.mark.parametrize("task", ["multi_instance", "crop"])
def test_the_truth_is_worth_a_hundred(task: Task) -> None:
    done: list[int] = []
    result = evaluate(truth_finder(LABELS), LABELS, task, progress=done.append)
    assert done == [1, 2]
    assert (result.pck.value, result.pck.area, result.error.value, result.error.missing) == (100, 100, 0, 0)
    assert result.pck.protocol.name == "diagonal"
    assert result.seconds > 0
    if task == "crop":
        assert result.oks is None
        assert result.pck_met is None
    else:
        assert result.oks is not None
        assert result.oks["AP"] == pytest.approx(100)
        assert result.pck_met is not None
        assert result.pck_met.value == 100


def test_a_missed_object_counts_in_one_pck_and_not_in_the_other() -> None:
    result = measure(LABELS, (poses([[[10, 10], [20, 10]]]), poses([])))
    assert result.pck.value == 50
    assert result.pck_met is not None
    assert result.pck_met.value == 100


def test_nothing_found_is_measured_as_such() -> None:
    result = measure(LABELS, (poses([]), poses([])))
    assert result.pck.value == 0
    assert result.pck_met is None
    assert result.error.missing == 100
    assert math.isnan(result.error.value)


def test_rows_that_do_not_answer_the_boxes_are_one_line() -> None:
    with pytest.raises(LabelError, match=r"5\.jpg has 2 labeled objects, got 1 prediction"):
        pair_objects(LABELS, [poses([[[10, 10], [20, 10]]]), poses([])], task="crop")


@pytest.mark.data
@pytest.mark.parametrize("name", ["coco-people", "lspet", "faces", "flies", "openfield"])
def test_real_sets_with_a_model_that_knows_the_answers(name: str) -> None:
    path = DATA / name / "val.json"
    if not path.is_file():
        pytest.skip(f"no data set at {path}")
    labels = read_coco(path)
    exact, noisy = (evaluate(truth_finder(labels, noise), labels) for noise in (0.0, 0.05))
    assert exact.oks is not None
    assert noisy.oks is not None
    assert exact.oks["AP"] == pytest.approx(100)
    assert 30 < noisy.oks["AP"] < 95
    assert exact.pck.value == 100
    assert 0 < measure_error(noisy.pairs, PROTOCOLS["diagonal"]).value < 10
