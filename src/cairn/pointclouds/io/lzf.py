"""Decompression of LZF, which PCD files use: literal bytes, and copies of bytes that were already written."""

from __future__ import annotations


def lzf_decompressed(data: bytes, size: int) -> bytes | None:
    """Returns the decompressed bytes; None if the data are damaged.

    A control byte below 32 is followed by that many literal bytes and one more. Otherwise its upper three bits are the
    length of a copy less 2, with 7 for a length that the next byte increases, and its lower five bits with the last
    byte are the distance less 1.

    Args:
        data: Compressed bytes.
        size: Length of the result.
    """
    result = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:
                result += data[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[at]
                at += 1
            start = len(result) - ((control & 31) << 8) - data[at] - 1
            at += 1
            length += 2
            if start < 0:
                return None
            if start + length <= len(result):
                result += result[start : start + length]
            else:  # the copy overlaps what it writes
                pattern = result[start:]
                result += (pattern * (length // len(pattern) + 1))[:length]
    except IndexError:
        return None
    return bytes(result) if len(result) == size and at == end else None
