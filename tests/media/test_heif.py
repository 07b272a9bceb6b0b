"""AVIF: the transforms of its container are applied, as viewers do. JPEG 2000 and HEIC."""

import struct
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media import heif
from cairn.media.heif import HEIC_PACKAGES, can_read_heic
from cairn.media.images import decode_image, image_size
from cairn.media.orientation import boxes, oriented, swaps_axes

pytestmark = pytest.mark.skipif(not cv2.haveImageWriter("x.avif"), reason="this OpenCV has no AVIF")

IROT = {0: 1, 1: 8, 2: 3, 3: 6}  # quarter turns counterclockwise -> EXIF
IMIR = {None: 1, 0: 4, 1: 2}  # axis -> EXIF


def corners() -> NDArray[np.uint8]:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:16, 32:], image[16:, :32], image[16:, 32:] = 80, 160, 240
    return image


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def avif(properties: list[bytes]) -> bytes:
    """An AVIF file of OpenCV with further properties of its image."""
    data = cv2.imencode(".avif", corners(), [cv2.IMWRITE_AVIF_QUALITY, 90])[1].tobytes()
    top = dict(boxes(data))
    meta = dict(boxes(top[b"meta"][4:]))
    listed = dict(boxes(meta[b"iprp"]))
    count = len(list(boxes(listed[b"ipco"])))
    ipma = listed[b"ipma"]
    assert ipma[:4] == bytes(4)
    assert struct.unpack_from(">I", ipma, 4) == (1,)
    links = ipma[10] + len(properties)
    ipma = ipma[:10] + bytes([links]) + ipma[11:] + bytes(0x80 | count + 1 + i for i in range(len(properties)))
    iprp = box(b"ipco", listed[b"ipco"] + b"".join(properties)) + box(b"ipma", ipma)
    grown = len(box(b"iprp", iprp)) - len(box(b"iprp", meta[b"iprp"]))
    parts = b"".join(
        box(kind, iprp if kind == b"iprp" else shifted(body, grown) if kind == b"iloc" else body)
        for kind, body in boxes(top[b"meta"][4:])
    )
    return b"".join(box(kind, top[b"meta"][:4] + parts if kind == b"meta" else body) for kind, body in boxes(data))


def shifted(iloc: bytes, by: int) -> bytes:
    """Moves the offset of the only item, of the versions 0 and 1."""
    assert iloc[4] == 0x44
    body = bytearray(iloc)
    at = len(body) - 8
    (offset,) = struct.unpack_from(">I", body, at)
    struct.pack_into(">I", body, at, offset + by)
    return bytes(body)


@pytest.mark.parametrize("turns", IROT)
@pytest.mark.parametrize("axis", IMIR)
def test_rotation_and_mirror_of_avif_are_applied(turns: int, axis: int | None) -> None:
    properties = [box(b"irot", bytes([turns]))] + ([] if axis is None else [box(b"imir", bytes([axis]))])
    image = decode_image(avif(properties))
    expected = oriented(oriented(corners(), IROT[turns]), IMIR[axis])
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 8


def test_size_of_avif_is_that_of_the_shown_image(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("avif") / "turned.avif"
    path.write_bytes(avif([box(b"irot", b"\1")]))
    assert swaps_axes(IROT[1])
    assert image_size(path) == (64, 32) == decode_image(path.read_bytes()).shape[:2]


@pytest.mark.parametrize("suffix", [".avif", ".jp2"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 0.99])
def test_truncated_files_raise(suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    data = cv2.imencode(suffix, noise)[1].tobytes()
    assert decode_image(data).shape == (64, 96, 3)
    with pytest.raises(ImageError, match=r"truncated|not an image"):
        decode_image(data[: int(len(data) * share)])


@given(st.sampled_from([".avif", ".jp2"]), st.data())
def test_flipped_byte_gives_an_image_or_image_error(suffix: str, data: st.DataObject) -> None:
    damaged = bytearray(cv2.imencode(suffix, corners())[1].tobytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ImageError):
        assert decode_image(bytes(damaged)).ndim == 3


@given(st.binary(max_size=300))
def test_random_container_raises_image_error(rest: bytes) -> None:
    for brand in (b"avif", b"heic", b"mif1"):
        with pytest.raises(ImageError):
            decode_image(b"\0\0\0\x18ftyp" + brand + bytes(12) + rest)


def test_heic_is_decoded_by_the_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that gives the memory of its decoder, as pi-heif does, which ends with the decoder."""
    (tmp_path / "made_heif.py").write_text(
        "import numpy as np\n"
        "class Decoded:\n"
        "    def __init__(self): self.pixels = np.full((64, 32, 4), 200, np.uint8)\n"
        "    def __array__(self, dtype=None, copy=None): return self.pixels\n"
        "    def __del__(self): self.pixels[:] = 0\n"
        "def open_heif(file, convert_hdr_to_8bit): return Decoded()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(heif, "HEIC_PACKAGES", ("made_heif",))
    data = avif([box(b"irot", b"\1")]).replace(b"ftypavif\0\0\0\0avif", b"ftypheic\0\0\0\0heic")
    (tmp_path / "photo.heic").write_bytes(data)
    image = decode_image(data)
    assert image_size(tmp_path / "photo.heic") == image.shape[:2] == (64, 32)  # the package rotates
    assert set(np.unique(image)) == {(200 * 200 + 255 * 55 + 127) // 255}


@pytest.mark.skipif(not can_read_heic(), reason=f"none of {HEIC_PACKAGES} is installed")
def test_damaged_heic_is_one_error() -> None:
    with pytest.raises(ImageError, match="HEIC image that is damaged or truncated"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(300))
