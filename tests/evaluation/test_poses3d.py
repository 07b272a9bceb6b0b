"""Evaluation of tracks in 3D: paired with the ground truth, in the same unit and world."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import LabelError
from cairn.evaluation.poses3d import evaluate_tracks
from cairn.structures.poses3d import Trajectories
from cairn.structures.skeleton import load_skeleton
from support.made_rigs import BODY, walking


def tracks_of(points: np.ndarray, start: int = 0, rate: float = 25.0) -> Trajectories:
    known = np.isfinite(points[..., 0])
    ids = np.arange(1, points.shape[1] + 1)
    return Trajectories(points, known.astype(np.float32), BODY, ids, rate, start=start)


def test_ground_truth_against_itself_is_perfect_in_any_order() -> None:
    truth = walking(10, 3)
    result = evaluate_tracks(tracks_of(truth[:, [2, 0, 1]]), tracks_of(truth))
    assert result.metrics["MPJPE"] == pytest.approx(0, abs=1e-9)
    assert result.metrics["PA-MPJPE"] == pytest.approx(0, abs=1e-9)
    assert [result.metrics[name] for name in ("PCK3D@150mm", "AUC", "PCP", "PCP strict")] == [100] * 4
    assert (result.instances, result.found) == (30, 30)
    assert result.warnings == ()


def test_a_shift_is_its_length_in_millimeters() -> None:
    truth = walking(10, 2)
    result = evaluate_tracks(tracks_of(truth + np.array([0.03, 0, 0.04])), tracks_of(truth))
    assert result.metrics["MPJPE"] == pytest.approx(50)
    assert result.metrics["PA-MPJPE"] == pytest.approx(0, abs=1e-6)
    assert result.metrics["N-MPJPE"] == pytest.approx(0, abs=1e-6)
    assert result.joints["nose"] == pytest.approx(50)


def test_missing_instances_are_wrong_and_extra_ones_do_not_count() -> None:
    truth = walking(10, 2)
    predicted = truth.copy()
    predicted[:5, 1] = np.nan
    extra = np.concatenate([predicted, predicted[:, :1] + 5], axis=1)
    result = evaluate_tracks(tracks_of(extra), tracks_of(truth))
    assert (result.instances, result.found) == (20, 15)
    assert result.metrics["PCK3D@150mm"] == pytest.approx(75)
    assert result.metrics["PCP"] == pytest.approx(75)
    assert result.metrics["MPJPE"] == pytest.approx(0, abs=1e-9)


def test_frames_are_matched_by_number() -> None:
    truth = walking(20)
    result = evaluate_tracks(tracks_of(truth[5:], start=5), tracks_of(truth[:12]))
    assert (result.instances, result.found) == (12, 7)
    assert result.metrics["MPJPE"] == pytest.approx(0, abs=1e-9)


def test_joints_are_matched_by_name() -> None:
    truth = walking(4)
    order = np.arange(17)[::-1]
    reverse = replace(BODY, joints=BODY.joints[::-1], limbs=(), redundant=(), flip_pairs=(), sigmas=())
    predicted = replace(tracks_of(truth[:, :, order]), skeleton=reverse)
    assert evaluate_tracks(predicted, tracks_of(truth)).metrics["MPJPE"] == pytest.approx(0, abs=1e-9)


def test_another_world_is_a_warning() -> None:
    truth = walking(10)
    (line,) = evaluate_tracks(tracks_of(truth[..., [1, 2, 0]]), tracks_of(truth)).warnings
    assert "another world" in line


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_another_unit_is_an_error(factor: float) -> None:
    truth = walking(10)
    with pytest.raises(LabelError, match="times as large as the ground truth"):
        evaluate_tracks(tracks_of(factor * truth), tracks_of(truth))


def test_what_has_nothing_in_common() -> None:
    truth = tracks_of(walking(5))
    hand = load_skeleton("hand21")
    other = Trajectories(np.zeros((5, 1, 21, 3)), np.ones((5, 1, 21), np.float32), hand, np.array([1]), 25)
    with pytest.raises(LabelError, match="no joint of the same name"):
        evaluate_tracks(other, truth)
    with pytest.raises(LabelError, match="25 Hz, the tracks 30 Hz"):
        evaluate_tracks(replace(truth, rate=30), truth)
    with pytest.raises(LabelError, match="no frame has ground truth"):
        evaluate_tracks(truth, tracks_of(np.full((5, 1, 17, 3), np.nan)))
