"""Planted errors are told for what they are, and putting one kind right mends that kind alone."""

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
from cairn.evaluation.metrics.errors import GOOD, KINDS, NEAR, breakdown, kinds_of, repaired
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
HOPELESS = np.full(2, 5000, np.float32)


def away(similar: float, joint: int, area: float = AREA) -> float:
    """Pixels at which a keypoint is so similar to its label: the definition, solved for d."""
    return float(np.sqrt(-2 * area * np.log(similar)) * 2 * BODY.sigmas[joint])


def annotation(people: list[NDArray], crowd: int = 0) -> Annotation:
    """People, and regions of crowds in the bottom right corner."""
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


def evaluation(labeled: list[NDArray], found: list[NDArray], crowd: int = 0) -> Evaluation:
    image = LabeledImage(0, Path("made.png"), (3000, 3000), annotation(labeled, crowd))
    return measure(Labels(BODY, (image,), np.ones(5, bool)), (poses(found),))


def kinds(labeled: list[NDArray], found: list[NDArray]) -> list[list[str]]:
    return [[KINDS[kind] if kind >= 0 else "-" for kind in row] for row in breakdown(evaluation(labeled, found)).kinds]


def moved(joint: int, by: float) -> NDArray:
    points = PERSON.copy()
    points[joint, 0] += by
    return points


@pytest.mark.parametrize("joint", range(5))
def test_the_limits_of_good_and_jitter_are_the_papers(joint: int) -> None:
    for similar, kind in (
        (GOOD + 0.01, "good"),
        (GOOD - 0.01, "jitter"),
        (NEAR + 0.01, "jitter"),
        (NEAR - 0.01, "miss"),
    ):
        found = moved(joint, away(similar, joint))
        assert kinds([PERSON], [found])[0] == [kind if k == joint else "good" for k in range(5)], similar


def test_left_for_right_is_an_inversion() -> None:
    found = PERSON.copy()
    found[[3, 4]] = found[[4, 3]]
    assert kinds([PERSON], [found]) == [["good", "good", "good", "inversion", "inversion"]]


def test_another_persons_joint_is_a_swap_also_from_the_other_side() -> None:
    other = PERSON + np.array([400, 0], np.float32)
    found = PERSON.copy()
    found[1], found[3] = other[1], other[4]
    assert kinds([PERSON, other], [found, other]) == [["good", "swap", "good", "swap", "good"], ["good"] * 5]


def test_a_joint_without_a_mirror_and_a_place_without_a_label_are_misses() -> None:
    found, unlabeled = PERSON.copy(), PERSON.copy()
    found[0] = PERSON[1]  # a nose on a hand is no mirror's place
    found[3] = PERSON[4]  # where nobody labeled the other foot
    unlabeled[4] = np.nan
    assert kinds([unlabeled], [found]) == [["miss", "good", "good", "miss", "-"]]


def test_what_was_not_found_is_a_miss_and_a_person_that_was_not_is_another_thing() -> None:
    found = PERSON.copy()
    found[2] = np.nan
    far = PERSON + np.array([800, 0], np.float32)
    assert kinds([PERSON, far], [found]) == [["good", "good", "miss", "good", "good"], ["object missed"] * 5]
    assert breakdown(evaluation([PERSON, far], [])).shares["object missed"] == 100


def test_finds_that_are_nobody_count_unless_they_are_where_nobody_labeled() -> None:
    second = PERSON + np.array([4, 0], np.float32)  # a second find of the same person
    nobody = PERSON + np.array([1200, 0], np.float32)
    in_crowd = PERSON + np.array([2150, 2000], np.float32)
    result = evaluation([PERSON], [PERSON, second, nobody, in_crowd], crowd=1)
    assert breakdown(result).background == 2
    assert breakdown(result).shares["good"] == 100


@given(
    arrays(np.float32, (3, 5, 2), elements=st.floats(0, 400, width=32)),
    arrays(np.float32, (4, 5, 2), elements=st.floats(0, 400, width=32)),
    arrays(np.bool_, (3, 5)),
)
def test_kinds_are_as_the_definitions_say_keypoint_by_keypoint(
    truth: NDArray, found: NDArray, labeled: NDArray
) -> None:
    """Against the paper's conditions, written out with loops."""
    labeled = labeled | (np.arange(5) == 0)
    rows = annotation([np.where(seen[:, None], person, np.nan) for person, seen in zip(truth, labeled, strict=True)])
    partner = np.array([2, -1, 0])
    got = kinds_of(rows, poses(list(found)), partner)

    def alike(point: NDArray, person: int, joint: int, sigma: float) -> float:
        if not labeled[person, joint]:
            return 0.0
        distance = float(((point.astype(float) - truth[person, joint].astype(float)) ** 2).sum())
        return float(np.exp(-distance / (2 * AREA * (2 * sigma) ** 2)))

    for person in range(3):
        for joint in range(5):
            mirror, sigma = BODY.flip_order[joint], BODY.sigmas[joint]
            if not labeled[person, joint]:
                expected = -1
            elif partner[person] < 0:
                expected = KINDS.index("object missed")
            else:
                point = found[partner[person], joint]
                own = alike(point, person, joint, sigma)
                inverted = alike(point, person, mirror, sigma) if mirror != joint else 0
                others = [alike(point, q, j, sigma) for q in range(3) if q != person for j in (joint, mirror)]
                if own >= GOOD:
                    expected = KINDS.index("good")
                elif own >= NEAR:
                    expected = KINDS.index("jitter")
                elif max(inverted, *others) < NEAR:
                    expected = KINDS.index("miss")
                else:
                    expected = KINDS.index("inversion" if inverted >= max(others) else "swap")
            assert got[person, joint] == expected


def test_putting_right_the_one_kind_that_was_planted_makes_all_well() -> None:
    pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")
    other = PERSON + np.array([400, 0], np.float32)
    far = PERSON + np.array([800, 0], np.float32)
    inverted = PERSON.copy()
    inverted[[3, 4]] = PERSON[[4, 3]]
    swapped = PERSON.copy()
    swapped[[1, 2]] = other[[1, 2]]
    missed = PERSON.copy()
    missed[0], missed[1] = HOPELESS, np.nan
    plants: dict[str, list[NDArray]] = {
        "jitter": [PERSON + np.array([[away(0.6, joint), 0] for joint in range(5)], np.float32), other],
        "inversion": [inverted, other],
        "swap": [swapped, other],
        "miss": [missed, other],
        "object missed": [other],
        # Surer than whoever is there: otherwise what stands behind all true finds costs no precision.
        "false background": [far, PERSON, other],
    }
    for kind, found in plants.items():
        result = evaluation([PERSON, other], found)
        assert result.oks is not None
        after = repaired(result)
        assert result.oks["AP"] < 99, kind
        assert after.pop(kind) == pytest.approx(100), kind
        assert all(value == pytest.approx(result.oks["AP"]) for value in after.values()), kind


def test_without_oks_nothing_is_said_of_ap() -> None:
    result = replace(evaluation([PERSON], [PERSON]), oks=None)
    assert repaired(result) == {}


def test_similarity_is_the_mean_of_what_keypoints_add() -> None:
    """The breakdown and OKS speak of the same quantity: five joints at one half each are an OKS of one half."""
    found = np.stack([PERSON[k] + np.array([away(0.5, k), 0]) for k in range(5)])[None]
    assert similarity(annotation([PERSON]), found, BODY.sigmas)[0, 0] == pytest.approx(0.5)
