"""Image loading: one loader for training, evaluation and inference.

OpenCV decodes. Size, orientation and completeness are read from the headers first (`cairn.media.headers`), because
OpenCV accepts truncated files silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, OutputError
from cairn.files import atomic_write
from cairn.media.headers import SIGNATURE_BYTES, read_header, reader_of
from cairn.structures.geometry import Size

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Suffixes of images in a folder. A file that is named explicitly may have any suffix."""

MAX_PIXELS = 200_000_000
"""Maximum number of pixels of an image file; an image of this size takes 600 MB."""

JPEG_QUALITY = 92

HEADER_BYTES = 1 << 17  # contains the size of nearly every image

ImageLike: TypeAlias = Union[str, Path, bytes, NDArray[np.uint8], "PilImage"]
"""A path, an encoded file as bytes, a PIL image, or a uint8 array (H, W), (H, W, 1), RGB (H, W, 3), RGBA (H, W, 4)."""

EXPECTED = "a path, bytes, a PIL image or a uint8 array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/\\]")  # pathlib merges the two slashes


def as_image(image: ImageLike) -> NDArray[np.uint8]:
    """Returns the pixels of one image, (H, W, 3) uint8 RGB.

    EXIF orientation is applied, transparency is composited on white, grayscale is expanded. An RGB array that is
    contiguous is returned as it is.

    Args:
        image: A path, an encoded file, a PIL image or a uint8 array.

    Raises:
        ImageError: The image cannot be read, has no pixels, or is something else.
    """
    value: Any = image
    if isinstance(value, str | Path):
        if _URL.match(str(value)):
            raise ImageError(f"{value} is a URL: download the image and pass its path")
        return read_image(value)
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return decode_image(bytes(value))
        except ImageError as error:
            raise ImageError(f"the encoded image {error}") from None
    if isinstance(value, np.ndarray):
        return _from_array(value)
    if _is_pil(value):
        return _from_pil(value)
    raise ImageError(f"expected an image ({EXPECTED}), got {describe(value)}{_hint(value)}")


def is_batch(images: Any) -> bool:
    """Whether `images` is a batch: a list, a tuple, or an array (B, H, W, C)."""
    return isinstance(images, list | tuple) or (isinstance(images, np.ndarray) and images.ndim == 4)


def as_images(images: Sequence[ImageLike] | NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Returns the pixels of each image of a batch, (H, W, 3) uint8 RGB.

    Raises:
        ImageError: One of the images is invalid; the message states its position.
    """
    result = []
    for i, image in enumerate(images):
        try:
            result.append(as_image(image))
        except ImageError as error:
            raise ImageError(f"image {i} of the batch: {error}") from None
    return result


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
    return np.ascontiguousarray(_oriented(_bgr_to_rgb(_to_8_bits(pixels)), header.orientation))


def image_size(path: str | Path) -> Size:
    """Returns (height, width) of an image as `read_image` returns it, from its header alone.

    Raises:
        ImageError: The file is missing or not an image.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
            try:
                header = read_header(start)
            except ImageError:  # a large preview may precede the size
                header = read_header(start + file.read())
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    except ImageError as error:
        raise ImageError(f"{path} {error}") from None
    return header.size[::-1] if header.orientation in (5, 6, 7, 8) else header.size


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


def describe(value: Any) -> str:
    """Returns type and shape of something that was passed as an image, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if value is None:
        return "None"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    name = f"{type(value).__module__.split('.')[0]}.{type(value).__qualname__}".removeprefix("builtins.")
    shape = getattr(value, "shape", None)
    return f"{name} {tuple(shape)}" if isinstance(shape, tuple) else name


def _hint(value: Any) -> str:
    module = type(value).__module__.split(".")[0]
    if module == "torch":
        return ": convert it to a uint8 array (H, W, 3), such as tensor.permute(1, 2, 0).cpu().numpy()"
    if isinstance(value, list | tuple):
        return ": pass one image at a time"
    return ""


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise ImageError(f"expected an image of uint8 from 0 to 255, got {array.dtype} {array.shape}")
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] > 4:
        raise ImageError(f"expected an image (H, W, 3), channels last, got {array.shape}: transpose it by (1, 2, 0)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"expected an image ({EXPECTED}), got {describe(array)}")
    if array.size == 0:
        raise ImageError(f"expected an image of one pixel at least, got {array.shape}")
    array = array[..., None] if array.ndim == 2 else array
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    elif array.shape[2] == 4:
        array = _on_white(array[..., :3], array[..., 3:])
    return np.ascontiguousarray(array)


def _is_pil(value: Any) -> bool:
    return any(base.__module__.startswith("PIL.") and base.__name__ == "Image" for base in type(value).__mro__)


def _from_pil(image: PilImage) -> NDArray[np.uint8]:
    from PIL import ImageOps

    if image.width * image.height == 0:
        raise ImageError(f"expected an image of one pixel at least, got a PIL image of {image.width}×{image.height}")
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            return _bgr_to_rgb(_to_8_bits(np.asarray(image).astype(np.uint16)))
        if image.mode in ("I", "F"):
            raise ImageError(f"expected a PIL image of 8 or 16 bits a channel, got mode {image.mode}")
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            return _from_array(np.asarray(image.convert("RGBA")))
        return _from_array(np.asarray(image if image.mode == "RGB" else image.convert("RGB")))
    except (OSError, SyntaxError, ValueError) as error:  # PIL decodes on demand
        raise ImageError(f"the PIL image cannot be decoded: {error}") from None


def _to_8_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise ImageError(f"has {pixels.dtype} pixels, whose range is unknown: expected 8 or 16 bits a channel")


def _bgr_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Converts OpenCV's gray (H, W), gray and alpha (H, W, 2), BGR or BGRA to RGB on white."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    color = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., [0, 0, 0]]
    return color if pixels.shape[2] in (1, 3) else _on_white(color, pixels[..., -1:])


def _on_white(color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
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
