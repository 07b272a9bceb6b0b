"""Files with several pages or frames: read as clips where the pages are alike, else the first one with a note."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cairn.errors import ImageError, VideoError
from cairn.media.images import EncodedImage, image_size, read_image
from cairn.media.reading import ReadOptions, SourceFrame, read_sources
from cairn.media.sources import find_sources
from support.made_tiffs import ramp, tiff


def page(value: int, size: tuple[int, int] = (24, 40), dtype: type = np.uint8) -> NDArray:
    return np.full(size, value, dtype)


def read(path: Path, rate: float = 25.0) -> list[SourceFrame]:
    return list(read_sources(find_sources([str(path)]), ReadOptions(rate=rate)))


def values(frames: list[SourceFrame]) -> list[int]:
    return [int(frame.image[5, 5, 0]) for frame in frames if frame.image is not None]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["stack.tif", "stack", "stack.btf"])
def test_pages_of_one_size_are_frames(tmp_path: Path, big: bool, order: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(tiff([page(10 * i) for i in range(5)], big=big, order=order))
    (source,) = find_sources([str(path)])
    assert (source.kind, source.name.output.as_posix()) == ("pages", "stack")
    frames = read(path, rate=10)
    assert values(frames) == [0, 10, 20, 30, 40]
    assert [(frame.name.frame, frame.name.seconds) for frame in frames] == [(i, i / 10) for i in range(5)]
    assert {(frame.count, frame.error) for frame in frames} == {(5, None)}
    assert values(list(read_sources(find_sources([str(tmp_path)])))) == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_page_is_an_image(tmp_path: Path, big: bool, order: str, dtype: type) -> None:
    pixels = ramp(16) if dtype == np.uint16 else ramp(8).astype(np.uint8)
    path = tmp_path / "one.tif"
    path.write_bytes(tiff([pixels], big=big, order=order))
    (frame,) = read(path)
    assert frame.name.clip is None
    assert frame.image is not None
    expected = pixels / 257 if dtype == np.uint16 else pixels
    np.testing.assert_allclose(frame.image[..., 0], expected, atol=0.51)
    assert image_size(path) == pixels.shape


def test_pages_of_other_sizes_leave_the_first_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "mixed.tif"
    path.write_bytes(tiff([page(50), page(60, (12, 20)), page(70)]))
    (frame,) = read(path)
    assert values([frame]) == [50]
    assert frame.note == "has 3 pages of different sizes: the first one is read"


@pytest.mark.parametrize("tags", [{254: 1}, {254: 4}, {255: 2}])
def test_reduced_copies_and_masks_are_no_pages(tmp_path: Path, tags: dict[int, int]) -> None:
    path = tmp_path / "pyramid.tif"
    path.write_bytes(tiff([page(50), page(60, (12, 20)), page(70, (6, 10))], [{}, tags, tags]))
    (frame,) = read(path)
    assert (values([frame]), frame.note, frame.name.clip) == ([50], "", None)
    path.write_bytes(tiff([page(50), page(60), page(70)], [{}, tags, {}]))
    assert values(read(path)) == [50, 70]


def test_brightness_of_pages_does_not_flicker(tmp_path: Path) -> None:
    """A dark page after a bright one keeps the range of the bright one."""
    pages = [np.full((24, 40), value, np.uint16) for value in (0, 3000, 900, 100)]
    for one in pages[1:]:
        one[0, 0] += 1
    (tmp_path / "x.tif").write_bytes(tiff(pages))
    frames = read(tmp_path / "x.tif")
    assert values(frames) == [round(value * 255 / 4095) for value in (0, 3000, 900, 100)]
    assert "12-bit data" in frames[-1].note


def test_cut_off_stack_gives_its_whole_pages_and_one_error(tmp_path: Path) -> None:
    data = tiff([ramp(8).astype(np.uint8)] * 6)
    (tmp_path / "x.tif").write_bytes(data[: len(data) * 3 // 4])
    frames = read(tmp_path / "x.tif")
    assert 3 <= len(values(frames)) <= 5
    if frames[-1].image is None:
        assert isinstance(frames[-1].error, VideoError | ImageError)


def test_loop_of_directories_ends(tmp_path: Path) -> None:
    data = bytearray(tiff([page(1), page(2)]))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * count)
    (count,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * count, first)
    assert EncodedImage.parse(bytes(data)).header.pages == (0, 1)


def test_read_image_reads_the_first_page(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(tiff([page(10), page(20)]))
    assert read_image(tmp_path / "x.tif")[5, 5, 0] == 10
