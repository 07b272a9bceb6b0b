import numpy as np
import pytest

from cairn.evaluation.metrics.repeatability import covered, repeatability
from cairn.evaluation.repeatability import THRESHOLDS, mean_shares, measure_pairs
from cairn.pointclouds.io.poses import ScanPair
from cairn.pointclouds.iss import Iss
from cairn.structures.cloud import Cloud, move
from support.clouds import bumpy_sphere, random_motion

ALL = np.ones(3, bool), np.ones(2, bool)


def test_keypoints_within_a_threshold_are_repeated():
    first = np.array([[0, 0, 0], [1, 0, 0], [5, 0, 0.0]])
    second = np.array([[0, 0.1, 0], [1, 0.3, 0]])
    found = repeatability(first, second, ALL, (0.05, 0.1, 0.3, 10))
    assert found.in_overlap == 5
    assert found.repeated == (0, 2, 4, 5)
    assert found.shares == (0, 0.4, 0.8, 1)


def test_keypoints_outside_the_overlap_do_not_count():
    first = np.array([[0, 0, 0], [1, 0, 0], [5, 0, 0.0]])
    found = repeatability(first, first[:2], (np.array([True, True, False]), np.ones(2, bool)), (0.1,))
    assert (found.in_overlap, found.repeated) == (4, (4,))
    nothing = repeatability(first, first, (np.zeros(3, bool),) * 2, (0.1,))
    assert np.isnan(nothing.shares[0])
    assert repeatability(first, np.zeros((0, 3)), (np.ones(3, bool), np.ones(0, bool)), (9,)).shares == (0,)


def test_covered_points_are_near_after_the_motion():
    points, motion = np.random.default_rng(0).normal(size=(40, 3)), random_motion()
    assert covered(points, motion, move(motion, points[:30]), 1e-6).tolist() == [True] * 30 + [False] * 10


@pytest.fixture
def scans(tmp_path):
    points, motion = bumpy_sphere(2500), random_motion()
    clouds = {
        tmp_path / "a": Cloud(points),
        tmp_path / "b": Cloud(move(motion, points)),
        tmp_path / "c": Cloud(9 + points),
    }
    pairs = [ScanPair(tmp_path / "a", tmp_path / "b", motion), ScanPair(tmp_path / "a", tmp_path / "c", np.eye(4))]
    return clouds, pairs


def test_the_same_cloud_is_repeated_completely_and_baselines_are_not(scans):
    clouds, pairs = scans
    measured = measure_pairs(pairs, clouds.__getitem__, {"iss": Iss()}, num_keypoints=30)
    assert [pair.overlap for pair in measured] == [1, 0]
    assert measured[1].methods == {}  # does not overlap
    assert measured[0].num_keypoints == (30, 30)
    assert mean_shares(measured, "iss").tolist() == [1] * len(THRESHOLDS)
    assert mean_shares(measured, "farthest").tolist() == [1] * len(THRESHOLDS)
    # The random points have the same indices in both clouds here; those of another order differ.
    order = np.random.default_rng(1).permutation(2500)
    clouds[pairs[0].second] = clouds[pairs[0].second].select(order)
    measured = measure_pairs(pairs[:1], clouds.__getitem__, {"iss": Iss()}, num_keypoints=30)
    assert mean_shares(measured, "iss")[0] == 1
    assert mean_shares(measured, "random")[0] < 0.3


def test_all_methods_have_as_many_keypoints(scans):
    clouds, pairs = scans

    def few(cloud):
        return Iss()(cloud)[:7]

    (measured,) = measure_pairs(pairs[:1], clouds.__getitem__, {"iss": Iss(), "few": few})
    assert measured.num_keypoints == (7, 7)
    assert all(each.in_overlap in (14, 140) for each in measured.methods.values())
