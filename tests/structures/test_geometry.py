"""Laws of the pixel convention: maps invert and compose, and move a pixel and its keypoint together."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cairn.structures.geometry import Affine, crop, field_affine, field_to_image, image_to_field, letterbox, resize

angles = st.floats(-360, 360)
factors = st.floats(0.05, 20)
shifts = st.floats(-1000, 1000)
sides = st.integers(1, 3000)
points = st.lists(st.tuples(shifts, shifts), min_size=1, max_size=5).map(np.array)


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    moved = Affine.rotation(draw(angles)).then(Affine.scaling(draw(factors), draw(factors)))
    if draw(st.booleans()):
        moved = moved.then(Affine.mirror(draw(sides)))
    return moved.then(Affine.rotation(draw(angles))).then(Affine.translation(draw(shifts), draw(shifts)))


@given(affines(), points)
def test_inverse_after_map_is_identity(affine: Affine, where: np.ndarray) -> None:
    assert_allclose(affine.inverse().apply(affine.apply(where)), where, atol=1e-6)
    assert_allclose(affine.then(affine.inverse()).matrix, np.eye(2, 3), atol=1e-6)


@given(affines(), affines(), affines(), points)
def test_then_applies_one_map_after_the_other(first: Affine, second: Affine, third: Affine, where: np.ndarray) -> None:
    size = second.scale * first.scale * 1e5
    assert_allclose(first.then(second).apply(where), second.apply(first.apply(where)), atol=1e-9 * size)
    one, other = first.then(second).then(third), first.then(second.then(third))
    assert_allclose(one.matrix, other.matrix, rtol=1e-9, atol=1e-9 * size * third.scale)


@given(affines(), affines())
def test_scales_multiply(first: Affine, second: Affine) -> None:
    assert math.isclose(first.then(second).scale, first.scale * second.scale, rel_tol=1e-6)


@given(affines())
def test_nan_stays_nan_and_float32_stays_float32(affine: Affine) -> None:
    moved = affine.apply(np.array([[np.nan, 1], [2, 3]], np.float32))
    assert moved.dtype == np.float32
    assert np.isnan(moved[0]).all()
    assert np.isfinite(moved[1]).all()


@given(sides, st.floats(-10, 3010), shifts)
def test_flip_twice_is_identity_and_keeps_the_borders(width: int, x: float, y: float) -> None:
    mirror = Affine.mirror(width)
    assert_allclose(mirror.apply(mirror.apply(np.array([x, y]))), [x, y], atol=1e-9)
    assert_allclose(mirror.apply(np.array([-0.5, y])), [width - 0.5, y])


def test_a_flipped_image_is_the_reversed_array() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Affine.mirror(11).warp(image, (7, 11)), image[:, ::-1])


@given(sides, sides, sides, sides)
def test_resizing_maps_borders_onto_borders(height: int, width: int, to_height: int, to_width: int) -> None:
    affine = resize((height, width), (to_height, to_width))
    assert_allclose(affine.apply(np.array([-0.5, -0.5])), [-0.5, -0.5])
    assert_allclose(affine.apply(np.array([width - 0.5, height - 0.5])), [to_width - 0.5, to_height - 0.5], rtol=1e-9)


@given(sides, sides, st.integers(16, 1024), st.sampled_from([1, 8, 16, 32]))
def test_a_letterbox_contains_the_whole_image(height: int, width: int, longest: int, multiple: int) -> None:
    affine, (padded_height, padded_width) = letterbox((height, width), longest, multiple)
    assert padded_height % multiple == padded_width % multiple == 0
    assert_allclose(affine.apply(np.array([-0.5, -0.5])), [-0.5, -0.5], atol=1e-9)
    x, y = affine.apply(np.array([width - 0.5, height - 0.5]))
    assert math.isclose(max(x, y), longest - 0.5)
    # The short side is rounded to whole pixels, so at most half of one is outside; padding is less than a step.
    assert 0 <= padded_width - x <= multiple + 1
    assert 0 <= padded_height - y <= multiple + 1


@given(shifts, shifts, st.floats(1, 500), st.integers(16, 512), st.integers(16, 512), angles)
def test_a_crop_centers_and_fills(x: float, y: float, side: float, height: int, width: int, degrees: float) -> None:
    affine = crop((x, y), side, (height, width), degrees)
    assert_allclose(affine.apply(np.array([x, y])), [(width - 1) / 2, (height - 1) / 2], atol=1e-6)
    assert math.isclose(affine.scale, min(height, width) / side, rel_tol=1e-9)
    right = affine.apply(np.array([x + 1, y])) - affine.apply(np.array([x, y]))
    turned = math.degrees(math.atan2(right[1], right[0]))  # y points down: positive is clockwise
    assert math.isclose(math.cos(math.radians(turned - degrees)), 1, abs_tol=1e-6)


@given(st.sampled_from([1, 2, 4, 8, 16]), points)
def test_map_cells_and_pixels_are_inverse(stride: int, where: np.ndarray) -> None:
    assert_allclose(image_to_field(field_to_image(where, stride), stride), where, atol=1e-9)
    assert_allclose(field_affine(stride).apply(where), field_to_image(where, stride), atol=1e-9)


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_cell_is_at_the_mean_of_its_pixels(stride: int) -> None:
    for cell in range(5):
        pixels = np.arange(cell * stride, (cell + 1) * stride)
        assert field_to_image(np.array([cell, cell]), stride)[0] == pixels.mean()


def center_of_mass(image: np.ndarray) -> np.ndarray:
    """(x, y): center of mass of the brightness."""
    mass = image.astype(float)
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(xs * mass).sum(), (ys * mass).sum()]) / mass.sum()


def spot(size: tuple[int, int], x: int, y: int, sigma: float) -> np.ndarray:
    """A Gaussian at (x, y) on black: smooth, so that resampling cannot shift its center of mass."""
    ys, xs = np.mgrid[: size[0], : size[1]]
    return (255 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2))).astype(np.float32)


@given(st.integers(20, 79), st.integers(20, 59), st.floats(0.6, 3), angles, st.booleans())
def test_a_pixel_and_its_keypoint_move_together(x: int, y: int, factor: float, turn: float, flip: bool) -> None:
    affine = crop((50.0, 40.0), 120 / factor, (120, 120), turn)
    affine = affine.then(Affine.mirror(120)) if flip else affine
    expected = affine.apply(np.array([x, y], float))
    assume(((expected > 8 * factor) & (expected < 119 - 8 * factor)).all())
    warped = affine.warp(spot((80, 100), x, y, 1.5), (120, 120), border=0)
    assert_allclose(center_of_mass(warped), expected, atol=0.05)  # OpenCV's bilinear weights have 1/32 pixel


@given(st.integers(60, 700), st.integers(60, 500), st.integers(96, 500))
def test_downscaling_keeps_position_and_brightness(x: int, y: int, longest: int) -> None:
    image = spot((561, 763), x, y, 6)
    affine, size = letterbox(image.shape[:2], longest, 32)
    warped = affine.warp(image, size, border=0)
    assert_allclose(center_of_mass(warped), affine.apply(np.array([x, y], float)), atol=0.1)
    assert math.isclose(warped.sum(), image.sum() * affine.scale**2, rel_tol=0.1)


@pytest.mark.parametrize("factor", [2, 5, 8, 16])
def test_strong_downscaling_averages(factor: int) -> None:
    """Pixel noise becomes gray; if pixels were only dropped, its contrast would stay."""
    grain = 255 * np.random.default_rng(0).integers(0, 2, (640, 640)).astype(np.float32)
    affine, size = letterbox(grain.shape, 640 // factor)
    assert affine.warp(grain, size)[2:-2, 2:-2].std() < 1.5 * grain.std() / factor


@given(st.integers(2, 60), st.integers(2, 40))
def test_masks_keep_their_values(x: int, y: int) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[y:, x:] = 1
    turned = crop((32.0, 24.0), 40, (33, 33), 30).warp(mask, (33, 33), border=1, smooth=False)
    assert set(np.unique(turned)) <= {0, 1}


def test_pixels_outside_the_image_get_the_border_value() -> None:
    warped = Affine.translation(10, 0).warp(np.full((8, 8, 3), 200, np.uint8), (8, 24), border=127)
    assert (warped[:, :9] == 127).all()
    assert (warped[:, 11:17] == 200).all()
    assert (warped[:, 19:] == 127).all()
