"""What counts as the same image, and what as another."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.similarity import NEAR_DUPLICATE, Signatures, group_similar, read_signatures, most_similar
from cairn.media.images import write_image


def scene(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """An image of large blots of color, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def looked(folder: Path, *images: np.ndarray) -> Signatures:
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        write_image(path, image)
    return read_signatures(paths)


def test_a_frame_later_a_smaller_and_a_brighter_copy_are_alike_and_strangers_are_not(tmp_path: Path) -> None:
    image = scene(0, (180, 240))
    later = np.roll(image, 2, axis=1)
    brighter = np.clip(image.astype(int) * 0.7 + 60, 0, 255).astype(np.uint8)
    look = looked(tmp_path, image, later, scene(0), brighter, scene(1), scene(2))
    similar = look.thumbnails @ look.thumbnails.T
    assert (similar[0, 1:4] >= NEAR_DUPLICATE).all()
    assert (similar[0, 4:] < NEAR_DUPLICATE - 0.1).all()
    assert group_similar(look).tolist() == [0, 0, 0, 0, 1, 2]


def test_plain_images_are_told_by_their_pixels_and_damaged_ones_not_at_all(tmp_path: Path) -> None:
    white, gray = np.full((20, 30, 3), 255, np.uint8), np.full((20, 30, 3), 128, np.uint8)
    turned = np.full((30, 20, 3), 255, np.uint8)
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    looked(tmp_path, white, gray, white, turned)
    names = ("0.png", "1.png", "2.png", "3.png", "damaged.png", "absent.png")
    look = read_signatures([tmp_path / name for name in names])
    assert group_similar(look).tolist() == [0, 1, 0, 2, 3, 4]
    assert sorted(look.unreadable) == [4, 5]
    assert "damaged.png" in look.unreadable[4]
    assert look.sizes == ((20, 30), (20, 30), (20, 30), (30, 20), (0, 0), (0, 0))


@given(st.integers(1, 40), st.integers(1, 3000), st.integers(0, 99))
def test_nearest_is_the_nearest(count: int, others: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(count, 4)).astype(np.float32), rng.normal(size=(others, 4)).astype(np.float32)
    index, value = most_similar(a, b)
    expected = a.astype(np.float64) @ b.T.astype(np.float64)
    assert value == pytest.approx(expected.max(axis=1), abs=1e-5)
    assert expected[np.arange(count), index] == pytest.approx(expected.max(axis=1), abs=1e-5)


@given(st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=4), max_size=25), st.integers(0, 99))
def test_families_are_what_hangs_together(kin: list[list[int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.integers(0, 12, 30)  # images of one direction are alike, others have nothing in common
    look = Signatures(
        np.eye(12, dtype=np.float32)[directions],
        tuple(bytes([i]) for i in range(30)),
        ((1, 1),) * 30,
        {},
    )
    together = np.equal.outer(directions, directions)
    for members in kin:
        together[np.ix_(members, members)] = True
    for _ in range(5):  # 2^5 steps reach everywhere
        together = together @ together
    family = group_similar(look, kin)
    assert (np.equal.outer(family, family) == together).all()
    first = np.unique(family, return_index=True)[1]
    assert (np.diff(first) > 0).all() if len(first) > 1 else True


def test_more_images_than_fit_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.datasets.similarity.BLOCK", 4)
    directions = np.array([0, 1, 2, 3, 4, 5, 0, 7, 8, 3, 0])
    look = Signatures(
        np.eye(16, dtype=np.float32)[directions], tuple(bytes([i]) for i in range(11)), ((1, 1),) * 11, {}
    )
    assert group_similar(look).tolist() == [0, 1, 2, 3, 4, 5, 0, 6, 7, 3, 0]
