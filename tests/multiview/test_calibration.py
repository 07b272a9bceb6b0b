"""Laws: rigs are recovered from what they see; the robust cost never grows; contradictions are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import CameraError
from cairn.multiview.boards import parse_board
from cairn.multiview.bundle_adjustment import _Problem, adjust, reprojection_errors, robust_cost
from cairn.multiview.calibration import Options, calibrate_rig, measure_held_out, on_floor
from cairn.multiview.calibration_report import report
from cairn.multiview.extrinsics import groups
from cairn.multiview.intrinsics import board_poses, calibrate_intrinsics, choose_rows
from cairn.multiview.observations import observations_of
from cairn.structures.camera import Rig, rotation_matrix
from support.made_boards import made_boards, made_rig, made_sightings

BOARD = parse_board("charuco:6x8:40mm")
GIVEN = {camera.name: camera for camera in made_rig(5)}


def in_first(rig: Rig) -> Rig:
    """The rig in the world of its first camera."""
    return rig.moved(rig[0].rotation, rig[0].translation)


def distances(one: Rig, other: Rig) -> tuple[float, float]:
    """Largest distance of centers in meters, and largest angle in degrees."""
    far = max(float(np.linalg.norm(a.center - b.center)) for a, b in zip(one, other, strict=True))
    turns = [(np.trace(a.rotation @ b.rotation.T) - 1) / 2 for a, b in zip(one, other, strict=True)]
    return far, float(np.degrees(np.arccos(np.clip(min(turns), -1, 1))))


def test_rig_is_recovered_exactly_without_noise() -> None:
    rig = made_rig(3)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 20))
    result = calibrate_rig(sightings, BOARD, Options(given=GIVEN))
    far, angle = distances(result.rig, in_first(rig))
    assert far < 1e-6
    assert angle < 1e-4
    assert result.fit.rms < 1e-5
    assert result.fit.square == pytest.approx(BOARD.square, rel=1e-6)


@pytest.mark.parametrize("fisheye", [False, True])
def test_rig_is_recovered_with_its_intrinsics(fisheye: bool) -> None:
    rig = made_rig(3, fisheye, distance=0.9)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 30), noise=0.1)
    result = calibrate_rig(sightings, BOARD, Options(fisheye=fisheye))
    far, angle = distances(result.rig, in_first(rig))
    assert far < 0.01
    assert angle < 0.5
    assert result.fit.square == pytest.approx(BOARD.square, rel=0.005)
    for found, true in zip(result.rig, rig, strict=True):
        assert found.matrix[0, 0] == pytest.approx(true.matrix[0, 0], rel=0.02)
    held = measure_held_out(result.rig, BOARD, made_sightings(rig, BOARD, made_boards(BOARD, 8, seed=7), noise=0.1))
    assert held.rms < 0.5
    assert held.square == pytest.approx(BOARD.square, rel=0.01)


def test_outliers_do_not_move_the_rig() -> None:
    rig = made_rig(3)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 20), noise=0.1)
    rng = np.random.default_rng(4)
    for each in sightings:
        wrong = rng.random(each.corners.shape[:2]) < 0.05
        each.corners[wrong] += rng.normal(0, 60, (wrong.sum(), 2))
    result = calibrate_rig(sightings, BOARD, Options(given=GIVEN))
    far, angle = distances(result.rig, in_first(rig))
    assert far < 0.003
    assert angle < 0.2
    assert 0.9 < result.fit.inliers.mean() < 0.99


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("intrinsics", [False, True])
def test_robust_cost_never_grows(seed: int, intrinsics: bool) -> None:
    """From starts near and far, with outliers."""
    rng = np.random.default_rng(seed)
    rig, boards = made_rig(3), made_boards(BOARD, 6, seed)
    seen = observations_of(made_sightings(rig, BOARD, boards, noise=0.5, seed=seed))
    boards = boards[seen.moments]
    seen.pixels[rng.random(len(seen)) < 0.1] += 40
    turned = [
        camera.posed(rotation_matrix(rng.normal(0, 0.04 * seed, 3)) @ camera.rotation, camera.translation)
        for camera in rig
    ]
    start = Rig(tuple(turned))
    before = robust_cost(reprojection_errors(start, boards, BOARD.points, seen))
    found = adjust(start, boards, BOARD.points, seen, intrinsics)
    after = robust_cost(reprojection_errors(found.rig, found.boards, BOARD.points, seen))
    assert found.start == pytest.approx(before)
    assert found.cost == pytest.approx(after)
    assert after <= before
    np.testing.assert_array_equal(found.rig[0].rotation, start[0].rotation)


@pytest.mark.parametrize("fisheye", [False, True])
def test_jacobian_is_the_derivative(fisheye: bool) -> None:
    rig, boards = made_rig(3, fisheye), made_boards(BOARD, 4)
    seen = observations_of(made_sightings(rig, BOARD, boards))
    problem = _Problem(rig, boards[seen.moments], BOARD.points, seen, intrinsics=True)
    jacobian = problem._evaluate(problem.start, None, derive=True)[1].toarray()
    for column in range(problem.size):
        step = np.zeros(problem.size)
        step[column] = 1e-6 * max(1.0, abs(problem.start[column]))
        numeric = (problem.errors(problem.start + step) - problem.errors(problem.start - step)).ravel()
        numeric /= 2 * step[column]
        np.testing.assert_allclose(jacobian[:, column], numeric, atol=1e-5 * max(1.0, np.abs(numeric).max()))


def test_two_poses_of_a_far_board_are_both_returned() -> None:
    """The pose of the board is one of the two, and the better one without noise."""
    camera = made_rig(1)[0]
    pose = made_boards(BOARD, 1)[0]
    pixels = camera.project(BOARD.points @ pose[:3, :3].T + pose[:3, 3])
    poses = board_poses(camera, pixels, BOARD)
    inside = np.eye(4)
    inside[:3] = camera.extrinsics
    np.testing.assert_allclose(poses[0][0], inside @ pose, atol=1e-6)
    assert len(poses) == 2
    assert poses[0][1] < 1e-5 < poses[1][1]


def test_frames_are_chosen_for_coverage() -> None:
    rig = made_rig(1)
    each = made_sightings(rig, BOARD, made_boards(BOARD, 120))[0]
    rows = choose_rows(each, 12)
    assert len(rows) == 12
    assert each.take(rows).coverage > 0.75 * each.coverage
    assert each.take(rows).coverage > each.take(np.arange(12)).coverage - 0.05


def test_mirrored_cameras_are_named() -> None:
    rig = made_rig(3)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 12))

    def flipped(index: int):
        corners = sightings[index].corners.copy()
        corners[..., 0] = rig[index].size[1] - 1 - corners[..., 0]
        return replace(sightings[index], corners=corners)

    with pytest.raises(CameraError, match="video of cam_1 is mirrored"):
        calibrate_rig([sightings[0], flipped(1), sightings[2]], BOARD)
    with pytest.raises(CameraError, match="all cameras see the board mirrored"):
        calibrate_rig([flipped(i) for i in range(3)], BOARD)


def test_groups_without_shared_frames_are_named() -> None:
    rig = made_rig(5)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 24))
    apart = [
        each.take(each.moments < 12) if i in (0, 3) else each.take(each.moments >= 12)
        for i, each in enumerate(sightings)
    ]
    with pytest.raises(CameraError) as error:
        calibrate_rig(apart, BOARD, Options(given=GIVEN))
    assert "2 groups" in str(error.value)
    assert "cam_1, cam_2, cam_4 | cam_0, cam_3" in str(error.value)
    one = [
        each.take(each.moments < 12) if i == 2 else each.take(each.moments >= 11) for i, each in enumerate(sightings)
    ]
    with pytest.raises(CameraError, match=r"cam_0, cam_1, cam_3, cam_4 \| cam_2.*at most 1"):
        calibrate_rig(one, BOARD, Options(given=GIVEN))


def test_board_seen_by_one_camera_or_none() -> None:
    rig = made_rig(3)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 12))
    empty = [each.take([]) for each in sightings]
    with pytest.raises(CameraError, match=r"not seen by cam_1 .*, cam_2 .*, only by cam_0"):
        calibrate_rig([sightings[0], *empty[1:]], BOARD)
    with pytest.raises(CameraError, match="not seen by cam_0"):
        calibrate_rig(empty, BOARD)
    with pytest.raises(CameraError, match="at least two cameras"):
        calibrate_rig(sightings[:1], BOARD)


def test_cameras_that_are_not_synchronous_are_refused() -> None:
    rig = made_rig(3)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 25))
    late = replace(sightings[1], moments=sightings[1].moments + 3)
    with pytest.raises(CameraError, match="synchron"):
        calibrate_rig([sightings[0], late, sightings[2]], BOARD, Options(given=GIVEN))


def test_too_few_boards_and_a_wrong_size_are_refused() -> None:
    rig = made_rig(2)
    sightings = made_sightings(rig, BOARD, made_boards(BOARD, 12))
    with pytest.raises(CameraError, match="seen in 2 of 12 images"):
        calibrate_intrinsics(sightings[0].take([0, 1]), BOARD)
    with pytest.raises(CameraError, match="for 640x480 images, and these are 1280x960"):
        calibrate_rig([replace(each, size=(960, 1280)) for each in sightings], BOARD, Options(given=GIVEN))
    with pytest.raises(CameraError, match="have no camera cam_1"):
        calibrate_rig(sightings, BOARD, Options(given={"cam_0": GIVEN["cam_0"]}))


def test_a_checkerboard_that_looks_the_same_when_turned_is_refused_for_rigs() -> None:
    board = parse_board("checkerboard:5x7:40mm")
    sightings = made_sightings(made_rig(2), board, made_boards(board, 12))
    with pytest.raises(CameraError, match="looks the same"):
        calibrate_rig(sightings, board, Options(given=GIVEN))
    calibrate_intrinsics(sightings[0], board)


def test_board_on_the_floor_is_the_world() -> None:
    """Its corners have z = 0, the cameras above it z > 0, and its x axis is that of the world."""
    rig, boards = made_rig(3), made_boards(BOARD, 10)
    sightings = made_sightings(rig, BOARD, boards)
    moment = int(sightings[0].moments[2])
    floor = on_floor(rig, sightings, BOARD, moment)
    corners = BOARD.points @ boards[moment][:3, :3].T + boards[moment][:3, 3]
    flat = BOARD.points * [1, -1, -1]
    np.testing.assert_allclose(floor.project(flat), rig.project(corners), atol=1e-4)
    assert all(camera.center[2] > 0 for camera in floor)
    with pytest.raises(CameraError, match="frame 99"):
        on_floor(rig, sightings, BOARD, 99)


def test_the_report_starts_with_the_axis_up_that_the_cameras_show() -> None:
    sightings = made_sightings(made_rig(3), BOARD, made_boards(BOARD, 10))
    result = calibrate_rig(sightings, BOARD, Options(given=GIVEN))
    half = rotation_matrix([np.pi, 0, 0])
    for rotation, up in ((np.eye(3), [0, -1, 0]), (half, [0, 1, 0])):
        turned = replace(result, rig=result.rig.moved(rotation, np.zeros(3)))
        assert f'"up": {up}' in report(turned, [])


def test_groups_are_connected_components() -> None:
    assert groups(5, [(0, 3), (4, 2), (2, 1)]) == [[1, 2, 4], [0, 3]]
    assert groups(2, []) == [[0], [1]]
    assert groups(3, [(2, 1), (0, 2)]) == [[0, 1, 2]]
