"""Outlines on a grid: the even-odd rule point by point, and masks pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.structures.geometry import Affine, crop, field_affine, from_corner
from cairn.structures.outline import Polygons, RunLengths, covered

SIZE = (13, 17)


def polygon(*rings: np.ndarray) -> Polygons:
    return Polygons(tuple(np.asarray(ring, "<f4").tobytes() for ring in rings))


def run_lengths(mask: np.ndarray) -> RunLengths:
    """By the definition: column by column, outside and inside in turn."""
    counts, inside = [0], False
    for value in mask.T.ravel().tolist():
        if value != inside:
            counts.append(0)
            inside = value
        counts[-1] += 1
    return RunLengths(np.array(counts, np.uint16), mask.shape)


def is_inside(ring: np.ndarray, x: float, y: float) -> bool:
    """Counts the edges that a ray to the right crosses, one by one."""
    crossings = 0
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (ay <= y) != (by <= y):
            crossings += ax + (y - ay) * (bx - ax) / (by - ay) > x
    return crossings % 2 == 1


def random_view(rng: np.random.Generator) -> Affine:
    """Image pixels -> cells of a map of stride 8, of a rotated and perhaps mirrored crop."""
    size = (SIZE[0] * 8, SIZE[1] * 8)
    view = crop((rng.uniform(20, 80), rng.uniform(20, 60)), rng.uniform(30, 200), size, rng.uniform(-180, 180))
    view = view.then(Affine.mirror(size[1])) if rng.random() < 0.5 else view
    return view.then(field_affine(8).inverse())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_polygons_follow_the_even_odd_rule_and_their_union(seed):
    rng = np.random.default_rng(seed)
    rings = [rng.uniform(0, 100, (int(rng.integers(3, 12)), 2)).astype(np.float32) for _ in range(rng.integers(1, 4))]
    view = random_view(rng)
    cells = [from_corner().then(view).apply(ring) for ring in rings]
    inside = covered(polygon(*rings), view, SIZE)
    expected = [[any(is_inside(ring, x, y) for ring in cells) for x in range(SIZE[1])] for y in range(SIZE[0])]
    assert np.array_equal(inside, expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_masks_are_sampled_at_the_nearest_pixel(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((60, 100)) < rng.choice([0.0, 0.5, 0.95, 1.0])
    view = random_view(rng)
    inside = covered(run_lengths(mask), view, SIZE)
    for y, x in np.ndindex(SIZE):
        column, row = np.floor(view.inverse().apply(np.array([x, y], np.float32)) + np.float32(0.5)).astype(int)
        within = 0 <= row < 60 and 0 <= column < 100
        assert inside[y, x] == (within and mask[row, column])


@pytest.mark.parametrize("stride", [1, 4])
def test_a_polygon_and_the_mask_of_the_same_pixels_agree(stride):
    """Polygons count from the corner of the first pixel: columns 3 to 6 are from 3 to 7."""
    mask = np.zeros((16, 20), bool)
    mask[2:9, 3:7] = True
    ring = np.array([(3, 2), (7, 2), (7, 9), (3, 9)])
    view = field_affine(stride).inverse()
    size = (16 // stride, 20 // stride)
    of_mask, of_polygon = covered(run_lengths(mask), view, size), covered(polygon(ring), view, size)
    assert np.array_equal(of_mask, of_polygon)
    if stride == 1:
        assert np.array_equal(of_mask, mask)


def test_the_order_and_the_start_of_corners_do_not_matter():
    rng = np.random.default_rng(3)
    ring = rng.uniform(0, 100, (9, 2))
    view = random_view(rng)
    inside = covered(polygon(ring), view, SIZE)
    assert np.array_equal(covered(polygon(ring[::-1]), view, SIZE), inside)
    assert np.array_equal(covered(polygon(np.roll(ring, 4, axis=0)), view, SIZE), inside)
