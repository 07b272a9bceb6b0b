import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.fields import render_pafs

SEEDS = st.integers(0, 2**32 - 1)
LIMBS = ((0, 1), (2, 1))


@given(SEEDS, st.floats(0.3, 2.5), st.booleans())
def test_fields_equal_the_papers_definition_at_every_cell(seed: int, width: float, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-4, 14, (4, 3, 2))
    if whole:  # horizontal and vertical limbs, cells on edges, limbs without length
        keypoints, width = np.round(keypoints / 3), 1.0
    keypoints[rng.random((4, 3)) < 0.2] = np.nan
    fields = render_pafs(keypoints, LIMBS, (9, 12), width)
    assert fields.shape == (4, 9, 12)
    assert fields.dtype == np.float32
    for limb, y, x in np.ndindex(2, 9, 12):
        vectors = []
        for person in keypoints:
            (ax, ay), (bx, by) = person[LIMBS[limb][0]], person[LIMBS[limb][1]]
            length = math.hypot(bx - ax, by - ay)
            if not length > 0:
                continue
            vx, vy = (bx - ax) / length, (by - ay) / length
            along, across = vx * (x - ax) + vy * (y - ay), -vy * (x - ax) + vx * (y - ay)
            if -1e-9 <= along <= length + 1e-9 and abs(across) <= width + 1e-9:
                vectors.append((vx, vy))
        expected = np.mean(vectors, axis=0) if vectors else np.zeros(2)
        np.testing.assert_allclose(fields[2 * limb : 2 * limb + 2, y, x], expected, atol=1e-6)


def test_fields_of_nobody_and_of_no_limbs_are_empty() -> None:
    assert not render_pafs(np.zeros((0, 3, 2)), LIMBS, (4, 5), 1.0).any()
    assert render_pafs(np.zeros((0, 3, 2)), LIMBS, (4, 5), 1.0).shape == (4, 4, 5)
    assert render_pafs(np.zeros((2, 3, 2)), (), (4, 5), 1.0).shape == (0, 4, 5)
