"""Image loading: one loader for training, evaluation and inference.

OpenCV decodes. Size, orientation and completeness are read from the headers first (`cairn.media.headers`), because
OpenCV accepts truncated files silently.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, OutputError
from cairn.files import atomic_write
from cairn.media import heif, jpeg
from cairn.media.content import SIGNATURE_BYTES, Content, content_of
from cairn.media.depth import highest_value, to_8_bits
from cairn.media.headers import Header, read_header
from cairn.media.orientation import oriented, swaps_axes
from cairn.structures.geometry import Size

WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Suffixes of images that can be written."""

IMAGE_SUFFIXES = (*WRITTEN_SUFFIXES, ".jpe", ".jfif")
"""Suffixes of images in a folder. A file that is named explicitly may have any suffix."""

MAX_PIXELS = 200_000_000
"""Maximum number of pixels of an image file; an image of this size takes 600 MB."""

JPEG_QUALITY = 92

HEADER_BYTES = 1 << 17  # contains the size of nearly every image
FIRST_BYTES = 1 << 12  # contains that of most JPEG files


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file, with its header.

    Attributes:
        data: The file.
        content: Its format.
        header: Its header.
    """

    data: bytes
    content: Content
    header: Header

    @classmethod
    def parse(cls, data: bytes) -> EncodedImage:
        """Reads the header of an image file.

        Raises:
            ImageError: The bytes are no image, or it is larger than `MAX_PIXELS`. The message starts with a verb.
        """
        if not data:
            raise ImageError("is empty")
        header, content = read_header(data), content_of(data)
        assert content is not None
        height, width = header.size
        if height * width > MAX_PIXELS:
            raise ImageError(
                f"is {width}×{height} pixels; the limit is {MAX_PIXELS // 1_000_000} million: reduce it first"
            )
        return cls(data, content, header)

    def decode(self) -> tuple[NDArray[np.uint8], str]:
        """Returns the image, of several frames the first one; and a note about its range or pages, or "".

        Raises:
            ImageError: The image is damaged or truncated. The message starts with a verb.
        """
        if self.content.name == "HEIC":
            pixels = heif.decode_heic(self.data)
            return np.ascontiguousarray(bgr_to_rgb(_rgb_to_bgr(pixels))), ""
        decoded = self._decoded()
        peak = highest_value(decoded, self.header.peak, self.header.scaled) if decoded.dtype == np.uint16 else None
        pixels, note = to_8_bits(decoded, peak)
        rgb = oriented(bgr_to_rgb(pixels), self.header.orientation)
        return np.ascontiguousarray(rgb), note or self.header.note

    def _decoded(self) -> NDArray[Any]:
        import cv2

        if 0 in self.header.size:
            raise ImageError("is truncated: the end of the image is missing")
        if not self.header.complete:
            pixels = None
            if self.content.name == "JPEG":
                pixels = jpeg.without_end(self.data, jpeg.read_markers(self.data))
            if pixels is None:
                raise ImageError("is truncated: the end of the image is missing")
            return pixels
        try:
            pixels = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            pixels = None
        if pixels is None:
            raise ImageError(
                f"is damaged or truncated, or in a variant of {self.content.name} that OpenCV cannot decode"
            )
        return np.asarray(pixels)


def open_image(path: str | Path) -> EncodedImage:
    """Reads an image file without decoding it.

    Raises:
        ImageError: The file is missing, is not an image, or is larger than `MAX_PIXELS`.
    """
    path = Path(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # reading might block forever
            raise ImageError(f"{path} is a pipe or a device, not a file: save the image first")
        with path.open("rb") as file:
            data = file.read(SIGNATURE_BYTES)
            content = content_of(data)
            if content is not None and content.kind == "image":  # else it may be a video of any length
                data += file.read()
    except FileNotFoundError:
        raise ImageError(f"no image at {path}") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ImageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return EncodedImage.parse(data)
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Reads an image file as (H, W, 3) uint8 RGB.

    EXIF orientation is applied, transparency is composited on white, grayscale is expanded, 16 bits are scaled to 8,
    10-, 12- and 14-bit data in 16-bit files is stretched (`cairn.media.depth`). Of several frames or pages the first is
    read.

    Raises:
        ImageError: The file is missing, is not an image, is truncated, or is larger than `MAX_PIXELS`.
    """
    return read_with_note(path)[0]


def read_with_note(path: str | Path) -> tuple[NDArray[np.uint8], str]:
    """Returns `read_image`, and a note about its range or pages in words that start with a verb, or ""."""
    encoded = open_image(path)
    try:
        return encoded.decode()
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decodes the bytes of an image file; see `read_image`.

    Raises:
        ImageError: The bytes are no image; see `read_image`. The message starts with a verb: the caller names the file.
    """
    return EncodedImage.parse(data).decode()[0]


def image_size(path: str | Path) -> Size:
    """Returns (height, width) of an image as `read_image` returns it, from its header alone.

    Raises:
        ImageError: The file is missing or not an image.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = _header_of(file)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None
    return header.size[::-1] if swaps_axes(header.orientation) else header.size


def _header_of(file: BinaryIO) -> Header:
    """Returns the header of an image file; reads no more of it than size and orientation need."""
    start = file.read(FIRST_BYTES)
    if start.startswith(b"\xff\xd8"):  # in a JPEG, the orientation precedes the size
        with suppress(ImageError):
            return read_header(start)
    start += file.read(HEADER_BYTES - len(start))
    if start.startswith(b"RIFF"):  # in a WebP, the orientation follows the pixels
        return read_header(start + file.read())
    try:
        return read_header(start)
    except ImageError:  # a large preview may precede the size
        return read_header(start + file.read())


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Writes an (H, W, 3) uint8 RGB image; the suffix selects the format.

    Raises:
        OutputError: The suffix is unknown or the file cannot be written.
    """
    import cv2

    path = Path(path)
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise OutputError(f"cannot write {path}: the suffix must be one of {' '.join(WRITTEN_SUFFIXES)}")
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if jpeg else []
    done, encoded = cv2.imencode(path.suffix.lower(), image[..., ::-1], options)
    if not done:
        raise OutputError(f"cannot write {path}: OpenCV cannot encode {image.shape} as {path.suffix}")
    with atomic_write(path) as beside:
        beside.write_bytes(encoded.tobytes())


def bgr_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Converts OpenCV's gray (H, W), gray and alpha (H, W, 2), BGR or BGRA to RGB on white."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    color = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., [0, 0, 0]]
    return color if pixels.shape[2] in (1, 3) else on_white(color, pixels[..., -1:])


def on_white(color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composites color (H, W, 3) with opacity alpha (H, W, 1) on white."""
    opacity = alpha.astype(np.uint16)
    return ((color * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _rgb_to_bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the order of channels of OpenCV: gray, BGR or BGRA."""
    return pixels if pixels.shape[2] < 3 else pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
