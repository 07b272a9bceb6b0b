"""Laws of linear regression from landmarks to points, on made examples: closed forms against refits."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.protocols import PROTOCOLS, protocol_of
from cairn.methods.landmarks.regression import CROSS_PENALTY, NEAR, RIDGES
from cairn.methods.landmarks.teaching import DRAWS, FOLDS, Examples, default_length, error, examples_of, fit, table
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=15)
ENDS = Skeleton("ends", ("left_end", "right_end", "top"))
SIDE = 101  # of every image: the middle is pixel 50, half a side 50.5
DIAGONAL = protocol_of("diagonal")


def truth_of(points: NDArray) -> Annotation:
    """points (M, 2N) from -1 to 1 -> annotated instances in pixels, with boxes of diagonal 50."""
    keypoints = (points.reshape(len(points), points.shape[1] // 2, 2) * SIDE / 2 + (SIDE - 1) / 2).astype(np.float32)
    return Annotation(
        keypoints,
        np.where(np.isfinite(keypoints).all(-1), 2, 0).astype(np.uint8),
        np.tile(np.array([10, 10, 30, 40], np.float32), (len(points), 1)),
        np.ones(len(points), np.float32),
        np.zeros(len(points), bool),
    )


def examples(landmarks: NDArray, points: NDArray, joints: Skeleton = ENDS) -> Examples:
    count = len(landmarks)
    middle, half = np.full((count, 2), (SIDE - 1) / 2), np.full(count, SIDE / 2)
    return Examples(landmarks, points, truth_of(points), middle, half, joints)


def made(seed: int, count: int, noise: float = 0.0, offset: float = 0.0, landmarks: int = 4) -> Examples:
    """Points that are linear in landmarks, and noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.4, (count, 2 * landmarks))
    matrix = np.random.default_rng(99).normal(0, 0.5, (2 * landmarks, 6))
    return examples(x, x @ matrix + offset + noise * rng.normal(0, 1, (count, 6)))


def ridge_by_hand(
    x: NDArray, y: NDArray, penalty: float, places: tuple[NDArray, NDArray] | None = None
) -> tuple[NDArray, NDArray]:
    """The matrix and offset that minimize the squares of errors and, times `penalty`, those of what the matrix
    departs by from weights of nearby landmarks: the farther a landmark, the dearer. places: where they are taken to be.
    """
    mean, offset = x.mean(axis=0), y.mean(axis=0)
    landmark, place = places or (mean, offset)
    matrix = np.zeros((len(mean), len(offset)))
    for point in range(len(offset) // 2):
        away = [
            sum((landmark[2 * k + axis] - place[2 * point + axis]) ** 2 for axis in range(2)) / NEAR**2
            for k in range(len(mean) // 2)
        ]
        share = np.exp(-np.array(away) / 2) / np.exp(-np.array(away) / 2).sum()
        for axis in range(2):
            guess, dear = np.zeros(len(mean)), np.zeros(len(mean))
            for k in range(len(mean) // 2):
                guess[2 * k + axis] = share[k]
                dear[2 * k + axis], dear[2 * k + 1 - axis] = 1 + away[k], CROSS_PENALTY * (1 + away[k])
            centerd, column = x - mean, y[:, 2 * point + axis] - offset[2 * point + axis]
            change = np.linalg.solve(
                centerd.T @ centerd + penalty * np.diag(dear), centerd.T @ (column - centerd @ guess)
            )
            matrix[:, 2 * point + axis] = guess + change
    return matrix, offset - mean @ matrix


def shaken(seed: int, count: int) -> Examples:
    """Fifteen landmarks on an object that moves as a whole, each with noise of its own; points beside three of them."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(98).uniform(-0.7, 0.7, (15, 2))
    moves = rng.normal(0, 0.2, (count, 1, 2))
    found = places + moves + rng.normal(0, 0.05, (count, 15, 2))
    points = places[:3] + 0.02 + moves
    return examples(found.reshape(count, -1), points.reshape(count, -1))


@FEW
@given(SEEDS, st.integers(8, 40))
def test_a_linear_map_is_recovered_exactly(seed: int, count: int) -> None:
    train, other = made(seed, count), made(seed + 1, 10)
    regressor = fit(train, "paper")
    assert np.allclose(regressor(other.landmarks), other.points, atol=1e-6)
    assert not regressor.offset.any()
    assert error(regressor, other, DIAGONAL) < 1e-3


def test_only_the_ridge_has_a_bias() -> None:
    train, other = made(0, 200, offset=0.3), made(1, 50, offset=0.3)
    assert error(fit(train, "ridge"), other, DIAGONAL) < 0.05
    assert error(fit(train, "paper"), other, DIAGONAL) > 5


@FEW
@given(SEEDS, st.integers(2, 15), st.floats(0.01, 2))
def test_the_selected_ridge_minimizes_the_leave_one_out_error_of_refits(seed: int, count: int, noise: float) -> None:
    train = made(seed, count, noise, offset=0.2)
    x, y = train.landmarks, train.points
    places = x.mean(axis=0), y.mean(axis=0)

    def left_out(ridge: float) -> float:
        squares = []
        for i in range(count):
            others = np.arange(count) != i
            matrix, offset = ridge_by_hand(x[others], y[others], ridge * count, places)
            squares.append(np.square(x[i] @ matrix + offset - y[i]))
        return float(np.mean(squares))

    errors = [left_out(ridge) for ridge in RIDGES]
    regressor = fit(train, "ridge")
    candidates = [ridge_by_hand(x, y, ridge * count) for ridge in RIDGES]
    chosen = int(np.argmin([np.abs(matrix - regressor.matrix).max() for matrix, _ in candidates]))
    assert np.allclose(regressor.matrix, candidates[chosen][0], atol=1e-8)
    assert np.allclose(regressor.offset, candidates[chosen][1], atol=1e-8)
    assert errors[chosen] == pytest.approx(min(errors), rel=1e-6)


def test_noise_raises_the_penalty_and_helps_with_few_labels() -> None:
    train, other = shaken(2, 35), shaken(3, 200)
    assert error(fit(train, "ridge"), other, DIAGONAL) < 0.9 * error(fit(train, "paper"), other, DIAGONAL)


@pytest.mark.parametrize("kind", ["paper", "ridge"])
def test_a_point_is_fitted_on_the_images_in_which_it_is_labeled(kind: str) -> None:
    whole = made(4, 30, noise=0.1)
    points = whole.points.copy()
    points[:12, 2:4] = np.nan
    partly = fit(replace(whole, points=points), kind)
    # One ridge is selected for all points that are labeled in the same images.
    alone = {tuple(columns): replace(whole, points=whole.points[:, columns]) for columns in ([2, 3], [0, 1, 4, 5])}
    for columns, rows in (((2, 3), np.arange(12, 30)), ((0, 1, 4, 5), np.arange(30))):
        some = replace(alone[columns][rows], skeleton=Skeleton("some", ENDS.joints[: len(columns) // 2]))
        assert np.allclose(partly.matrix[:, columns], fit(some, kind).matrix)
        assert np.allclose(partly.offset[list(columns)], fit(some, kind).offset)
    assert np.isfinite(partly.matrix).all()


def test_a_point_without_labels_is_named_in_the_error() -> None:
    whole = made(5, 8)
    points = whole.points.copy()
    points[:, 2:4] = np.nan
    with pytest.raises(LabelError, match=r"^right_end is labeled in no image$"):
        fit(replace(whole, points=points), "paper")


def test_one_image_is_reproduced_exactly() -> None:
    one = made(6, 1)
    assert np.allclose(fit(one, "paper")(one.landmarks), one.points)
    ridge = fit(one, "ridge")
    assert np.allclose(ridge(one.landmarks), one.points)
    moved = one.landmarks + np.tile([0.1, -0.2], one.landmarks.shape[1] // 2)
    assert np.allclose(ridge(moved), one.points + np.tile([0.1, -0.2], 3))  # points move with nearby landmarks


def test_the_error_is_in_percent_of_the_length() -> None:
    some = made(8, 20)
    regressor = fit(some, "paper")
    off = replace(regressor, offset=np.tile([3 / SIDE * 2, 4 / SIDE * 2], 3))  # five pixels away, of 50
    assert error(off, some, DIAGONAL) == pytest.approx(10, rel=1e-4)
    points = some.points.copy()
    points[3, :2] = np.nan
    assert error(off, replace(some, points=points, ground_truth=truth_of(points)), DIAGONAL) == pytest.approx(
        10, rel=1e-4
    )


def test_a_table_on_validation_labels_ends_with_the_full_fit() -> None:
    train, val = made(9, 60, noise=0.1), made(10, 200, noise=0.1)
    rows = table(train, val, "paper", DIAGONAL, seed=0)
    assert [row.count for row in rows] == [1, 5, 10, 20, 50, 60]
    assert [row.draws for row in rows] == [DRAWS] * 5 + [1]
    assert rows[-1].mean == error(fit(train, "paper"), val, DIAGONAL)
    assert rows[-1].mean < rows[2].mean
    assert all(row.deviation > 0 for row in rows[:-1])
    assert rows == table(train, val, "paper", DIAGONAL, seed=0) != table(train, val, "paper", DIAGONAL, seed=1)


def test_a_table_without_validation_labels_measures_on_held_out_images() -> None:
    train = made(11, 40, noise=0.1)
    rows = table(train, None, "ridge", DIAGONAL, seed=0)
    assert [row.count for row in rows] == [1, 5, 10, 20, 40]
    assert rows[-1].draws == FOLDS
    others = error(fit(train, "ridge"), made(12, 400, noise=0.1), DIAGONAL)
    assert rows[-1].mean == pytest.approx(others, rel=0.25)
    itself = error(fit(train, "paper"), train, DIAGONAL)
    assert table(train, None, "paper", DIAGONAL, seed=0)[-1].mean > 1.1 * itself  # the training error is optimistic


def test_a_table_of_few_labels_has_few_rows() -> None:
    assert table(made(13, 1), None, "paper", DIAGONAL, 0) == []
    assert [row.count for row in table(made(13, 3), None, "paper", DIAGONAL, 0)] == [1]
    assert [row.count for row in table(made(13, 5), None, "paper", DIAGONAL, 0)] == [1, 5]
    assert [row.count for row in table(made(13, 3), made(14, 4), "paper", DIAGONAL, 0)] == [1, 3]


def test_draws_that_do_not_label_every_point_are_skipped() -> None:
    whole = made(15, 20)
    points = whole.points.copy()
    points[1:, :2] = np.nan  # a point that is labeled in the first image only
    rows = table(replace(whole, points=points), made(16, 5), "paper", DIAGONAL, 0)
    assert [row.count for row in rows][-2:] == [10, 20]
    assert rows[-2].draws < DRAWS
    assert all(np.isfinite(row.mean) for row in rows)


class Predictor:
    """Predicts two landmarks: the center of the image and its bottom right corner."""

    def __call__(self, path: object) -> Poses:
        height, width = (60, 100)
        keypoints = np.array([[[(width - 1) / 2, (height - 1) / 2], [width - 0.5, height - 0.5]]], np.float32)
        return Poses(keypoints, np.ones((1, 2), np.float32), np.ones(1, np.float32), Skeleton("two", ("a", "b")))


def labels_of(*counts: int) -> Labels:
    """Images of 100 x 60 with so many instances each, the first joint at the top left corner of the image."""
    images = []
    for i, count in enumerate(counts):
        keypoints = np.tile(np.array([[[-0.5, -0.5], [49.5, 29.5], [np.nan, np.nan]]], np.float32), (count, 1, 1))
        annotation = replace(truth_of(np.zeros((count, 6))), keypoints=keypoints)
        annotation.visibility[:, 2] = 0
        images.append(LabeledImage(i, f"{i}.png", (60, 100), annotation))  # type: ignore[arg-type]
    return Labels(ENDS, tuple(images), np.ones(3, bool))


def test_landmarks_and_points_are_relative_to_the_square_around_the_image(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "cairn"):
        examples = examples_of(Predictor(), labels_of(1, 0, 2, 1))  # type: ignore[arg-type]
    assert caplog.messages == ["2 images without exactly one annotated instance are skipped"]
    assert len(examples) == len(examples.ground_truth) == 2
    assert np.allclose(examples.landmarks, [[0, 0, 1, 0.6]] * 2)
    assert np.allclose(examples.points, [[-1, -0.6, 0, 0, np.nan, np.nan]] * 2, equal_nan=True)
    assert np.allclose(examples.half, 50)
    assert len(examples[np.array([1])]) == 1


def test_labels_with_several_instances_per_image_raise() -> None:
    with pytest.raises(LabelError, match="no image has exactly one annotated instance"):
        examples_of(Predictor(), labels_of(2, 2, 0))  # type: ignore[arg-type]


def test_the_default_length_is_the_published_one() -> None:
    assert default_length(made(17, 4)) == PROTOCOLS["diagonal"]
    rng = np.random.default_rng(0)
    faces = examples(rng.normal(size=(4, 8)), rng.normal(size=(4, 10)), load_skeleton("face5"))
    assert default_length(faces) == PROTOCOLS["eyes"]
