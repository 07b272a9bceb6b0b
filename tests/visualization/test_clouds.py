import re

import numpy as np
import pytest

from cairn.structures.cloud import Cloud, CloudKeypoints
from cairn.visualization.clouds import keypoint_image, keypoint_page, registration_page, score_colors
from support.browser import scene_image
from support.clouds import FACES, SQUARE, bumpy_sphere

POINTS = bumpy_sphere(3000)


def keypoints(cloud, count=40, score="saliency"):
    rows = np.arange(0, len(cloud), max(1, len(cloud) // count))
    return CloudKeypoints(cloud.points[rows], np.linspace(1, 0, len(rows)), rows, cloud, score, method="iss")


def test_colors_follow_the_rank_of_scores():
    scores = np.array([1e-9, 5.0, 0.1])
    colors = score_colors(scores).astype(int)
    assert colors[1, 0] > colors[1, 2]  # the best is red
    assert colors[0, 2] > colors[0, 0]  # the worst is blue
    np.testing.assert_array_equal(score_colors(scores, lower_is_better=True)[[0, 1]], colors[[1, 0]])
    assert score_colors(np.zeros(0)).shape == (0, 3)


def test_pages_load_nothing_and_names_cannot_break_them():
    cloud = Cloud(POINTS, source="folder/<b>&.ply")
    for html in (keypoint_page(keypoints(cloud)), registration_page(cloud, cloud, "<i>")):
        assert "<b>" not in html
        assert "<i>" not in html
        assert not re.search(r'(src|href)="(?!data:)', html)
        assert "http" not in html


def test_large_clouds_are_thinned(monkeypatch):
    monkeypatch.setattr("cairn.visualization.clouds.MAX_DRAWN", 500)
    assert len(keypoint_page(keypoints(Cloud(POINTS)))) < 40_000


@pytest.mark.parametrize("mesh", [False, True])
def test_a_browser_draws_the_cloud_and_the_keypoints(tmp_path, mesh):
    cloud = Cloud(SQUARE, faces=FACES) if mesh else Cloud(POINTS)
    path = tmp_path / "cloud.html"
    path.write_text(keypoint_page(keypoints(cloud, 4 if mesh else 40)))
    image = scene_image(path)[170:700].astype(int)
    red = (image[..., 0] - image[..., 1:].max(axis=-1) > 60).sum()
    gray = ((np.ptp(image, axis=-1) < 12) & (image.max(axis=-1) < 215)).sum()
    assert red > 30
    assert gray > 1500


def test_images_show_keypoints_in_their_colors():
    cloud = Cloud(POINTS)
    image = keypoint_image(keypoints(cloud))
    plain = keypoint_image(keypoints(cloud)[:0])
    assert image.shape == plain.shape
    assert image.shape[0] == 700
    assert (np.ptp(plain.astype(int), axis=-1) == 0).all()
    assert (np.ptp(image.astype(int), axis=-1) > 60).sum() > 500


@pytest.mark.parametrize(
    "points", [np.array([[0, 0, 0], [1, 0, 0.0]]), np.random.default_rng(0).random((50, 3)) * [1, 1, 0]]
)
def test_flat_clouds_have_images(points):
    assert keypoint_image(keypoints(Cloud(points))).ndim == 3
