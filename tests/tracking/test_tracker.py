"""Track IDs are stable through crossings, gaps, missing joints and at any frame rate."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets.reading import read_labels
from cairn.errors import CairnError, SkeletonError
from cairn.evaluation.metrics.tracking import measure_tracks
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.tracking.tracker import Tracker
from crossings import as_labels, detected, walkers
from support import DATA
from support.fake_poses import random_poses

SEEDS = st.integers(0, 2**32 - 1)
CROSS = Skeleton("cross", ("left", "right", "top", "bottom"))
SHAPE = np.array([[-10.0, 0], [10, 0], [0, -15], [0, 15]])
FLIES = DATA / "flies" / "val.json"


def at(*places: tuple[float, float]) -> Poses:
    """Crosses of about 25 pixels at some positions."""
    points = np.array(places, np.float32).reshape(-1, 1, 2) + SHAPE.astype(np.float32)
    return Poses(points, np.ones(points.shape[:2], np.float32), np.ones(len(points), np.float32), CROSS)


def ids_of(tracker: Tracker, *images: Poses, rate: float = 25.0) -> list[list[int]]:
    return [tracker(poses, i / rate).ids.tolist() for i, poses in enumerate(images)]


@given(SEEDS)
@settings(max_examples=40)
def test_track_ids_are_unique_and_never_reused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker = Tracker()
    largest = 0
    alive: dict[int, int] = {}
    for i in range(8):
        poses = random_poses(int(rng.integers(2**32)), int(rng.integers(0, 5)))
        tracked = tracker(poses, i / 10)
        assert np.array_equal(tracked.keypoints, poses.keypoints, equal_nan=True)
        assert np.array_equal(tracked.scores, poses.scores)
        ids = tracked.ids[tracked.ids != -1]
        assert len(set(ids.tolist())) == len(ids)
        assert (ids >= 1).all()
        fresh = sorted(number for number in ids.tolist() if number not in alive)
        assert fresh == list(range(largest + 1, largest + 1 + len(fresh)))
        largest += len(fresh)
        alive |= dict.fromkeys(ids.tolist(), i)


@given(SEEDS, st.floats(0.05, 20), st.floats(0, 360))
@settings(max_examples=30)
def test_the_result_does_not_depend_on_order_scale_or_rotation(seed: int, factor: float, angle: float) -> None:
    rng = np.random.default_rng(seed)
    start, velocity = rng.uniform(0, 300, (4, 2)), rng.uniform(-40, 40, (4, 2))
    moved = Affine.rotation(angle).then(Affine.scaling(factor)).then(Affine.translation(30, -70))
    one, other = Tracker(smooth=1), Tracker(smooth=1)
    named: dict[int, int] = {}
    for i in range(6):
        poses = at(*(start + velocity * i / 10))[np.flatnonzero(rng.random(4) < 0.9)]
        order = rng.permutation(len(poses))
        expected = one(poses, i / 10)
        got = other(poses.transformed(moved)[order], 7 + i / 10)
        back = got.transformed(moved.inverse())
        np.testing.assert_allclose(back.keypoints, expected.keypoints[order], atol=0.02)
        for number, same in zip(got.ids.tolist(), expected.ids[order].tolist(), strict=True):
            assert named.setdefault(number, same) == same or number == -1


@pytest.mark.parametrize("missing", [(), (9, 10), (8, 9, 10, 11)])
def test_instances_that_cross_keep_their_ids_even_if_lost(missing: tuple[int, ...]) -> None:
    tracker = Tracker()
    for i in range(20):
        poses = at((4 * i, 50), (80 - 4 * i, 54))
        if i in missing:
            poses = poses[[i % 2]] if len(missing) == 2 else poses[:0]
            tracker(poses, i / 10)
        else:
            assert tracker(poses, i / 10).ids.tolist() == [1, 2]


@given(SEEDS)
@settings(max_examples=20)
def test_ids_are_stable_at_any_frame_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker, time = Tracker(), 100.0
    for _ in range(12):
        time += rng.choice([0.0, 0.005, 0.04, 0.3])
        x = 40 * (time - 100)
        assert tracker(at((x, 0), (-x, 60)), time).ids.tolist() == [1, 2]


@pytest.mark.parametrize(("seconds", "number"), [(0.98, 1), (1.1, -1)])
def test_an_id_survives_a_short_gap(seconds: float, number: int) -> None:
    tracker = Tracker(gap=1.0)
    assert tracker(at((0, 0)), 0.0).ids.tolist() == [1]
    assert tracker(at(), 0.5).ids.tolist() == []
    assert tracker(at((0, 0)), seconds).ids.tolist() == [number]


def test_images_further_apart_than_the_gap_keep_the_ids() -> None:
    tracker = Tracker(gap=1.0)
    assert [tracker(at((i, 0)), 3.0 * i).ids.tolist() for i in range(4)] == [[1]] * 4


def test_images_without_a_time_are_25_per_second() -> None:
    for images, number in ((24, 1), (26, -1)):
        tracker = Tracker()
        tracker(at((0, 0)))
        for _ in range(images - 1):
            tracker(at())
        assert tracker(at((0, 0))).ids.tolist() == [number]


def test_an_instance_gets_an_id_in_its_second_image() -> None:
    one, ghost = at((0, 0)), at((0, 0), (300, 300))
    assert ids_of(Tracker(), one, one, ghost, one, ghost, ghost) == [[1], [1], [1, -1], [1], [1, -1], [1, 2]]


def test_an_instance_that_the_first_image_lacks_gets_an_id_in_the_second() -> None:
    one, both = at((0, 0)), at((0, 0), (300, 300))
    assert ids_of(Tracker(), at(), at(), one, both) == [[], [], [1], [1, 2]]
    assert ids_of(Tracker(), one, at(), both, both) == [[1], [], [1, -1], [1, 2]]


def test_a_less_confident_instance_of_the_first_image_gets_an_id_when_it_stays() -> None:
    first = at((0, 0), (300, 300), (600, 0))
    weak = replace(first, scores=np.array([0.9, 0.45, 0.8], np.float32))
    assert ids_of(Tracker(), weak, weak, weak) == [[1, -1, 2], [1, -1, 2], [1, 3, 2]]
    assert ids_of(Tracker(), weak[[1]], first) == [[1], [2, 1, 3]]


def test_a_weak_detection_gets_no_id_and_takes_none() -> None:
    first, weak = at((0, 0), (300, 300)), at((0, 0), (305, 300))
    weak = replace(weak, confidence=weak.confidence * np.float32([[1], [0.5]]), scores=np.array([1, 0.3], np.float32))
    tracker = Tracker()
    assert ids_of(tracker, first, first) == [[1, 2], [1, 2]]
    assert [tracker(weak, 0.08 + i / 25).ids.tolist() for i in range(20)] == 20 * [[1, -1]]
    assert tracker(first, 0.9).ids.tolist() == [1, 2]  # within the gap


def test_an_instance_of_which_little_is_seen_clearly_keeps_its_id() -> None:
    both = at((0, 0), (300, 300))
    half = both.keypoints.copy()
    half[1, 2:] = np.nan
    seen = replace(both, keypoints=half, confidence=both.confidence * ~np.isnan(half[..., 0]))
    partial = replace(seen, scores=np.array([1, 0.3], np.float32))
    assert ids_of(Tracker(), both, both, *5 * [partial]) == 7 * [[1, 2]]


def test_scores_of_zero_are_as_good_as_any() -> None:
    silent = replace(at((0, 0), (300, 300)), scores=np.zeros(2, np.float32))
    assert ids_of(Tracker(), silent, silent) == [[1, 2], [1, 2]]


def test_a_new_instance_beside_a_track_does_not_take_its_id() -> None:
    one, near = at((0, 0)), at((0, 0), (6, 0))
    assert ids_of(Tracker(), one, one, near, near[[1, 0]]) == [[1], [1], [1, -1], [2, 1]]


def test_ids_are_stable_with_missing_joints() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    for i in range(30):
        poses = at((2 * i, 0), (60 - 2 * i, 8))
        lost = rng.random((2, 4)) < (0.4 if i else 0)
        lost[:, i % 4] = False
        poses = replace(poses, confidence=np.where(lost, 0, poses.confidence).astype(np.float32))
        assert tracker(poses, i / 25).ids.tolist() == [1, 2]


def test_instances_of_one_joint_and_of_none_detected() -> None:
    dot = Skeleton("dot", ("dot",))
    tracker = Tracker()
    for i in range(10):
        points = np.array([[[i, 0]], [[50 - i, 1]], [[np.nan, np.nan]]], np.float32)
        found = np.array([[1], [1], [0]], np.float32)
        assert tracker(Poses(points, found, np.ones(3, np.float32), dot), i / 25).ids.tolist() == [1, 2, -1]


def test_a_clock_that_jumps_back_keeps_the_ids() -> None:
    tracker = Tracker()
    times = [5.0, 5.1, 0.0, 0.1, None, 0.2]
    assert [tracker(at((0, 0)), time).ids.tolist() for time in times] == [[1]] * 6


def test_smoothing_reduces_jitter_and_restarts_after_a_gap() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker(smooth=1)
    raw, calm = [], []
    for i in range(60):
        poses = at((100, 100))
        poses = replace(poses, keypoints=poses.keypoints + rng.normal(0, 0.5, (1, 4, 2)).astype(np.float32))
        raw.append(poses.keypoints)
        calm.append(tracker(poses, i / 25).keypoints)
    assert np.diff(calm, axis=0).std() < 0.4 * np.diff(raw, axis=0).std()
    assert calm[0].dtype == np.float32
    later = at((104, 100))
    tracker(at(), 60 / 25)
    assert np.array_equal(tracker(later, 60 / 25 + 0.5).keypoints, later.keypoints)


def test_missing_keypoints_stay_missing_when_smoothed() -> None:
    tracker = Tracker(smooth=1)
    for i in range(5):
        poses = at((i, 0))
        poses.keypoints[0, i % 4], poses.confidence[0, i % 4] = np.nan, 0
        tracked = tracker(poses, i / 25)
        assert np.array_equal(np.isnan(tracked.keypoints[..., 0]), ~poses.detected)


def test_invalid_arguments_raise() -> None:
    for wrong in ({"gap": -1}, {"smooth": float("nan")}, {"gap": float("inf")}):
        with pytest.raises(CairnError, match="must be a number from 0"):
            Tracker(**wrong)
    tracker = Tracker()
    tracker(at((0, 0)))
    with pytest.raises(CairnError, match="must be seconds or None, got nan"):
        tracker(at((0, 0)), float("nan"))
    with pytest.raises(SkeletonError, match="one skeleton, cross, got coco17"):
        tracker(Poses.empty(load_skeleton("coco17")))


def test_a_street_of_people_who_occlude_one_another() -> None:
    times = np.arange(100) / 12
    labels = as_labels(*walkers(np.random.default_rng(1), 6, times))
    rng, tracker = np.random.default_rng(2), Tracker()
    found = [
        tracker(detected(rng, image.annotation, labels.skeleton, noise=0.02, lost=0.1, lost_joints=0.1), time)
        for image, time in zip(labels, times.tolist(), strict=True)
    ]
    metrics = measure_tracks(labels, found)
    assert metrics.switches == 0
    assert metrics.mota > 85


def test_what_is_no_detections_is_an_error() -> None:
    with pytest.raises(CairnError, match=r"^poses must be a Poses, got 3$"):
        Tracker()(3)
    with pytest.raises(CairnError, match=r"^time must be a number or None, got 'a'$"):
        Tracker()(Poses.empty(load_skeleton("coco17")), "a")


@pytest.mark.data
@pytest.mark.parametrize(("lost", "lost_joints", "min_mota"), [(0.0, 0.0, 100.0), (0.1, 0.1, 85.0), (0.3, 0.1, 60.0)])
def test_flies_have_no_id_switches(lost: float, lost_joints: float, min_mota: float) -> None:
    if not FLIES.is_file():
        pytest.skip("no data set of flies in .data")
    labels = read_labels(FLIES)
    for seed in range(5):
        rng, tracker = np.random.default_rng(seed), Tracker()
        found = [
            tracker(detected(rng, p.annotation, labels.skeleton, noise=0.03, lost=lost, lost_joints=lost_joints))
            for p in labels
        ]
        metrics = measure_tracks(labels, found)
        assert metrics.switches == 0
        assert metrics.mota >= min_mota
