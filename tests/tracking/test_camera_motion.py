"""Camera motion: a known similarity of an image is found, people and static cameras do not matter."""

import cv2
import numpy as np
import pytest

from cairn.tracking.camera_motion import IDENTITY, CameraMotion

NO_BOXES = np.zeros((0, 4))


def texture(seed: int = 0) -> np.ndarray:
    """A smooth random image of 240x320."""
    noise = np.random.default_rng(seed).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)


def similarity(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((160, 120), degrees, scale)
    return turn + np.array([[0, 0, x], [0, 0, y]])


def moved(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(image, motion, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize(
    "motion", [similarity(1, 0, 7, -3), similarity(1.04, 0, 0, 0), similarity(1, 2, 0, 0), similarity(0.97, -1, -4, 5)]
)
def test_a_known_similarity_is_found(motion: np.ndarray) -> None:
    camera, image = CameraMotion(), texture()
    assert (camera(image, NO_BOXES) == IDENTITY).all()
    found = camera(moved(image, motion), NO_BOXES)
    corners = np.array([[0, 0, 1], [319, 0, 1], [0, 239, 1], [319, 239, 1]])
    assert np.abs(corners @ (found - motion).T).max() < 0.7


def test_motions_of_a_large_image_are_in_its_pixels() -> None:
    image = cv2.resize(texture(), (1280, 960))
    camera = CameraMotion()
    camera(image, NO_BOXES)
    np.testing.assert_allclose(camera(moved(image, similarity(1, 0, 16, 8)), NO_BOXES)[:, 2], (16, 8), atol=1)


def test_a_person_who_moves_is_not_the_camera() -> None:
    image, person = texture(), texture(1)[:200, :140]
    camera, shifts = CameraMotion(), []
    for i in range(8):
        frame = image.copy()
        frame[20:220, 20 + 8 * i : 160 + 8 * i] = person
        shifts.append(camera(frame, np.array([[20.0 + 8 * i, 20, 140, 200]])))
    assert all((motion == IDENTITY).all() for motion in shifts)


def test_noise_of_a_static_camera_is_no_motion_and_a_later_motion_is_noticed() -> None:
    rng, camera, image = np.random.default_rng(0), CameraMotion(), texture()
    for _ in range(40):
        noisy = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        assert (camera(noisy, NO_BOXES) == IDENTITY).all()
    total = np.eye(3)
    for i in range(1, 11):
        step = camera(moved(image, similarity(1, 0, 2.0 * i, 0)), NO_BOXES)
        total = np.vstack([step, [0, 0, 1]]) @ total
    np.testing.assert_allclose(total[:2, 2], (20, 0), atol=1.5)


@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 300, 3), (240, 320, 3)])
def test_an_image_without_corners_has_no_motion(shape: tuple[int, ...]) -> None:
    camera = CameraMotion()
    for value in (0, 128, 255):
        assert (camera(np.full(shape, value, np.uint8), NO_BOXES) == IDENTITY).all()


def test_a_scene_cut_and_another_size_have_no_motion() -> None:
    camera = CameraMotion()
    camera(texture(0), NO_BOXES)
    assert (camera(texture(5), NO_BOXES) == IDENTITY).all()
    assert (camera(texture(5)[:200], NO_BOXES) == IDENTITY).all()
