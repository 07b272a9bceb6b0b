"""Association: tracks continue with similar detections, and tracks with an ID come first."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.tracking.association import associate, association_gains
from cairn.tracking.motion import Tracks

SEEDS = st.integers(0, 2**32 - 1)
TOLERANCE = np.full(3, 0.05**2)


def instances(centers: np.ndarray) -> np.ndarray:
    """Triangles (N, 3, 2) of about 20 pixels."""
    return np.asarray(centers, float)[:, None] + np.array([[-10.0, 0], [10, 0], [0, 15]])


@given(SEEDS, st.integers(0, 5))
def test_far_apart_instances_are_associated_in_any_order(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    centers = np.arange(count)[:, None] * np.array([300.0, 100])
    tracks = replace(Tracks.started(instances(centers), 0.0), ids=np.arange(1, count + 1)).predicted(0.04)
    order = rng.permutation(count)
    partner = associate(tracks, instances(centers + rng.normal(0, 1, (count, 2)))[order], 0.04, TOLERANCE)
    assert order[partner].tolist() == list(range(count))


def test_dissimilar_instances_have_no_gain_and_no_partner() -> None:
    tracks = replace(Tracks.started(instances(np.array([[0.0, 0]])), 0.0), ids=np.array([1])).predicted(0.04)
    detections = instances(np.array([[1000.0, 0]]))
    assert association_gains(tracks, detections, 0.04, TOLERANCE).tolist() == [[0.0]]
    assert associate(tracks, detections, 0.04, TOLERANCE).tolist() == [-1]


def test_a_track_with_an_id_comes_before_a_tentative_one() -> None:
    tracks = Tracks.started(instances(np.array([[0.0, 0], [3, 0]])), 0.0).predicted(0.04)
    detection = instances(np.array([[3.0, 0]]))  # exactly the second track's position
    assert associate(tracks, detection, 0.04, TOLERANCE).tolist() == [-1, 0]
    assert associate(replace(tracks, ids=np.array([1, -1])), detection, 0.04, TOLERANCE).tolist() == [0, -1]
