"""TIFF and BigTIFF files, written tag by tag."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Tags = dict[int, int]


def tiff(pages: Sequence[NDArray], tags: Sequence[Tags] = (), big: bool = False, order: str = "<") -> bytes:
    """Returns a file with uncompressed gray pages (H, W) of uint8, uint16 or float32, and further LONG tags of each."""
    mark = {"<": b"II", ">": b"MM"}[order]
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    offset, count, entry = ("Q", "Q", "HHQI4x") if big else ("I", "H", "HHII")
    data, at = head, len(head)
    for number, page in enumerate(pages):
        pixels = page.astype(page.dtype.newbyteorder(order)).tobytes()
        values = {256: page.shape[1], 257: page.shape[0], 258: 8 * page.itemsize, 259: 1, 262: 1, 277: 1}
        values |= {278: page.shape[0], 279: len(pixels), 339: 3 if page.dtype.kind == "f" else 1}
        values |= tags[number] if tags else {}
        length = struct.calcsize(order + count) + (len(values) + 1) * struct.calcsize(order + entry)
        length += struct.calcsize(order + offset)
        values[273] = at + length
        data += struct.pack(order + count, len(values))
        for tag, value in sorted(values.items()):
            data += struct.pack(order + entry, tag, 4, 1, value)
        at += length + len(pixels)
        data += struct.pack(order + offset, at if number + 1 < len(pages) else 0) + pixels
    return data


def ramp(bits: int, size: tuple[int, int] = (32, 48)) -> NDArray[np.uint16]:
    """Returns (H, W) values over the whole range of a number of bits, in 16 bits."""
    return np.linspace(0, 2**bits - 1, size[0] * size[1]).round().astype(np.uint16).reshape(size)
