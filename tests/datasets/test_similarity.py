"""Duplicates, near-duplicates and unrelated images."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.similarity import NEAR_DUPLICATE, Signatures, group_similar, read_signatures
from cairn.media.images import write_image


def scene(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """An image of large colored regions, similar to a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def signatures_of(folder: Path, *images: np.ndarray) -> Signatures:
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        write_image(path, image)
    return read_signatures(paths)


def test_shifted_smaller_and_brighter_copies_are_near_duplicates_and_unrelated_images_are_not(tmp_path: Path) -> None:
    image = scene(0, (180, 240))
    later = np.roll(image, 2, axis=1)
    brighter = np.clip(image.astype(int) * 0.7 + 60, 0, 255).astype(np.uint8)
    signatures = signatures_of(tmp_path, image, later, scene(0), brighter, scene(1), scene(2))
    similar = signatures.thumbnails @ signatures.thumbnails.T
    assert (similar[0, 1:4] >= NEAR_DUPLICATE).all()
    assert (similar[0, 4:] < NEAR_DUPLICATE - 0.1).all()
    assert group_similar(signatures).tolist() == [0, 0, 0, 0, 1, 2]


def test_uniform_images_are_compared_by_pixels_and_damaged_ones_not_at_all(tmp_path: Path) -> None:
    white, gray = np.full((20, 30, 3), 255, np.uint8), np.full((20, 30, 3), 128, np.uint8)
    turned = np.full((30, 20, 3), 255, np.uint8)
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    signatures_of(tmp_path, white, gray, white, turned)
    names = ("0.png", "1.png", "2.png", "3.png", "damaged.png", "absent.png")
    signatures = read_signatures([tmp_path / name for name in names])
    assert group_similar(signatures).tolist() == [0, 1, 0, 2, 3, 4]
    assert sorted(signatures.unreadable) == [4, 5]
    assert "damaged.png" in signatures.unreadable[4]
    assert signatures.sizes == ((20, 30), (20, 30), (20, 30), (30, 20), (0, 0), (0, 0))


@given(st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=4), max_size=25), st.integers(0, 99))
def test_groups_are_connected_components(groups: list[list[int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.integers(0, 12, 30)  # images of one direction are near-duplicates, others are unrelated
    signatures = Signatures(
        np.eye(12, dtype=np.float32)[directions],
        tuple(bytes([i]) for i in range(30)),
        ((1, 1),) * 30,
        {},
    )
    together = np.equal.outer(directions, directions)
    for members in groups:
        together[np.ix_(members, members)] = True
    for _ in range(5):  # 2^5 steps reach every image
        together = together @ together
    group = group_similar(signatures, groups)
    assert (np.equal.outer(group, group) == together).all()
    first = np.unique(group, return_index=True)[1]
    assert (np.diff(first) > 0).all() if len(first) > 1 else True


def test_progress_counts_every_image(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(40)]
    write_image(paths[39], scene(1))
    done: list[int] = []
    signatures = read_signatures(paths, done.append)
    assert done == sorted(done)
    assert done[-1] == 40
    assert sorted(signatures.unreadable) == list(range(39))
    assert np.linalg.norm(signatures.thumbnails, axis=1) == pytest.approx([0] * 39 + [1], abs=1e-5)
