"""Pixels of more than 8 bits: the declared range is used, else the measured one; 16 bits stay 16 bits."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.depth import to_8_bits
from cairn.media.images import EncodedImage, decode_image
from support.made_tiffs import ramp, tiff


def png(pixels: NDArray[np.uint16], significant: int | None = None) -> bytes:
    """A 16-bit gray PNG, with or without a chunk sBIT."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 0, 0, 0, 0))
    bits = b"" if significant is None else chunk(b"sBIT", bytes([significant]))
    return b"\x89PNG\r\n\x1a\n" + head + bits + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gray(data: bytes) -> tuple[NDArray[np.uint8], str]:
    image, note = EncodedImage.parse(data).decode()
    return image[..., 0], note


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("make", [png, lambda pixels: tiff([pixels])], ids=["png", "tiff"])
def test_measured_range_is_stretched_and_noted(bits: int, make: object) -> None:
    image, note = gray(make(ramp(bits)))  # type: ignore[operator]
    np.testing.assert_allclose(image, np.float64(ramp(bits)) * 255 / (2**bits - 1), atol=0.51)
    assert note == f"has {bits}-bit data in 16 bits: 0 to {2**bits - 1} is stretched"


@pytest.mark.parametrize("declared", [1023, 4095, 16383, 3000])
def test_declared_range_wins_over_darker_pixels(declared: int) -> None:
    dark = ramp(8)
    image, note = gray(tiff([dark], [{0x119: declared}]))
    np.testing.assert_allclose(image, np.float64(dark) * 255 / declared, atol=0.51)
    assert f"0 to {declared} is stretched" in note


@pytest.mark.parametrize("data", [tiff([ramp(12)], [{0x119: 65535}]), png(ramp(12), 16)], ids=["tiff", "png"])
def test_declared_16_bits_stay(data: bytes) -> None:
    image, note = gray(data)
    np.testing.assert_allclose(image, np.float64(ramp(12)) / 257, atol=0.51)
    assert note == ""


def test_declared_range_that_pixels_exceed_is_ignored() -> None:
    image, note = gray(tiff([ramp(16)], [{0x119: 4095}]))
    np.testing.assert_allclose(image, np.float64(ramp(16)) / 257, atol=0.51)
    assert note == ""


def test_png_with_significant_bits_is_scaled_already() -> None:
    """The format demands it; some writers store the values as they are all the same."""
    values = ramp(12).astype(np.uint32)
    scaled = ((values << 4) | (values >> 8)).astype(np.uint16)
    assert gray(png(scaled, 12))[1] == ""
    np.testing.assert_allclose(gray(png(scaled, 12))[0], np.float64(scaled) / 257, atol=0.51)
    dark = (ramp(8) << 4).astype(np.uint16)  # the darkest sixteenth, scaled
    np.testing.assert_allclose(gray(png(dark, 12))[0], np.float64(dark) / 257, atol=0.51)
    np.testing.assert_allclose(gray(png(ramp(12), 12))[0], np.float64(ramp(12)) * 255 / 4095, atol=0.51)


@pytest.mark.parametrize("pixels", [ramp(16), ramp(15), ramp(8) * 257, np.zeros((4, 4), np.uint16)])
def test_full_range_and_black_stay(pixels: NDArray[np.uint16]) -> None:
    image, note = gray(png(pixels))
    np.testing.assert_allclose(image, np.float64(pixels) / 257, atol=0.51)
    assert note == ""


def test_opaque_alpha_does_not_hide_the_range() -> None:
    color = np.dstack([ramp(12)] * 3 + [np.full((32, 48), 65535, np.uint16)])
    image = decode_image(cv2.imencode(".png", color)[1].tobytes())
    np.testing.assert_allclose(image[..., 0], np.float64(ramp(12)) * 255 / 4095, atol=1)


@pytest.mark.parametrize("depth", [10, 12])
def test_avif_of_more_bits(depth: int) -> None:
    if not cv2.haveImageWriter("x.avif"):
        pytest.skip("this OpenCV has no AVIF")
    pixels = np.dstack([ramp(depth)] * 3)
    options = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100]
    image = decode_image(cv2.imencode(".avif", pixels, options)[1].tobytes())
    assert np.abs(image - np.float64(pixels) * 255 / (2**depth - 1)).mean() < 2


def test_jpeg_2000_of_16_bits() -> None:
    image = decode_image(cv2.imencode(".jp2", ramp(16))[1].tobytes())
    assert np.abs(image[..., 0] - np.float64(ramp(16)) / 257).mean() < 1


def test_float_from_0_to_1_is_scaled_and_noted() -> None:
    values = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(32, 48)
    image, note = gray(tiff([values]))
    np.testing.assert_allclose(image, values * 255, atol=0.51)
    assert note == "has float32 data: 0 to 1 is stretched"


@pytest.mark.parametrize("value", [-0.1, 1.1, 255.0, np.nan, np.inf])
def test_other_float_pixels_raise(value: float) -> None:
    values = np.full((8, 8), 0.5, np.float32)
    values[3, 4] = value
    with pytest.raises(ImageError, match="has float32 pixels beyond 0 to 1"):
        decode_image(tiff([values]))


@given(st.integers(1, 65535))
def test_white_is_white_or_the_full_range_is_used(highest: int) -> None:
    pixels = np.array([[0, highest]], np.uint16)
    image, note = to_8_bits(pixels)
    assert image[0, 0] == 0
    assert image[0, 1] >= highest * 255 // 65535
    assert bool(note) == (image[0, 1] > (highest + 128) // 257)
