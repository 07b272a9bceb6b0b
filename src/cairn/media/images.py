"""Image loading: one loader for training, evaluation and inference.

OpenCV decodes. Size, orientation and completeness are read from the headers first (`cairn.media.headers`), because
OpenCV accepts truncated files silently.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, OutputError
from cairn.files import atomic_write
from cairn.media.headers import SIGNATURE_BYTES, Header, read_header, reader_of
from cairn.structures.geometry import Size

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Suffixes of images in a folder. A file that is named explicitly may have any suffix."""

MAX_PIXELS = 200_000_000
"""Maximum number of pixels of an image file; an image of this size takes 600 MB."""

JPEG_QUALITY = 92

HEADER_BYTES = 1 << 17  # contains the size of nearly every image
FIRST_BYTES = 1 << 12  # contains that of most JPEG files


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Reads an image file as (H, W, 3) uint8 RGB.

    EXIF orientation is applied, transparency is composited on white, grayscale is expanded, 16 bits are scaled to 8.

    Raises:
        ImageError: The file is missing, is not an image, is truncated, or is larger than `MAX_PIXELS`.
    """
    path = Path(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # reading might block forever
            raise ImageError(f"{path} is a pipe or a device, not a file: save the image first")
        with path.open("rb") as file:
            data = file.read(SIGNATURE_BYTES)
            if reader_of(data):  # else it may be a video of any length
                data += file.read()
    except FileNotFoundError:
        raise ImageError(f"no image at {path}") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ImageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return decode_image(data)
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decodes the bytes of an image file; see `read_image`.

    Raises:
        ImageError: The bytes are no image; see `read_image`. The message starts with a verb: the caller names the file.
    """
    import cv2

    if not data:
        raise ImageError("is empty")
    header = read_header(data)
    height, width = header.size
    if height * width > MAX_PIXELS:
        raise ImageError(f"is {width}×{height} pixels; the limit is {MAX_PIXELS // 1_000_000} million: reduce it first")
    if height * width == 0 or not header.complete:
        raise ImageError("is truncated: the end of the image is missing")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError("is damaged or truncated, or in a variant that OpenCV cannot decode")
    return np.ascontiguousarray(_oriented(bgr_to_rgb(to_8_bits(pixels)), header.orientation))


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
    return header.size[::-1] if header.orientation in (5, 6, 7, 8) else header.size


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
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise OutputError(f"cannot write {path}: the suffix must be one of {' '.join(IMAGE_SUFFIXES)}")
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if jpeg else []
    done, encoded = cv2.imencode(path.suffix.lower(), image[..., ::-1], options)
    if not done:
        raise OutputError(f"cannot write {path}: OpenCV cannot encode {image.shape} as {path.suffix}")
    with atomic_write(path) as beside:
        beside.write_bytes(encoded.tobytes())


def to_8_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns pixels of 8 or 16 bits as uint8. Raises ImageError for other types."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise ImageError(f"has {pixels.dtype} pixels, whose range is unknown: expected 8 or 16 bits a channel")


def bgr_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Converts OpenCV's gray (H, W), gray and alpha (H, W, 2), BGR or BGRA to RGB on white."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    color = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., [0, 0, 0]]
    return color if pixels.shape[2] in (1, 3) else on_white(color, pixels[..., -1:])


def on_white(color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composites color (H, W, 3) with opacity alpha (H, W, 1) on white."""
    opacity = alpha.astype(np.uint16)
    return ((color * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _oriented(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Applies an EXIF orientation: 2 to 4 rotate or mirror, 5 to 8 exchange the axes too."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
