"""Background and boxes of what moves, on made frames."""

import numpy as np
import pytest

from cairn.ops.motion import MAX_FRAMES, MIN_SIDE, SIDE, Sampler, background_of, reduced
from support.moving import frame, places, scene


@pytest.mark.parametrize(("size", "radius"), [((90, 120), 9), ((300, 400), 20), ((900, 1200), 60), ((333, 71), 8)])
@pytest.mark.parametrize("noise", [0, 6])
def test_the_box_is_around_the_disk_that_moves(size: tuple[int, int], radius: float, noise: float) -> None:
    rng = np.random.default_rng(0)
    background, centers = scene(size), places(15, size, radius, rng)
    frames = [
        frame(background, (x, y), radius, noise=noise, light=float(rng.uniform(-10, 10)), rng=rng) for x, y in centers
    ]
    found = background_of([reduced(each) for each in frames], size)
    for each, center in zip(frames, centers, strict=True):
        box = found.box(each)
        assert box is not None
        np.testing.assert_allclose(box[:2] + box[2:] / 2, center, atol=0.25 * radius + 1)
        assert box[2] == box[3] == pytest.approx(max(2 * radius, MIN_SIDE), rel=0.35)  # the disk's own ellipse
        assert found.changed(each) < 0.3


def test_a_frame_without_the_disk_has_no_box() -> None:
    rng = np.random.default_rng(0)
    size, background = (120, 160), scene((120, 160))
    frames = [frame(background, (x, y), 12, noise=4, rng=rng) for x, y in places(15, size, 12, rng)]
    found = background_of(frames, size)
    for light in (-15.0, 0.0, 15.0):
        assert found.box(frame(background, None, 12, noise=4, light=light, rng=rng)) is None
    assert found.box(frame(background, (80, 60), 12, noise=4, rng=rng)) is not None


def test_a_tail_moves_the_box_by_less_than_its_length() -> None:
    rng = np.random.default_rng(0)
    size, background = (300, 400), scene((300, 400))
    centers = places(15, (300, 320), 20, rng)
    frames = [frame(background, (x, y), 20, tail=50) for x, y in centers]
    found = background_of(frames, size)
    for each, center in zip(frames, centers, strict=True):
        box = found.box(each)
        assert box is not None
        assert np.abs(box[:2] + box[2:] / 2 - center).max() < 12
        assert box[2] < 90  # the tail ends 70 from the center


def test_the_median_is_that_of_numpy() -> None:
    frames = [np.random.default_rng(i).integers(0, 256, (150, 40, 3)).astype(np.uint8) for i in range(7)]
    found = background_of(frames, (150, 40))
    alone = background_of([np.median(np.stack(frames), axis=0).astype(np.uint8)] * 5, (150, 40))
    np.testing.assert_array_equal(found.pixels, alone.pixels)


@pytest.mark.parametrize("count", [1, 100, 101, 102, 202, 203, 1000])
def test_a_sample_is_bounded_and_even(count: int) -> None:
    sampler = Sampler()
    for i in range(count):
        sampler.add(np.full((4, 4, 3), i % 256, np.uint8))
    assert min(count, MAX_FRAMES // 2) <= len(sampler.frames) <= MAX_FRAMES
    steps = np.diff([int(each[0, 0, 0]) for each in sampler.frames]) % 256
    assert len(set(steps.tolist())) <= 1


def test_images_are_compared_at_one_size() -> None:
    assert reduced(np.zeros((3000, 4000, 3), np.uint8)).shape == (300, SIDE, 3)
    small = np.zeros((30, 40, 3), np.uint8)
    assert reduced(small) is small
