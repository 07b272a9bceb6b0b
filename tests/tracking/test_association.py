"""Association: tracks continue with similar detections, and tracks with an ID come first."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.tracking.association import Detections, associate, association_gains
from cairn.tracking.motion import Tracks

SEEDS = st.integers(0, 2**32 - 1)
TOLERANCE = np.full(3, 0.05**2)


def instances(centers: np.ndarray) -> np.ndarray:
    """Triangles (N, 3, 2) of about 20 pixels."""
    return np.asarray(centers, float)[:, None] + np.array([[-10.0, 0], [10, 0], [0, 15]])


def detections(centers: np.ndarray, confident: bool = True, appearance: np.ndarray | None = None) -> Detections:
    """Detections of equal confidence, without appearance by default."""
    points = instances(centers)
    count = len(points)
    looks = np.zeros((count, 0, 4)) if appearance is None else appearance
    return Detections(
        points, np.ones(points.shape[:2]), np.full(count, confident), np.ones(count), looks, np.zeros(count, bool)
    )


@given(SEEDS, st.integers(0, 5))
def test_far_apart_instances_are_associated_in_any_order(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    centers = np.arange(count)[:, None] * np.array([300.0, 100])
    tracks = replace(Tracks.started(instances(centers), 0.0), ids=np.arange(1, count + 1)).predicted(0.04)
    order = rng.permutation(count)
    partner = associate(tracks, detections((centers + rng.normal(0, 1, (count, 2)))[order]), 0.04, TOLERANCE)
    assert order[partner].tolist() == list(range(count))


def test_dissimilar_instances_have_no_gain_and_no_partner() -> None:
    tracks = replace(Tracks.started(instances(np.array([[0.0, 0]])), 0.0), ids=np.array([1])).predicted(0.04)
    far = detections(np.array([[1000.0, 0]]))
    assert association_gains(tracks, far, 0.04, TOLERANCE).tolist() == [[0.0]]
    assert associate(tracks, far, 0.04, TOLERANCE).tolist() == [-1]


def test_a_track_with_an_id_comes_before_a_tentative_one() -> None:
    tracks = Tracks.started(instances(np.array([[0.0, 0], [3, 0]])), 0.0).predicted(0.04)
    detection = detections(np.array([[3.0, 0]]))  # exactly the second track's position
    assert associate(tracks, detection, 0.04, TOLERANCE).tolist() == [-1, 0]
    assert associate(replace(tracks, ids=np.array([1, -1])), detection, 0.04, TOLERANCE).tolist() == [0, -1]


def test_a_confident_detection_comes_before_a_nearer_one_of_low_confidence() -> None:
    tracks = replace(Tracks.started(instances(np.array([[0.0, 0]])), 0.0), ids=np.array([1])).predicted(0.04)
    both = detections(np.array([[0.0, 0], [2, 0]]))
    assert associate(tracks, both, 0.04, TOLERANCE).tolist() == [0]
    assert associate(tracks, replace(both, confident=np.array([False, True])), 0.04, TOLERANCE).tolist() == [1]
    assert associate(tracks, replace(both, confident=np.array([False, False])), 0.04, TOLERANCE).tolist() == [0]


def test_a_lost_track_needs_more_to_continue_than_one_of_the_previous_image() -> None:
    looks = np.ones((1, 5, 4))
    tracks = Tracks.started(instances(np.array([[0.0, 0]])), 0.0, appearance=looks)
    tracks = replace(tracks, ids=np.array([1])).predicted(0.2)
    near = detections(np.array([[4.0, 0]]), appearance=looks)
    lost = replace(tracks, is_lost=np.array([True]))
    assert association_gains(lost, near, 0.2, TOLERANCE) < association_gains(tracks, near, 0.2, TOLERANCE)


def test_a_detection_of_another_size_fits_less() -> None:
    tracks = replace(Tracks.started(instances(np.array([[0.0, 0]])), 0.0), ids=np.array([1])).predicted(0.5)
    same = detections(np.array([[0.0, 0]]))
    small = replace(same, keypoints=same.keypoints / 3)
    assert association_gains(tracks, small, 0.5, TOLERANCE) < association_gains(tracks, same, 0.5, TOLERANCE)


def test_two_that_cross_keep_to_the_detections_of_their_colors() -> None:
    looks = np.array([np.full((5, 4), 1.0), np.full((5, 4), 6.0)])
    tracks = Tracks.started(instances(np.array([[0.0, 0], [8, 0]])), 0.0, appearance=looks)
    tracks = replace(tracks, ids=np.array([1, 2])).predicted(0.04)
    crossed = np.array([[0.0, 0], [8, 0]])
    assert associate(tracks, detections(crossed, appearance=looks), 0.04, TOLERANCE).tolist() == [0, 1]
    assert associate(tracks, detections(crossed, appearance=looks[::-1]), 0.04, TOLERANCE).tolist() == [1, 0]
