"""Planted errors have the right type, and correcting one type changes that type only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.evaluate import Evaluation, measure
from cairn.evaluation.metrics.errors import ERROR_TYPES, GOOD, NEAR, breakdown, corrected_ap, error_types
from cairn.evaluation.metrics.oks import similarity
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

BODY = Skeleton(
    "body",
    ("nose", "left_hand", "right_hand", "left_foot", "right_foot"),
    flip_pairs=((1, 2), (3, 4)),
    sigmas=(0.03, 0.06, 0.06, 0.09, 0.09),
)
PERSON = np.array([[100, 100], [160, 150], [40, 150], [150, 300], [50, 300]], np.float32)
AREA = 40_000.0
FAR = np.full(2, 5000, np.float32)


def away(similar: float, joint: int, area: float = AREA) -> float:
    """Distance in pixels of a given keypoint similarity: the definition, solved for d."""
    return float(np.sqrt(-2 * area * np.log(similar)) * 2 * BODY.sigmas[joint])


def annotation(people: list[NDArray], crowd: int = 0) -> Annotation:
    """People, and crowd regions in the bottom right corner."""
    points = np.stack([*people, *[np.full_like(PERSON, np.nan)] * crowd])
    count = len(points)
    boxes = np.array([[0, 0, 200, 400]] * len(people) + [[2000, 2000, 500, 500]] * crowd, np.float32)
    return Annotation(
        keypoints=points,
        visibility=np.where(np.isnan(points[..., 0]), 0, 2).astype(np.uint8),
        boxes=boxes,
        areas=np.full(count, AREA, np.float32),
        crowd=np.arange(count) >= len(people),
    )


def poses(people: list[NDArray]) -> Poses:
    points = np.stack(people).astype(np.float32) if people else np.zeros((0, 5, 2), np.float32)
    confidence = np.isfinite(points[..., 0]).astype(np.float32)
    return Poses(points, confidence, np.linspace(1, 0.5, len(points), dtype=np.float32), BODY)


def evaluation(labeled: list[NDArray], predicted: list[NDArray], crowd: int = 0) -> Evaluation:
    image = LabeledImage(0, Path("made.png"), (3000, 3000), annotation(labeled, crowd))
    return measure(Labels(BODY, (image,), np.ones(5, bool)), (poses(predicted),))


def types(labeled: list[NDArray], predicted: list[NDArray]) -> list[list[str]]:
    result = breakdown(evaluation(labeled, predicted)).types
    return [[ERROR_TYPES[index] if index >= 0 else "-" for index in row] for row in result]


def moved(joint: int, by: float) -> NDArray:
    points = PERSON.copy()
    points[joint, 0] += by
    return points


@pytest.mark.parametrize("joint", range(5))
def test_thresholds_of_good_and_jitter_are_those_of_the_paper(joint: int) -> None:
    for similar, name in (
        (GOOD + 0.01, "good"),
        (GOOD - 0.01, "jitter"),
        (NEAR + 0.01, "jitter"),
        (NEAR - 0.01, "miss"),
    ):
        predicted = moved(joint, away(similar, joint))
        assert types([PERSON], [predicted])[0] == [name if k == joint else "good" for k in range(5)], similar


def test_left_right_confusion_is_an_inversion() -> None:
    predicted = PERSON.copy()
    predicted[[3, 4]] = predicted[[4, 3]]
    assert types([PERSON], [predicted]) == [["good", "good", "good", "inversion", "inversion"]]


def test_a_joint_of_another_person_is_a_swap_also_if_flipped() -> None:
    other = PERSON + np.array([400, 0], np.float32)
    predicted = PERSON.copy()
    predicted[1], predicted[3] = other[1], other[4]
    assert types([PERSON, other], [predicted, other]) == [["good", "swap", "good", "swap", "good"], ["good"] * 5]


def test_a_joint_without_counterpart_and_a_location_without_label_are_misses() -> None:
    predicted, unlabeled = PERSON.copy(), PERSON.copy()
    predicted[0] = PERSON[1]  # a nose has no left-right counterpart
    predicted[3] = PERSON[4]  # the other foot is not labeled
    unlabeled[4] = np.nan
    assert types([unlabeled], [predicted]) == [["miss", "good", "good", "miss", "-"]]


def test_an_undetected_joint_is_a_miss_and_an_undetected_person_a_false_negative() -> None:
    predicted = PERSON.copy()
    predicted[2] = np.nan
    far = PERSON + np.array([800, 0], np.float32)
    assert types([PERSON, far], [predicted]) == [["good", "good", "miss", "good", "good"], ["false negative"] * 5]
    assert breakdown(evaluation([PERSON, far], [])).shares["false negative"] == 100


def test_background_false_positives_count_outside_crowds() -> None:
    second = PERSON + np.array([4, 0], np.float32)  # a second prediction of the same person
    background = PERSON + np.array([1200, 0], np.float32)
    in_crowd = PERSON + np.array([2150, 2000], np.float32)
    result = evaluation([PERSON], [PERSON, second, background, in_crowd], crowd=1)
    assert breakdown(result).background == 2
    assert breakdown(result).shares["good"] == 100


@given(
    arrays(np.float32, (3, 5, 2), elements=st.floats(0, 400, width=32)),
    arrays(np.float32, (4, 5, 2), elements=st.floats(0, 400, width=32)),
    arrays(np.bool_, (3, 5)),
)
def test_types_equal_the_definitions_keypoint_by_keypoint(
    points: NDArray, predicted: NDArray, labeled: NDArray
) -> None:
    """Against the paper's conditions, written out with loops."""
    labeled = labeled | (np.arange(5) == 0)
    rows = annotation(
        [np.where(joints[:, None], person, np.nan) for person, joints in zip(points, labeled, strict=True)]
    )
    partner = np.array([2, -1, 0])
    got = error_types(rows, poses(list(predicted)), partner)

    def keypoint_similarity(point: NDArray, person: int, joint: int, sigma: float) -> float:
        if not labeled[person, joint]:
            return 0.0
        distance = float(((point.astype(float) - points[person, joint].astype(float)) ** 2).sum())
        return float(np.exp(-distance / (2 * AREA * (2 * sigma) ** 2)))

    for person in range(3):
        for joint in range(5):
            mirror, sigma = BODY.flip_order[joint], BODY.sigmas[joint]
            if not labeled[person, joint]:
                expected = -1
            elif partner[person] < 0:
                expected = ERROR_TYPES.index("false negative")
            else:
                point = predicted[partner[person], joint]
                own = keypoint_similarity(point, person, joint, sigma)
                inverted = keypoint_similarity(point, person, mirror, sigma) if mirror != joint else 0
                others = [
                    keypoint_similarity(point, q, j, sigma) for q in range(3) if q != person for j in (joint, mirror)
                ]
                if own >= GOOD:
                    expected = ERROR_TYPES.index("good")
                elif own >= NEAR:
                    expected = ERROR_TYPES.index("jitter")
                elif max(inverted, *others) < NEAR:
                    expected = ERROR_TYPES.index("miss")
                else:
                    expected = ERROR_TYPES.index("inversion" if inverted >= max(others) else "swap")
            assert got[person, joint] == expected


def test_correcting_the_planted_type_gives_ap_100() -> None:
    pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")
    other = PERSON + np.array([400, 0], np.float32)
    far = PERSON + np.array([800, 0], np.float32)
    inverted = PERSON.copy()
    inverted[[3, 4]] = PERSON[[4, 3]]
    swapped = PERSON.copy()
    swapped[[1, 2]] = other[[1, 2]]
    missed = PERSON.copy()
    missed[0], missed[1] = FAR, np.nan
    plants: dict[str, list[NDArray]] = {
        "jitter": [PERSON + np.array([[away(0.6, joint), 0] for joint in range(5)], np.float32), other],
        "inversion": [inverted, other],
        "swap": [swapped, other],
        "miss": [missed, other],
        "false negative": [other],
        # Listed first, so with the highest score: a false positive below all true positives costs no AP.
        "background false positive": [far, PERSON, other],
    }
    for name, predicted in plants.items():
        result = evaluation([PERSON, other], predicted)
        assert result.oks is not None
        after = corrected_ap(result)
        assert result.oks["AP"] < 99, name
        assert after.pop(name) == pytest.approx(100), name
        assert all(value == pytest.approx(result.oks["AP"]) for value in after.values()), name


def test_without_oks_there_is_no_corrected_ap() -> None:
    result = replace(evaluation([PERSON], [PERSON]), oks=None)
    assert corrected_ap(result) == {}


def test_oks_is_the_mean_of_keypoint_similarities() -> None:
    """Five joints with a similarity of 0.5 each give an OKS of 0.5."""
    predicted = np.stack([PERSON[k] + np.array([away(0.5, k), 0]) for k in range(5)])[None]
    assert similarity(annotation([PERSON]), predicted, BODY.sigmas)[0, 0] == pytest.approx(0.5)
