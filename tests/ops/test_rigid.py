"""The motion between point sets, and its standard error."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cairn.ops.rigid import rigid

COUNT, NOISE = 3000, 0.02
POINTS = np.random.default_rng(0).normal(size=(8, 3)) * [1, 0.6, 0.3]


def test_exact_points_give_the_motion_without_error():
    turn = Rotation.random(random_state=0).as_matrix()
    found = rigid(POINTS[None], (POINTS @ turn.T + [1, 2, 3])[None])
    np.testing.assert_allclose(found.rotation[0], turn, atol=1e-9)
    np.testing.assert_allclose(found.translation[0], [1, 2, 3], atol=1e-9)
    assert found.angle_error[0] == pytest.approx(0, abs=1e-9)


def test_the_standard_errors_are_those_of_many_draws():
    rng = np.random.default_rng(1)
    turns = Rotation.random(COUNT, random_state=2)
    second = POINTS @ np.swapaxes(turns.as_matrix(), 1, 2) + NOISE * rng.normal(size=(COUNT, *POINTS.shape))
    found = rigid(np.broadcast_to(POINTS, second.shape), second)
    angles = (Rotation.from_matrix(found.rotation) * turns.inv()).magnitude()
    assert np.sqrt((found.angle_error**2).mean()) == pytest.approx(np.sqrt((angles**2).mean()), rel=0.05)
    middle = POINTS.mean(axis=0)
    placed = found.rotation @ middle + found.translation - turns.apply(middle)
    assert np.sqrt((found.translation_error**2).mean()) == pytest.approx(
        np.sqrt((placed**2).sum(axis=1).mean()), rel=0.05
    )


def test_points_on_a_line_say_nothing_about_the_turn_around_it():
    line = np.outer(np.arange(5.0), [1, 2, 3])[None]
    assert rigid(line, line + 0.001).angle_error[0] == np.pi
