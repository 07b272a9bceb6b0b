"""The foreground of views: from alpha, files, black or the background of each camera."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cairn.errors import ImageError
from cairn.media.images import read_image
from cairn.methods.keypointnet.masks import foreground
from support.made_views import ring, write_views


def read(folder: Path):
    paths = [sorted(own.glob("*.png")) for own in sorted(folder.glob("object-*"))]
    return paths, [[read_image(path) for path in own] for own in paths]


def expected(folder: Path):
    paths, _ = read(folder)
    return [[cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3] > 0 for path in own] for own in paths]


def overlap(first, second):
    pairs = [(a, b) for own, other in zip(first, second, strict=True) for a, b in zip(own, other, strict=True)]
    return min((a & b).sum() / (a | b).sum() for a, b in pairs)


def without_alpha(folder: Path, background):
    """Replaces alpha by a background (H, W, 3) of each camera, and writes the masks beside."""
    for own in folder.glob("object-*"):
        for number, path in enumerate(sorted(own.glob("*.png"))):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            back = background(number, image.shape[:2])
            cv2.imwrite(str(path), np.where(image[..., 3:] > 0, image[..., :3], back).astype(np.uint8))


def test_alpha_is_taken_first(tmp_path):
    folder = write_views(tmp_path / "views")
    for kind in ("auto", "alpha"):
        assert overlap(foreground(*read(folder), kind), expected(folder)) == 1


def test_black_where_there_is_no_alpha(tmp_path):
    truth = expected(write_views(tmp_path / "views"))
    without_alpha(tmp_path / "views", lambda number, size: np.zeros((*size, 3)))
    assert overlap(foreground(*read(tmp_path / "views"), "auto"), truth) == 1


def test_files_beside_the_images(tmp_path):
    folder = write_views(tmp_path / "views")
    truth = expected(folder)
    without_alpha(folder, lambda number, size: np.full((*size, 3), 30))
    for own, masks in zip(sorted(folder.glob("object-*")), truth, strict=True):
        (own / "masks").mkdir()
        for path, mask in zip(sorted(own.glob("*.png")), masks, strict=True):
            cv2.imwrite(str(own / "masks" / path.name), 255 * mask.astype(np.uint8))
    assert overlap(foreground(*read(folder), "auto"), truth) == 1
    (folder / "object-1" / "masks" / "v03.png").unlink()
    with pytest.raises(ImageError, match="no mask v03 in"):
        foreground(*read(folder), "files")


def test_the_background_of_each_camera(tmp_path):
    folder = write_views(tmp_path / "views", rig=ring(6, 48))
    truth = expected(folder)

    def background(number, size):
        return np.random.default_rng(number).integers(0, 40, (*size, 3))

    without_alpha(folder, background)
    (folder / "background").mkdir()
    for number, path in enumerate(sorted((folder / "object-0").glob("*.png"))):
        cv2.imwrite(str(folder / "background" / path.name), background(number, (48, 48)))
    for kind in ("auto", "background"):
        assert overlap(foreground(*read(folder), kind), truth) > 0.85
    (folder / "background" / "v03.png").unlink()
    with pytest.raises(ImageError, match="no image v03 in a folder background"):
        foreground(*read(folder), "background")


def test_images_whose_foreground_cannot_be_told(tmp_path):
    folder = write_views(tmp_path / "views")
    without_alpha(folder, lambda number, size: np.full((*size, 3), 30))
    with pytest.raises(ImageError, match="no alpha channel, no folder masks beside it, no folder background"):
        foreground(*read(folder), "auto")


def test_an_empty_mask_is_named(tmp_path):
    folder = write_views(tmp_path / "views")
    path = folder / "object-1" / "v02.png"
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    image[..., 3] = 0
    cv2.imwrite(str(path), image)
    with pytest.raises(ImageError, match=r"v02.png \(alpha\) covers 0.0% of the image"):
        foreground(*read(folder), "alpha")


def test_a_mask_of_everything_is_none(tmp_path):
    folder = write_views(tmp_path / "views")
    without_alpha(folder, lambda number, size: np.full((*size, 3), 30))
    with pytest.raises(ImageError, match=r"covers 100.0% of the image"):
        foreground(*read(folder), "black")
    with pytest.raises(ImageError, match="has no alpha channel: choose other masks"):
        foreground(*read(folder), "alpha")
