"""Laws of the loader: whatever the file, the image is what a viewer would show, or one clear error."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import ImageError, OutputError
from cairn.media.images import MAX_PIXELS, WRITTEN_SUFFIXES, decode_image, image_size, read_image, write_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(height: int = 32, width: int = 48) -> np.ndarray:
    """An image whose four corners differ: red, green / blue, white."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = BLUE, WHITE
    return image


def encode(image: np.ndarray, suffix: str) -> bytes:
    """RGB, RGBA or gray -> the bytes of a file."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, *range(3, image.shape[2])]]
    return cv2.imencode(suffix, image)[1].tobytes()


def exif(orientation: int, order: str) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + "HH", orientation, 0)
    return mark + struct.pack(order + "IHHHI", 8, 1, 0x112, 3, 1) + value + bytes(4)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_exif(data: bytes, suffix: str, tiff: bytes) -> bytes:
    if suffix == ".jpg":
        body = b"Exif\0\0" + tiff
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    if suffix == ".png":
        end = data.rindex(b"IEND") - 4  # after the pixels, where a reader that stops early would miss it
        return data[:end] + png_chunk(b"eXIf", tiff) + data[end:]
    height, width = 32, 48
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes([8, 0, 0, 0]) + size + data[12:]
    chunks += b"EXIF" + struct.pack("<I", len(tiff)) + tiff + bytes(len(tiff) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


# What a viewer does: orientation n says where the stored first row and first column belong (Exif 2.32, 4.6.4 A).
VIEWED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_applied_in_every_format(suffix: str, orientation: int, order: str) -> None:
    image = corners()
    shown = decode_image(with_exif(encode(image, suffix), suffix, exif(orientation, order)))
    expected = VIEWED[orientation](image)
    assert shown.shape == expected.shape
    assert shown.flags.c_contiguous
    assert np.abs(shown.astype(int) - expected)[4:-4:8, 4:-4:8].max() < 60  # JPEG smears the seams


def test_damaged_exif_is_ignored() -> None:
    image = corners()
    data = with_exif(encode(image, ".png"), ".png", b"II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode_image(data), image)


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_written_image_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pictüre 图{suffix}"
    write_image(path, corners())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    difference = np.abs(read_image(path).astype(int) - corners())
    assert np.median(difference) <= 2
    if suffix in (".png", ".bmp", ".tif", ".tiff"):
        assert difference.max() == 0


def test_format_is_independent_of_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "really.jpg"
    path.write_bytes(encode(corners(), ".png"))
    np.testing.assert_array_equal(read_image(path), corners())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_transparency_is_composited_on_white(suffix: str) -> None:
    image = np.dstack([corners(), np.full((32, 48), 255, np.uint8)])
    image[:16, :24, 3] = 0
    image[:16, 24:, 3] = 51  # a fifth of green over four fifths of white
    shown = decode_image(encode(image, suffix))
    assert tuple(shown[0, 0]) == WHITE
    assert tuple(shown[0, -1]) == (204, 255, 204)
    np.testing.assert_array_equal(shown[16:], corners()[16:])


def gray_alpha_png(gray: int, alpha: int) -> bytes:
    header = struct.pack(">IIBBBBB", 1, 1, 8, 4, 0, 0, 0)
    pixels = zlib.compress(bytes([0, gray, alpha]))
    parts = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@given(gray=st.integers(0, 255), alpha=st.integers(0, 255))
def test_gray_with_alpha(gray: int, alpha: int) -> None:
    shown = decode_image(gray_alpha_png(gray, alpha))
    assert shown.shape == (1, 1, 3)
    assert np.abs(shown - (gray * alpha + 255 * (255 - alpha)) / 255).max() <= 0.5


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_16_bits_are_scaled_to_8(suffix: str, channels: tuple[int, ...]) -> None:
    levels = np.linspace(0, 65535, 64).round().astype(np.uint16)
    image = np.broadcast_to(levels.reshape(8, 8, *(1 for _ in channels)), (8, 8, *channels)).copy()
    if channels == (4,):
        image[..., 3] = 65535
    shown = decode_image(encode(image, suffix))
    expected = np.repeat(levels.reshape(8, 8, 1) / 257, 3, axis=2)
    assert np.abs(shown - expected).max() <= 0.5


def test_gray_is_expanded() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(decode_image(encode(ramp, ".png")), np.dstack([ramp] * 3))


def test_one_pixel() -> None:
    np.testing.assert_array_equal(decode_image(encode(np.full((1, 1, 3), 7, np.uint8), ".png")), [[[7, 7, 7]]])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.98])
def test_truncated_file_raises(suffix: str, share: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    data = encode(image, suffix)
    with pytest.raises(ImageError, match=r"truncated|not an image"):
        decode_image(data[: int(len(data) * share)])


def test_a_progressive_jpeg_without_its_last_bytes_is_truncated() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_image(data + b"what a camera appends").shape == (64, 96, 3)
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[:-40])


def test_thumbnail_does_not_hide_a_truncated_jpeg() -> None:
    thumbnail = encode(corners(), ".jpg")
    data = with_exif(encode(corners(), ".jpg"), ".jpg", exif(1, "<") + thumbnail)
    assert decode_image(data).shape == (32, 48, 3)
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[: -len(thumbnail) // 2])


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBPVP8X"]))
def test_random_bytes_raise_image_error(rest: bytes, start: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(start + rest)


@given(st.sampled_from([".jpg", ".png", ".webp", ".tif", ".bmp", ".gif"]), st.data())
def test_flipped_byte_gives_an_image_or_image_error(suffix: str, data: st.DataObject) -> None:
    damaged = bytearray(encode(corners(), suffix))
    damaged[data.draw(st.integers(0, min(len(damaged), 400) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        image = decode_image(bytes(damaged))
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


def huge_headers() -> dict[str, bytes]:
    """20,000 × 20,000 pixels, as the header alone says."""
    side = 20_000
    png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    jpeg = b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 17, 8, side, side) + bytes(10) + b"\xff\xd9"
    bmp = b"BM" + bytes(16) + struct.pack("<ii", side, -side)
    tags = struct.pack("<HHHII", 2, 0x100, 4, 1, side) + struct.pack("<HHII", 0x101, 4, 1, side)
    gif = b"GIF89a" + struct.pack("<HH", side, side)
    webp_size = (side - 1).to_bytes(3, "little") * 2
    webp = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + webp_size
    return {"png": png, "jpeg": jpeg, "bmp": bmp, "tiff": b"II*\0\x08\0\0\0" + tags, "gif": gif, "webp": webp}


@pytest.mark.parametrize("kind", huge_headers())
def test_too_many_pixels_raise_from_the_header_alone(kind: str) -> None:
    with pytest.raises(ImageError, match=rf"is 20000×20000 pixels; the limit is {MAX_PIXELS // 1_000_000} million"):
        decode_image(huge_headers()[kind])


def test_float_pixels_beyond_one_raise() -> None:
    data = cv2.imencode(".tif", np.full((4, 4, 3), 255, np.float32))[1].tobytes()
    with pytest.raises(ImageError, match="float32"):
        decode_image(data)


def test_file_that_is_not_an_image_raises_one_line_with_its_path(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.jpg"
    empty.write_bytes(b"")
    text.write_text("not an image")
    cases = {
        tmp_path / "absent.jpg": "no image at",
        tmp_path: "is a folder",
        empty: "is empty",
        text: "is not an image in a supported format",
    }
    for path, message in cases.items():
        with pytest.raises(ImageError, match=message) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_image_size_equals_the_size_of_the_image(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".bmp", ".tif"):
        path = tmp_path / f"image{suffix}"
        path.write_bytes(encode(corners(), suffix))
        assert image_size(path) == read_image(path).shape[:2]
    turned = tmp_path / "turned.jpg"
    plain = encode(corners(), ".jpg")
    directory = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
    exif, preview = b"Exif\0\0" + directory, b"\xff\xe2" + struct.pack(">H", 65_000) + bytes(64_998)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    turned.write_bytes(plain[:2] + segment + preview * 3 + plain[2:])  # the size follows late
    assert image_size(turned) == read_image(turned).shape[:2] == (48, 32)
    with pytest.raises(ImageError, match="cannot read"):
        image_size(tmp_path / "absent.jpg")
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(ImageError, match=r"text\.jpg is not an image"):
        image_size(tmp_path / "text.jpg")


def test_image_size_of_a_webp_whose_orientation_follows_its_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3)).astype(np.uint8)  # longer than a header is read
    body = encode(noise, ".webp")[12:]
    extended = b"VP8X" + struct.pack("<I", 10) + bytes([8, 0, 0, 0]) + (599).to_bytes(3, "little")
    extended += (399).to_bytes(3, "little")
    exif = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
    content = b"WEBP" + extended + body + b"EXIF" + struct.pack("<I", len(exif)) + exif
    path = tmp_path / "turned.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    assert image_size(path) == read_image(path).shape[:2] == (600, 400)


def test_image_size_of_a_rotated_tiff(tmp_path: Path) -> None:
    plain = bytearray(encode(corners(), ".tif"))
    (directory,) = struct.unpack_from("<I", plain, 4)
    (count,) = struct.unpack_from("<H", plain, directory)
    tags = [plain[directory + 2 + 12 * i : directory + 14 + 12 * i] for i in range(count)]
    tags = sorted([*tags, struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)], key=lambda tag: struct.unpack_from("<H", tag)[0])
    struct.pack_into("<I", plain, 4, len(plain))
    path = tmp_path / "turned.tif"
    path.write_bytes(bytes(plain) + struct.pack("<H", len(tags)) + b"".join(map(bytes, tags)) + bytes(4))
    assert image_size(path) == read_image(path).shape[:2] == (48, 32)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_raise_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ImageError, match="is a pipe or a device, not a file"):
            read_image(path)


def test_only_the_signature_is_read_of_other_files(tmp_path: Path) -> None:
    with (tmp_path / "clip.mp4").open("wb") as clip:
        clip.truncate(1 << 40)  # a sparse terabyte: reading all of it is impossible
    with pytest.raises(ImageError, match="is not an image in a supported format"):
        read_image(tmp_path / "clip.mp4")


def test_failed_write_raises_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="suffix must be one of"):
        write_image(tmp_path / "image.xyz", corners())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        write_image(tmp_path / "file" / "image.png", corners())
