"""Images in memory: every kind of input becomes (H, W, 3) uint8 RGB, or raises one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.images import read_image, write_image
from cairn.media.inputs import as_image, as_images, is_batch

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_path_bytes_and_arrays_give_the_same_pixels(image: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    write_image(path, image)
    data = path.read_bytes()
    for given_ in (path, str(path), data, bytearray(data), memoryview(data), image, Image.open(path)):
        np.testing.assert_array_equal(as_image(given_), image)


def test_rgb_array_is_not_copied(image: NDArray[np.uint8]) -> None:
    assert as_image(image) is image
    image.flags.writeable = False
    assert as_image(image) is image


@pytest.mark.parametrize("view", [lambda a: a[::2, ::-2], lambda a: a[..., ::-1], lambda a: a.transpose(1, 0, 2)])
def test_views_become_contiguous(image: NDArray[np.uint8], view: Callable[[Any], Any]) -> None:
    result = as_image(view(image))
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, view(image))


def test_grayscale_is_expanded(image: NDArray[np.uint8]) -> None:
    gray = image[..., 0]
    for given_ in (gray, gray[..., None], Image.fromarray(gray)):
        np.testing.assert_array_equal(as_image(given_), np.dstack([gray] * 3))


@given(st.integers(0, 255), st.integers(0, 255))
def test_transparency_is_composited_on_white_as_files_are(value: int, alpha: int) -> None:
    rgba = np.full((2, 2, 4), (value, 10, 200, alpha), np.uint8)
    encoded = cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])[1].tobytes()
    expected = as_image(encoded)
    np.testing.assert_array_equal(as_image(rgba), expected)
    np.testing.assert_array_equal(as_image(Image.fromarray(rgba)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_a_pil_image_is_applied(image: NDArray[np.uint8], orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(image).save(tmp_path / "image.png", exif=exif)
    expected = read_image(tmp_path / "image.png")
    np.testing.assert_array_equal(as_image(Image.open(tmp_path / "image.png")), expected)
    assert expected.shape == ((30, 20, 3) if orientation > 4 else (20, 30, 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "I;16"])
def test_every_pil_mode_gives_rgb(image: NDArray[np.uint8], mode: str) -> None:
    gray = Image.fromarray(image).convert("L")
    source = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257) if mode == "I;16" else gray.convert(mode)
    assert source.mode == mode
    result = as_image(source)
    assert result.shape == (20, 30, 3)
    expected = np.asarray(source.convert("RGB")) if mode != "I;16" else np.dstack([np.asarray(gray)] * 3)
    np.testing.assert_array_equal(result, expected)


class Tensor:
    """Stands for torch.Tensor."""

    __module__ = "torch"
    shape = (3, 20, 30)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"expected an image \(a path, bytes, .*\), got None"),
        (7, "got int"),
        (np.zeros((4, 4, 3)), r"expected an image of uint8 from 0 to 255, got float64 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint16), r"got uint16 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), bool), r"got bool \(4, 4, 3\)"),
        (np.zeros((4, 4, 2), np.uint8), r"\(H, W, 4\) RGBA\), got uint8 \(4, 4, 2\)"),
        (np.zeros((3, 40, 50), np.uint8), r"channels last, got \(3, 40, 50\): transpose it by \(1, 2, 0\)"),
        (np.zeros(7, np.uint8), r"got uint8 \(7,\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"got uint8 \(2, 4, 4, 3\)"),
        (np.zeros((0, 0, 3), np.uint8), r"one pixel at least, got \(0, 0, 3\)"),
        (np.zeros((0, 5), np.uint8), r"one pixel at least, got \(0, 5\)"),
        ("rtsp://me:secret@10.0.0.1/s", r"^rtsp://10.0.0.1/s is a stream, not an image: use the method stream"),
        (Path("s3://bucket/a.jpg"), "^s3://bucket/a.jpg has a scheme that is not read"),
        ("no\0name.jpg", "cannot read"),
        (b"", "the encoded image is empty"),
        (b"text", "the encoded image is not an image in a supported format"),
        (["a.jpg"], "got a list of 1: pass one image at a time"),
        (Tensor(), r"got torch.Tensor \(3, 20, 30\): convert it to a uint8 array \(H, W, 3\)"),
        (Image.new("F", (4, 4)), "8 or 16 bits a channel, got mode F"),
        (Image.new("RGB", (0, 4)), "one pixel at least, got a PIL image of 0×4"),
    ],
)
def test_other_values_raise_one_line(value: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        as_image(value)
    assert "\n" not in str(caught.value)


def test_truncated_pil_image_raises_image_error(image: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    write_image(path, image)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match="the PIL image cannot be decoded"):
        as_image(Image.open(path))


def test_batches(image: NDArray[np.uint8]) -> None:
    assert [is_batch(value) for value in ([image], (image,), image[None], image, "a.jpg", b"")] == [True] * 3 + [
        False
    ] * 3
    assert len(as_images([image, image[..., 0]])) == len(as_images(np.stack([image, image]))) == 2
    with pytest.raises(ImageError, match=r"image 1 of the batch: no image at absent\.png"):
        as_images([image, "absent.png"])
