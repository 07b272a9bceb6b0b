"""A JPEG file without its end marker is accepted if and only if all its pixels are there."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.images import decode_image

KINDS = {
    "baseline": [],
    "4:4:4": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    "optimized": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 1],
    "rare restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 5],
    "progressive restarts": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2],
    "low quality": [cv2.IMWRITE_JPEG_QUALITY, 20],
}

CONTENTS = {
    "noise": np.random.default_rng(0).integers(0, 256, (41, 59, 3), dtype=np.uint8),
    "gray": np.full((40, 64, 3), 128, np.uint8),  # as libjpeg fills missing blocks
    "black": np.zeros((33, 33, 3), np.uint8),
    "one channel": np.random.default_rng(1).integers(0, 256, (41, 59), dtype=np.uint8),
}


def jpeg(kind: str, content: str) -> bytes:
    data = cv2.imencode(".jpg", CONTENTS[content], KINDS[kind])[1].tobytes()
    assert data.endswith(b"\xff\xd9")
    return data


def decoded(data: bytes) -> NDArray[np.uint8] | None:
    """Decodes a file; None where it is refused as truncated."""
    try:
        return decode_image(data)
    except ImageError as error:
        if "truncated" not in str(error):
            raise
        return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", CONTENTS)
def test_whole_data_without_end_marker_is_accepted(kind: str, content: str, capfd: pytest.CaptureFixture) -> None:
    data = jpeg(kind, content)
    for cut in (data[:-1], data[:-2], data[:-2] + b"\0\0\0"):
        np.testing.assert_array_equal(decoded(cut), decode_image(data))
    assert capfd.readouterr().err == ""  # libjpeg prints warnings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", CONTENTS)
def test_missing_pixels_are_refused(kind: str, content: str, capfd: pytest.CaptureFixture) -> None:
    """Wherever the file is cut: it is refused, or the pixels are those of the whole file."""
    data = jpeg(kind, content)
    whole = decode_image(data)
    for length in sorted({*range(len(data) - 40, len(data) - 2), *range(4, len(data) - 2, max(1, len(data) // 60))}):
        cut = decoded(data[:length])
        if cut is not None:
            np.testing.assert_array_equal(cut, whole)
    assert decoded(data[: len(data) * 2 // 3]) is None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["progressive", "progressive restarts"])
def test_missing_scans_are_refused(kind: str) -> None:
    """A file that ends exactly between two scans is whole but coarse."""
    data = jpeg(kind, "noise")
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 3
    for at in scans[1:]:
        tables = data.rfind(b"\xff\xc4", 0, at)  # of this scan, if any
        for end in {at, tables} - {-1}:
            assert decoded(data[:end]) is None


@pytest.mark.parametrize("kind", ["restarts", "rare restarts"])
def test_missing_intervals_are_refused(kind: str) -> None:
    data = jpeg(kind, "noise")
    restarts = [at for at in range(len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    assert restarts
    for at in restarts:
        for end in (at, at + 1, at + 2):
            assert decoded(data[:end]) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(list(KINDS)), st.data())
def test_any_cut_of_any_size(height: int, width: int, seed: int, kind: str, data: st.DataObject) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole = cv2.imencode(".jpg", pixels, KINDS[kind])[1].tobytes()
    cut = decoded(whole[: -data.draw(st.integers(1, min(60, len(whole) - 3)))])
    if cut is not None:
        np.testing.assert_array_equal(cut, decode_image(whole))


@pytest.mark.parametrize("seed", range(20))
def test_missing_colors_of_a_few_pixels_are_refused(seed: int) -> None:
    """Most continuations of such data decode to the same gray pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 3, 3), np.uint8)
    whole = cv2.imencode(".jpg", pixels, KINDS["low quality"])[1].tobytes()
    for cut in range(3, 20):
        assert decoded(whole[:-cut]) is None


def test_end_marker_hidden_in_metadata_does_not_count() -> None:
    data = jpeg("baseline", "noise")
    preview = b"\xff\xe2" + struct.pack(">H", 2 + len(data)) + data
    with_preview = data[:2] + preview + data[2:]
    np.testing.assert_array_equal(decoded(with_preview[:-2]), decode_image(data))
    assert decoded(with_preview[:-200]) is None
