"""The table of sectors is an upper bound of every sample of a PAF, and not much more."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.ops.sectors import sector_of, sectors_above

SEEDS = st.integers(0, 2**32 - 1)


def bit_of(angle: float) -> int:
    dx, dy = np.array([math.cos(angle)]), np.array([math.sin(angle)])
    return int(sector_of(dx, dy, np.abs(dx) > np.abs(dy))[0])


def test_eight_sectors_of_45_degrees_have_one_bit_each() -> None:
    bits = [bit_of(math.radians(45 * sector + turn)) for sector in range(8) for turn in (1, 22, 44)]
    assert bits[::3] == bits[1::3] == bits[2::3]
    assert sum(set(bits)) == 255
    assert len(set(bits)) == 8


@given(SEEDS, st.sampled_from([0.05, 0.01, 0.4, 0.0, -0.2, -math.inf]))
def test_each_sample_above_the_threshold_has_its_bit(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    pafs = (rng.normal(size=(4, 6, 7)) * rng.choice([0.02, 0.1, 1])).astype(np.float32)
    table = sectors_above(pafs, threshold)
    for _ in range(50):
        limb, row, column, angle = rng.integers(2), rng.integers(5), rng.integers(6), rng.uniform(0, 2 * math.pi)
        fx, fy = rng.choice([0, 1, rng.random()]), rng.choice([0, 1, rng.random()])
        corners = pafs[2 * limb : 2 * limb + 2, row : row + 2, column : column + 2]
        vector = corners @ [1 - fx, fx] @ [1 - fy, fy]
        if vector @ [math.cos(angle), math.sin(angle)] > threshold:
            assert table[limb, row, column] & bit_of(angle)


@pytest.mark.parametrize("angle", np.radians([0, 10, 45, 100, 180, 200, 315, 350]))
def test_directions_away_from_a_limb_have_no_bit(angle: float) -> None:
    pafs = np.zeros((2, 5, 5), np.float32)
    pafs[:, 1:4, 1:4] = np.array([math.cos(angle), math.sin(angle)])[:, None, None]
    table = sectors_above(pafs, 0.05)
    for turn in np.radians(np.arange(0, 360, 5) + 0.5):
        expected = math.cos(turn) > 0.05
        bit = bool(table[0, 2, 2] & bit_of(angle + turn))
        assert bit or not expected
        if math.cos(turn) < -math.sin(math.radians(45)):
            assert not bit
    assert table[0, 4, 4] == 0  # no limb at the corners of the map
