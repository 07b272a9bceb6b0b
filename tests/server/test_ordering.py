"""The order in which images are labeled."""

import numpy as np
import pytest

from cairn.server.ordering import FIRST, Uncertainty, helpful_order, normalized

SURE = Uncertainty(0.95, 0.02, 1)


def look(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def test_low_confidence_comes_first() -> None:
    doubts = {1: SURE, 2: Uncertainty(0.3, 0.02, 1), 3: Uncertainty(0.6, 0.02, 1)}
    assert helpful_order([1, 2, 3], [], doubts, {}) == [2, 3, 1]


def test_disagreement_with_the_mirror_image_comes_first() -> None:
    assert helpful_order([1, 2], [], {1: SURE, 2: Uncertainty(0.95, 0.8, 1)}, {}) == [2, 1]


def test_an_image_without_detections_is_the_most_uncertain() -> None:
    assert helpful_order([1, 2], [], {1: Uncertainty(0.1, 0.9, 2), 2: Uncertainty(0.0, 0.0, 0)}, {}) == [2, 1]


def test_neighboring_frames_do_not_follow_one_another() -> None:
    looks = {1: look(1, 0, 0), 2: look(1, 0.01, 0), 3: look(0, 1, 0), 4: look(0, 1, 0.01)}
    doubts = {image: Uncertainty(0.5 - 0.01 * image, 0.1, 1) for image in looks}
    order = helpful_order([1, 2, 3, 4], [], doubts, looks)
    assert {order[0], order[1]} in ({2, 4}, {1, 3}, {1, 4}, {2, 3})


def test_an_image_like_a_labeled_one_comes_last() -> None:
    looks = {1: look(1, 0), 2: look(0, 1), 3: look(1, 0.02)}
    doubts = {1: SURE, 2: SURE}
    assert helpful_order([1, 2], [3], doubts, looks) == [2, 1]


@pytest.mark.parametrize("count", [0, 1, 7, FIRST + 30])
def test_every_image_occurs_once(count: int) -> None:
    rng = np.random.default_rng(0)
    images = list(range(1, count + 1))
    looks = {image: look(*rng.normal(size=4)) for image in images if image % 3}
    doubts = {image: Uncertainty(rng.random(), rng.random(), 1) for image in images if image % 2}
    assert sorted(helpful_order(images, [], doubts, looks)) == images


def test_thumbnails_have_mean_zero_and_norm_one() -> None:
    vector = normalized(bytes(range(16)).hex())
    assert vector is not None
    assert vector.mean() == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert normalized("") is None
    flat = normalized("07" * 16)
    assert flat is not None
    assert not flat.any()


def test_reasons_name_what_is_uncertain() -> None:
    assert Uncertainty(0, 0, 0).reason == "nothing detected"
    assert Uncertainty(0.9, 0.7, 1).reason == "flips disagree"
    assert Uncertainty(0.4, 0.1, 1).reason == "confidence 40%"
    assert SURE.reason == ""
