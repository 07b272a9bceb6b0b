import base64
import json
import re

import numpy as np
import pytest

from cairn.visualization.page import page
from cairn.visualization.scene3d import LineSet, PointSet, Surface, scene
from support.browser import scene_image

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
RED, GREEN, BLUE = (220, 20, 20), (20, 200, 20), (20, 20, 220)


def data(html):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])


def decoded(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def test_positions_and_colors_arrive_as_given():
    lines = np.stack([CORNERS[[0, 0]], CORNERS[[1, 2]]], axis=1)
    colors = np.array([RED, GREEN, BLUE, RED])
    items = data(scene([PointSet("p", CORNERS, colors), LineSet("l", lines, BLUE), Surface("s", CORNERS, [[0, 1, 2]])]))
    points, segments, surface = items["items"]
    np.testing.assert_array_equal(decoded(points["positions"], np.float32).reshape(-1, 3), CORNERS)
    np.testing.assert_array_equal(decoded(points["colors"], np.uint8).reshape(-1, 3), colors)
    np.testing.assert_array_equal(decoded(segments["positions"], np.float32).reshape(-1, 2, 3), lines)
    np.testing.assert_array_equal(decoded(segments["colors"], np.uint8).reshape(-1, 3), [BLUE, BLUE])
    assert decoded(surface["faces"], np.uint32).tolist() == [0, 1, 2]
    assert items["center"] == [0.5, 0.5, 0.5]
    assert items["radius"] == pytest.approx(np.sqrt(3) / 2)


def test_outliers_and_missing_points_do_not_change_the_view():
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-1, 1, (5000, 3))
    cloud[:3] = [[1e6, 0, 0], [np.nan] * 3, [0, -1e6, 0]]
    assert data(scene([PointSet("p", cloud, RED)]))["radius"] < 2
    assert data(scene([PointSet("p", np.full((3, 3), np.nan), RED)]))["radius"] == 1
    assert data(scene([]))["frames"] == 1


def test_a_recording_has_a_player_and_one_number_of_frames():
    moving = PointSet("p", np.zeros((5, 4, 3)), RED)
    html = scene([moving, PointSet("still", CORNERS, BLUE)], rate=25)
    assert (data(html)["frames"], data(html)["rate"]) == (5, 25)
    assert 'type="range"' in html
    assert 'type="range"' not in scene([PointSet("still", CORNERS, BLUE)])
    with pytest.raises(ValueError, match="1 or 5 frames"):
        scene([moving, PointSet("q", np.zeros((3, 4, 3)), RED)])


def test_names_cannot_break_the_page():
    html = scene([PointSet("</script><b>", CORNERS, RED, labels=("</script>", "a", "b", "c"))])
    assert "<b>" not in html
    assert data(html)["items"][0]["labels"][0] == "</script>"


def test_nothing_is_loaded_from_elsewhere():
    html = page("Scene", [scene([PointSet("p", CORNERS, RED)])])
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "http" not in html


def test_a_browser_draws_all_kinds(tmp_path):
    lines = LineSet("l", np.array([[[-1, 0, 0.5], [-1, 0, -0.5]]]), GREEN, 8)
    items = [PointSet("p", [[1, 0, 0.0]], RED, 40), lines, Surface("s", 0.5 * CORNERS, [[0, 1, 2], [0, 1, 3]], BLUE)]
    path = tmp_path / "scene.html"
    path.write_text(page("Scene", [scene(items, height=500)]))
    image = scene_image(path)[100:600].astype(int)  # the canvas, without the dots of the legend
    for channel in range(3):
        others = [c for c in range(3) if c != channel]
        assert (image[..., channel] - image[..., others].max(axis=-1) > 40).sum() > 300, "RGB"[channel]


def test_up_points_up_and_the_view_is_not_mirrored(tmp_path):
    # Seen from azimuth 0.6, x is toward the viewer and to the left, y to the right, and z up.
    points = [PointSet("x", [[0, 1, 0.0]], RED, 40), PointSet("z", [[0, 0, 1.0]], BLUE, 40)]
    path = tmp_path / "scene.html"
    path.write_text(page("Scene", [scene([*points, PointSet("o", [[0, -1, 0], [0, 0, -1.0]], GREEN, 5)], height=500)]))
    image = scene_image(path)[100:600].astype(int)
    (red_y, red_x), (blue_y, _) = (
        np.argwhere(image[..., a] - image[..., b] > 100).mean(axis=0) for a, b in ((0, 2), (2, 0))
    )
    assert blue_y < red_y - 50
    assert red_x > 450
