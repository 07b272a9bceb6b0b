import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.errors import CameraError
from cairn.structures.camera import Camera, Rig, rotation_matrix, rotation_vector

MATRIX = np.array([[800.0, 0, 320], [0, 780, 240], [0, 0, 1]])
DISTORTIONS = {
    "none": [],
    "four": [-0.3, 0.1, 0.001, -0.002],
    "five": [-0.3, 0.1, 0.001, -0.002, 0.01],
    "rational": [0.2, -0.1, 0.001, -0.002, 0.01, 0.3, -0.05, 0.002],
    "prism": [0.2, -0.1, 0.001, -0.002, 0.01, 0.3, -0.05, 0.002, 0.001, 0.002, -0.001, 0.0005],
}


def camera(distortion=(), fisheye=False, name="cam", seed=0, matrix=MATRIX):
    rng = np.random.default_rng(seed)
    rotation = rotation_matrix(rng.normal(size=3))
    return Camera(name, matrix, distortion, rotation, rng.normal(size=3) + np.array([0, 0, 5]), (480, 640), fisheye)


def seen_points(camera, count=200, seed=1):
    """Points of the world before a camera, at most 27 degrees off its axis."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 8, count)
    inside = np.column_stack([*(rng.uniform(-0.35, 0.35, (2, count)) * depth), depth])
    return (inside - camera.translation) @ camera.rotation


@pytest.mark.parametrize("distortion", DISTORTIONS.values(), ids=DISTORTIONS)
def test_projection_equals_opencv(distortion):
    own = camera(distortion)
    points = seen_points(own)
    vector = rotation_vector(own.rotation)
    expected = cv2.projectPoints(points, vector, own.translation, MATRIX, np.array(distortion, float))[0]
    np.testing.assert_allclose(own.project(points), expected.reshape(-1, 2), atol=1e-9)


def test_fisheye_projection_equals_opencv():
    own = camera([0.05, -0.02, 0.004, -0.001], fisheye=True)
    points = seen_points(own)
    vector, translation = rotation_vector(own.rotation), own.translation
    expected = cv2.fisheye.projectPoints(points[:, None], vector, translation, MATRIX, own.distortion)[0]
    np.testing.assert_allclose(own.project(points), expected.reshape(-1, 2), atol=1e-9)


@pytest.mark.parametrize(
    ("distortion", "fisheye"), [*((d, False) for d in DISTORTIONS.values()), ([0.05, -0.02, 0.004, -0.001], True)]
)
def test_undistortion_inverts_projection(distortion, fisheye):
    skewed = MATRIX + np.array([[0, 3.0, 0], [0, 0, 0], [0, 0, 0]])
    own = camera(distortion, fisheye, matrix=skewed)
    points = seen_points(own)
    inside = own.to_camera(points)
    np.testing.assert_allclose(own.undistort(own.project(points)), inside[:, :2] / inside[:, 2:], atol=1e-9)


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_points_lie_on_the_rays_of_their_pixels(seed):
    own = camera(DISTORTIONS["five"], seed=seed)
    points = seen_points(own, 20, seed)
    toward = points - own.center
    np.testing.assert_allclose(
        own.rays(own.project(points)), toward / np.linalg.norm(toward, axis=1)[:, None], atol=1e-9
    )


def test_what_cannot_be_projected_or_inverted_is_nan():
    own = Camera("cam", MATRIX, [-0.5, 0, 0, 0], np.eye(3), np.zeros(3))
    assert np.isnan(own.project([[0, 0, -1], [np.nan, 0, 1]])).all()
    assert np.isnan(own.undistort([[np.nan, 1.0], [9000.0, 9000.0]])).all()
    assert own.project(np.zeros((2, 3, 3)) + np.array([0, 0, 1])).shape == (2, 3, 2)


def test_moving_the_world_keeps_projections():
    rig = Rig((camera(name="a"), camera(DISTORTIONS["four"], name="b", seed=0)))
    points = seen_points(rig["a"])
    rotation, translation = rotation_matrix([0.3, -0.2, 0.9]), np.array([1.0, 2, 3])
    moved = 2.5 * (points @ rotation.T + translation)
    np.testing.assert_allclose(rig.moved(rotation, translation, 2.5).project(moved), rig.project(points), atol=1e-8)


def test_a_rig_gives_cameras_by_name():
    rig = Rig((camera(name="a"), camera(name="b"), camera(name="c")))
    assert rig["b"].name == rig[1].name == "b"
    assert rig[["c", "a"]].names == ("c", "a")
    assert repr(rig) == "Rig(3 cameras: a, b, c)"
    with pytest.raises(CameraError, match="no camera 'd'; it has a, b, c"):
        rig["d"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": np.eye(4)}, "matrix of camera cam: expected 3 x 3 numbers, got 4 x 4"),
        ({"matrix": -np.eye(3)}, "positive focal lengths"),
        ({"rotation": np.diag([1.0, 1, -1])}, "determinant 1, got a mirrored one"),
        ({"rotation": 2 * np.eye(3)}, "determinant 1, got another matrix"),
        ({"translation": [0, np.nan, 0]}, "finite"),
        ({"distortion": [0.1]}, "got 1"),
        ({"distortion": [0.1] * 5, "fisheye": True}, "0 or 4 distortion coefficients of a fisheye camera, got 5"),
        ({"translation": "far"}, "expected numbers"),
    ],
)
def test_values_that_are_no_camera_are_refused(change, message):
    values = {"name": "cam", "matrix": MATRIX, "distortion": [], "rotation": np.eye(3), "translation": np.zeros(3)}
    with pytest.raises(CameraError, match=message):
        Camera(**(values | change))


def test_names_are_unique():
    with pytest.raises(CameraError, match="unique, got a twice"):
        Rig((camera(name="a"), camera(name="a")))
    with pytest.raises(CameraError, match="at least one camera"):
        Rig(())
