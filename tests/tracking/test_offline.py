"""Offline smoothing has no delay, and interpolated instances are marked and lie between their neighbors."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.api.track import Tracks
from cairn.errors import CairnError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

CROSS = Skeleton("cross", ("left", "right", "top", "bottom"))
SHAPE = np.array([[-10.0, 0], [10, 0], [0, -15], [0, 15]])


def tracks(places: list[list[float]], ids: list[list[int]] | None = None, noise: float = 0.0) -> Tracks:
    """Crosses at some x in each frame, with the IDs 1, 2, ... by default, at 25 frames per second."""
    rng, frames = np.random.default_rng(0), []
    for i, row in enumerate(places):
        points = np.array([SHAPE + np.array([x, 0]) for x in row]).reshape(-1, 4, 2)
        points = (points + rng.normal(0, noise, points.shape)).astype(np.float32)
        numbers = np.array(range(1, len(row) + 1) if ids is None else ids[i], np.int64)
        frames.append(Poses(points, np.ones((len(row), 4), np.float32), np.ones(len(row), np.float32), CROSS, numbers))
    times = tuple(i / 25 for i in range(len(places)))
    return Tracks(tuple(frames), times, tuple(range(len(places))), "clip", "cross")


def test_a_constant_velocity_is_kept_and_noise_is_reduced() -> None:
    places = [[2.0 * i] for i in range(80)]
    exact = np.array([poses.keypoints[0] for poses in tracks(places).frames])
    smooth = np.array([poses.keypoints[0] for poses in tracks(places).smoothed().frames])
    np.testing.assert_allclose(smooth[25:-25], exact[25:-25], atol=0.1)
    noisy = tracks(places, noise=1.0)
    before = np.array([poses.keypoints[0] for poses in noisy.frames]) - exact
    after = np.array([poses.keypoints[0] for poses in noisy.smoothed().frames]) - exact
    assert np.diff(after[20:-20], axis=0).std() < 0.8 * np.diff(before[20:-20], axis=0).std()
    assert after[20:-20].std() < before[20:-20].std()


def test_smoothing_is_the_same_backward_in_time() -> None:
    given = tracks([[2.0 * i] for i in range(30)], noise=1.0)
    turned = replace(given, frames=given.frames[::-1]).smoothed()
    for one, other in zip(given.smoothed().frames, turned.frames[::-1], strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)


def test_strength_0_changes_nothing_and_missing_keypoints_stay_missing() -> None:
    given = tracks([[2.0 * i] for i in range(10)])
    given.frames[4].keypoints[0, 1], given.frames[4].confidence[0, 1] = np.nan, 0
    assert given.smoothed(0).frames == given.frames
    assert np.isnan(given.smoothed().frames[4].keypoints[0, 1]).all()
    assert np.isfinite(given.smoothed().frames[5].keypoints).all()


def test_a_short_gap_is_interpolated_and_marked_and_a_long_one_is_not() -> None:
    places = [[4.0 * i] if i not in (3, 4, *range(10, 40)) else [] for i in range(45)]
    filled = tracks(places).interpolated(max_gap=0.5)
    assert [len(poses) for poses in filled.frames[:10]] == [1] * 10
    assert [len(poses) for poses in filled.frames[10:40]] == [0] * 30
    assert [mark.tolist() for mark in filled.added[2:6]] == [[False], [True], [True], [False]]
    np.testing.assert_allclose(filled.frames[3].keypoints[0], SHAPE + np.array([12, 0]), atol=1e-4)
    assert filled.frames[3].ids.tolist() == [1]
    again = filled.interpolated()
    assert [mark.tolist() for mark in again.added] == [mark.tolist() for mark in filled.added]


def test_files_mark_what_was_interpolated(tmp_path) -> None:
    filled = tracks([[0.0], [], [8.0]]).interpolated()
    assert filled.columns[-1] == "interpolated"
    assert {row[0]: row[-1] for row in filled.rows()} == {0: False, 1: True, 2: False}
    assert [frame["poses"][0].get("interpolated", False) for frame in filled.to_dicts()] == [False, True, False]
    assert "interpolated" not in tracks([[0.0]]).columns
    assert filled.save(tmp_path / "a.csv").read_text().splitlines()[5].endswith(",True")
    assert len(filled[1:]) == 2
    assert filled[1:].added[0].tolist() == [True]


def test_instances_without_an_id_are_neither_smoothed_nor_interpolated() -> None:
    given = tracks([[0.0], [], [8.0]], [[-1], [], [-1]])
    assert [len(poses) for poses in given.interpolated().frames] == [1, 0, 1]
    assert np.array_equal(given.smoothed().frames[2].keypoints, given.frames[2].keypoints)


def test_invalid_values_raise() -> None:
    given = tracks([[0.0]])
    for action in (lambda: given.smoothed(-1), lambda: given.interpolated(float("nan"))):
        with pytest.raises(CairnError, match="must be a number"):
            action()
