"""Images in memory: paths, encoded files, arrays and PIL images as (H, W, 3) uint8 RGB."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.address import Address, download, is_url, parse_address
from cairn.media.depth import to_8_bits
from cairn.media.images import EncodedImage, bgr_to_rgb, decode_image, on_white, read_with_note

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

ImageLike: TypeAlias = Union[str, Path, bytes, NDArray[np.uint8], "PilImage"]
"""A path, an http(s) address, an encoded file as bytes, a PIL image, or a uint8 array.

An array is (H, W), (H, W, 1), RGB (H, W, 3) or RGBA (H, W, 4).
"""

log = logging.getLogger(__name__)

EXPECTED = "a path, bytes, a PIL image or a uint8 array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA"


def as_image(image: ImageLike) -> NDArray[np.uint8]:
    """Returns the pixels of one image, (H, W, 3) uint8 RGB.

    EXIF orientation is applied, transparency is composited on white, grayscale is expanded. An RGB array that is
    contiguous is returned as it is.

    Args:
        image: A path, an http(s) address, an encoded file, a PIL image or a uint8 array.

    Raises:
        ImageError: The image cannot be read, has no pixels, or is something else.
    """
    value: Any = image
    if isinstance(value, str | Path):
        address = parse_address(value) if is_url(value) else None
        image, note = read_with_note(value) if address is None else read_address(address)
        if note:
            log.warning("%s %s", address or value, note)
        return image
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


def read_address(address: Address) -> tuple[NDArray[np.uint8], str]:
    """Downloads and decodes an image; returns it with a note about its range or pages, or "".

    Raises:
        ImageError: The address is no image, or cannot be opened.
    """
    if address.scheme not in ("http", "https"):
        raise ImageError(f"{address} is a stream, not an image: use the method stream of the model, or cairn.detect")
    try:
        return EncodedImage.parse(download(address)).decode()
    except ImageError as error:
        message = str(error)
        raise ImageError(message if str(address) in message else f"{address} {message}") from None


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
        array = on_white(array[..., :3], array[..., 3:])
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
            return bgr_to_rgb(to_8_bits(np.asarray(image).astype(np.uint16))[0])
        if image.mode in ("I", "F"):
            raise ImageError(f"expected a PIL image of 8 or 16 bits a channel, got mode {image.mode}")
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            return _from_array(np.asarray(image.convert("RGBA")))
        return _from_array(np.asarray(image if image.mode == "RGB" else image.convert("RGB")))
    except (OSError, SyntaxError, ValueError) as error:  # PIL decodes on demand
        raise ImageError(f"the PIL image cannot be decoded: {error}") from None
