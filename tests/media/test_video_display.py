"""A frame is what a player shows: the display matrix is applied once, the pixel aspect ratio is kept."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import cairn.media.video
from cairn.media.orientation import MATRICES, combined, mp4_orientation, nearest_orientation, oriented, swaps_axes
from cairn.media.video import open_video, write_video

av = pytest.importorskip("av", reason="PyAV is not installed")

SIZE = (64, 96)
BACKENDS = {"pyav": True, "opencv": False}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(cairn.media.video, "has_pyav", lambda: BACKENDS[request.param])
    return str(request.param)


def corners() -> NDArray[np.uint8]:
    """Four quarters of different brightness, so that every orientation looks different."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:32, 48:], image[32:, :48], image[32:, 48:] = 80, 160, 240
    return image


def write(path: Path, aspect: Fraction | None = None, codec: str = "libx264", rotation: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(corners(), format="rgb24")))
        container.mux(stream.encode())
    return path


def set_matrix(path: Path, box: bytes, at: int, matrix: tuple[float, float, float, float]) -> None:
    """Overwrites the matrix of a box of an MP4 file, whose version is 0."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (round(value * 65536) for value in matrix)
    struct.pack_into(">9i", data, data.index(box) + 4 + at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def displayed(image: NDArray[np.uint8], matrix: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Moves every pixel as the matrix states."""
    y, x = np.indices(image.shape[:2])
    a, b, c, d = matrix
    to_x, to_y = (a * x + c * y).astype(int), (b * x + d * y).astype(int)
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    result = np.empty((to_y.max() + 1, to_x.max() + 1, 3), np.uint8)
    result[to_y, to_x] = image
    return result


def first_frame(path: Path) -> tuple[NDArray[np.uint8], Fraction]:
    with open_video(path) as video:
        frame = next(iter(video))
        assert frame.image is not None
        assert video.size == frame.image.shape[:2]
        return frame.image, video.pixel_aspect


def assert_shows(image: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("matrix", MATRICES.values())
def test_orientation_of_an_image_equals_its_matrix(matrix: tuple[float, float, float, float]) -> None:
    number = nearest_orientation(matrix)
    np.testing.assert_array_equal(oriented(corners(), number), displayed(corners(), matrix))


@given(st.sampled_from(range(1, 9)), st.sampled_from(range(1, 9)))
def test_combined_matrices_act_one_after_the_other(first: int, second: int) -> None:
    both = nearest_orientation(combined(MATRICES[first], MATRICES[second]))
    np.testing.assert_array_equal(oriented(oriented(corners(), first), second), oriented(corners(), both))


@pytest.mark.parametrize("orientation", MATRICES)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_all_eight_matrices_are_applied_once(tmp_path: Path, backend: str, orientation: int, suffix: str) -> None:
    path = write(tmp_path / f"turned{suffix}")
    set_matrix(path, b"tkhd", 40, MATRICES[orientation])
    assert_shows(first_frame(path)[0], displayed(corners(), MATRICES[orientation]))


@pytest.mark.parametrize(("track", "movie"), [(6, 2), (2, 8), (1, 4), (3, 3)])
def test_matrix_of_the_movie_acts_after_that_of_the_track(tmp_path: Path, backend: str, track: int, movie: int) -> None:
    path = write(tmp_path / "turned.mp4")
    set_matrix(path, b"tkhd", 40, MATRICES[track])
    set_matrix(path, b"mvhd", 36, MATRICES[movie])
    assert_shows(first_frame(path)[0], displayed(displayed(corners(), MATRICES[track]), MATRICES[movie]))


def test_matrix_that_is_nearly_a_rotation_or_zero(tmp_path: Path, backend: str) -> None:
    path = write(tmp_path / "turned.mp4")
    set_matrix(path, b"tkhd", 40, (0.02, 0.99, -0.99, 0.02))
    assert_shows(first_frame(path)[0], displayed(corners(), MATRICES[6]))
    set_matrix(path, b"tkhd", 40, (0, 0, 0, 0))
    assert first_frame(path)[0].shape[2] == 3


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_in_matroska(tmp_path: Path, backend: str, degrees: int) -> None:
    path = write(tmp_path / "turned.mkv", rotation=degrees)
    assert_shows(first_frame(path)[0], np.rot90(corners(), degrees // 90))


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(1, 2), Fraction(64, 45), Fraction(1)])
@pytest.mark.parametrize("orientation", [1, 2, 6])
def test_pixel_aspect_ratio_is_that_of_the_shown_frame(
    tmp_path: Path, backend: str, aspect: Fraction, orientation: int
) -> None:
    path = write(tmp_path / "wide.mp4", aspect)
    set_matrix(path, b"tkhd", 40, MATRICES[orientation])
    image, read = first_frame(path)
    assert read == (1 / aspect if swaps_axes(orientation) else aspect)
    assert image.shape[:2] == (SIZE[::-1] if swaps_axes(orientation) else SIZE)  # pixels stay as they are stored


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(1, 2)])
def test_written_mp4_states_the_pixel_aspect_ratio(tmp_path: Path, aspect: Fraction) -> None:
    with write_video(tmp_path / "drawn.mp4", SIZE, 10, pixel_aspect=aspect) as writer:
        writer.write(corners())
    image, read = first_frame(tmp_path / "drawn.mp4")
    assert (image.shape[:2], read) == (SIZE, aspect)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (64, 128)), (Fraction(1, 2), (128, 96))])
def test_written_webm_is_stretched_to_square_pixels(
    tmp_path: Path, backend: str, aspect: Fraction, size: tuple[int, int]
) -> None:
    with write_video(tmp_path / "drawn.webm", SIZE, 10, pixel_aspect=aspect) as writer:
        for _ in range(3):
            writer.write(corners())
    image, read = first_frame(tmp_path / "drawn.webm")
    assert (image.shape[:2], read) == (size, 1)


@pytest.mark.parametrize("wrong", [None, 0, Fraction(1, 100), Fraction(1000)])
def test_wrong_pixel_aspect_ratio_is_square(wrong: Fraction | None) -> None:
    assert cairn.media.video.frames.sane_aspect(wrong) == 1


@pytest.mark.parametrize("cut", [0, 7, 30, 200])
def test_matrix_of_a_cut_off_header_is_none_or_the_default(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "clip.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") + cut])
    assert mp4_orientation(path) in (None, 1)
