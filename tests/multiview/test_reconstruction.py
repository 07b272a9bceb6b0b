"""Reconstruction of recordings: tracks in 3D, and one line for cameras that do not fit."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import CameraError, SkeletonError
from cairn.multiview.axes import up_axis
from cairn.multiview.reconstruction import Reconstruction, ReconstructionOptions, reconstruct
from cairn.structures.camera import Camera, Rig, rotation_matrix
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.made_rigs import detected, looking, poses_of, ring, walking

DEFAULT = ReconstructionOptions()


def run(rig: Rig, recordings: dict[str, list[Poses]], options: ReconstructionOptions = DEFAULT) -> Reconstruction:
    return reconstruct(rig, list(recordings.values()), 25.0, options)


def rearranged(rig: Rig, order: Sequence[int]) -> Rig:
    """The rig whose i-th name has the calibration of camera order[i]."""
    return Rig(tuple(replace(rig[i], name=name) for i, name in zip(order, rig.names, strict=True)))


def test_people_in_meters_with_errors_and_cameras() -> None:
    rig, truth = ring(4), walking(20, 2)
    result = run(rig, detected(rig, truth, noise=1))
    tracks = result.trajectories
    assert tracks.keypoints.shape == (20, 2, 17, 3)
    assert tracks.ids.tolist() == [1, 2]
    assert result.up == "z"
    assert result.warnings == ()
    assert 0.5 < result.error < 1.5
    assert set(result.camera_errors()) == set(rig.names)
    assert all(0.5 < error < 2 for error in result.camera_errors().values())
    assert set(result.keypoint_errors()) == set(tracks.skeleton.joints)
    assert len(result[3]) == 2
    assert [len(poses) for poses in result] == [2] * 20
    assert "2 instances of coco17 from 4 cameras" in repr(result)


def test_a_camera_whose_keypoints_are_off_is_dropped_and_named() -> None:
    rig, truth = ring(5), walking(20)
    recordings = detected(rig, truth, noise=1)
    moved = [poses_of(poses.keypoints + np.array([70.0, -45.0])) for poses in recordings["cam2"]]
    result = run(rig, recordings | {"cam2": moved})
    assert np.linalg.norm(result.trajectories.keypoints - truth, axis=-1).max() < 0.05
    (line,) = result.warnings
    assert line.startswith("camera cam2 ")
    assert "moved" in line


@pytest.mark.parametrize(
    ("cameras", "order", "message"),
    [
        (4, (0, 2, 1, 3), "the names of cameras cam2 and cam3 seem to be swapped"),
        (3, (2, 1, 0), "the names of cameras cam1 and cam3 seem to be swapped"),
        (6, (0, 1, 2, 5, 4, 3), "the names of cameras cam4 and cam6 seem to be swapped"),
        (4, (1, 2, 0, 3), "cam1 has the recording of cam3, cam2 has the recording of cam1, cam3 has the recording of"),
    ],
)
@pytest.mark.parametrize("people", [1, 3])
def test_swapped_names_are_named(cameras: int, order: Sequence[int], message: str, people: int) -> None:
    rig = ring(cameras)
    recordings = detected(rig, walking(30, people), noise=2)
    with pytest.raises(CameraError, match=message):
        run(rearranged(rig, order), recordings)


def inverted(camera: Camera) -> Camera:
    return camera.posed(camera.rotation.T, camera.center)


def elsewhere(camera: Camera) -> Camera:
    random = np.random.default_rng(len(camera.name) + int(camera.name[-1]))
    return camera.posed(rotation_matrix(random.normal(0, 1.5, 3)), random.normal(0, 3, 3))


@pytest.mark.parametrize(
    ("changed", "message"),
    [(inverted, "poses of the cameras are inverted"), (elsewhere, "no two cameras agree|behind camera")],
)
def test_cameras_of_another_world(changed: Callable[[Camera], Camera], message: str) -> None:
    rig = ring(3)
    recordings = detected(rig, walking(20))
    with pytest.raises(CameraError, match=message):
        run(Rig(tuple(map(changed, rig))), recordings)


def test_all_points_behind_the_cameras() -> None:
    """Two parallel cameras side by side whose recordings are exchanged: their rays diverge."""
    rig = Rig((looking("left", (5, -0.5, 1), (0, -0.5, 1)), looking("right", (5, 0.5, 1), (0, 0.5, 1))))
    recordings = detected(rig, walking(20))
    exchanged = {"left": recordings["right"], "right": recordings["left"]}
    with pytest.raises(CameraError, match=r"behind camera|swapped"):
        run(rig, exchanged)


def test_recordings_of_other_moments() -> None:
    rig, truth = ring(3), walking(60, rate=3)
    recordings = detected(rig, truth)
    shifted = {name: frames[12 * i :] + frames[: 12 * i] for i, (name, frames) in enumerate(recordings.items())}
    try:
        lines = " ".join(run(rig, shifted).warnings)
    except CameraError as error:
        lines = str(error)
    assert "synchronous" in lines
    assert "--offsets" in lines


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ({"cam1": [Poses.empty(load_skeleton("coco17"))] * 3, "cam2": []}, "no camera has a keypoint of confidence"),
        ({"cam1": [], "cam2": []}, "no camera has a frame"),
        (
            {"cam1": [poses_of(np.full((1, 17, 2), 500.0))] * 2, "cam2": [poses_of(np.full((1, 17, 2), np.nan))] * 2},
            "only camera cam1 has a keypoint of confidence",
        ),
    ],
)
def test_nothing_to_triangulate(recordings: dict[str, list[Poses]], message: str) -> None:
    with pytest.raises(CameraError, match=message):
        run(ring(3)[["cam1", "cam2"]], recordings)


def test_one_camera_is_not_enough() -> None:
    rig = ring(3)[["cam2"]]
    with pytest.raises(CameraError, match="at least two cameras, got only cam2"):
        run(rig, detected(rig, walking(3)))


def test_other_skeletons_are_named() -> None:
    rig = ring(2)
    recordings = detected(rig, walking(3))
    body25 = load_skeleton("body25")
    recordings["cam2"] = [poses_of(np.full((1, 25, 2), 10.0), body25)] * 3
    with pytest.raises(SkeletonError, match=r"cam2 has keypoints of body25 \(25\), the others of coco17 \(17\)"):
        run(rig, recordings)


@pytest.mark.parametrize(("factor", "hint"), [(1000, "unit"), (0.01, "unit")])
def test_people_of_an_impossible_size_are_a_unit(factor: float, hint: str) -> None:
    rig = ring(3)
    recordings = detected(rig, walking(10))
    (line,) = run(rig.moved(np.eye(3), np.zeros(3), factor), recordings).warnings
    assert hint in line


def test_nan_keypoints_and_low_confidence_are_no_detections() -> None:
    rig, truth = ring(4), walking(10)
    recordings = detected(rig, truth)
    for frame, poses in enumerate(recordings["cam3"]):
        keypoints, confidence = poses.keypoints.copy(), poses.confidence.copy()
        keypoints[:, frame % 17] = np.nan  # but confident
        confidence[:, (frame + 5) % 17] = 0.1
        keypoints[:, (frame + 5) % 17] += 400
        recordings["cam3"][frame] = Poses(keypoints, confidence, poses.scores, poses.skeleton)
    result = run(rig, recordings)
    assert np.abs(result.trajectories.keypoints - truth).max() < 1e-3
    assert result.trajectories.views is not None
    assert (result.trajectories.views == 3).sum() == 20


@pytest.mark.parametrize("joints", [1, 2])
def test_one_instance_of_few_keypoints(joints: int) -> None:
    marker = Skeleton("marker", ("tip", "tail")[:joints])
    rig, truth = ring(3), walking(10, 2)[:, :, :joints]
    recordings = detected(rig, truth[:, :1], skeleton=marker)
    recordings["cam2"][4] = Poses.empty(marker)
    result = run(rig, recordings)
    assert np.abs(result.trajectories.keypoints[:, 0] - truth[:, 0]).max() < 1e-3
    with pytest.raises(CameraError, match=f"several instances in a frame, and instances of {joints} keypoint"):
        run(rig, detected(rig, truth, skeleton=marker))


@pytest.mark.parametrize("axis", ["x", "y", "z", "-x", "-y", "-z"])
def test_up_follows_from_the_cameras(axis: str) -> None:
    up = np.zeros(3)
    up["xyz".index(axis[-1])] = -1 if axis[0] == "-" else 1
    turn = np.cross([0, 0, 1], up)
    rotation = rotation_matrix(np.pi / 2 * turn) if turn.any() else np.diag([1, up[2], up[2]])
    assert np.allclose(rotation @ [0, 0, 1], up)
    assert up_axis(ring(4).moved(rotation, np.zeros(3))) == axis
