"""Duplicate and near-duplicate images: small gray thumbnails, and a hash of all pixels.

Two images are near-duplicates where their thumbnails correlate by at least NEAR_DUPLICATE. Of 750 photographs of COCO
and Leeds Sports against 10,000 others, the most similar pair reaches 0.93; neighboring frames of a video 0.95 to 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.near_duplicates import Components, join_similar
from cairn.errors import ImageError
from cairn.machine import available_cores
from cairn.media.images import read_image
from cairn.structures.geometry import Size

NEAR_DUPLICATE = 0.95
"""Minimum correlation of the thumbnails of near-duplicates."""

SIDE = 32  # of a thumbnail in pixels
CHUNK = 16  # images that a thread reads at a time
GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG
MIN_DEVIATION = 0.5  # standard deviation of a thumbnail in gray levels, below which there is nothing to compare


@dataclass(frozen=True, eq=False)
class Signatures:
    """Signatures by which N images are compared; 4 kB for each image.

    Attributes:
        thumbnails: (N, SIDE²) float32 of mean 0 and norm 1, so that a dot product is a correlation; 0 for a uniform
            or unreadable image.
        digests: Hash of all pixels; empty for an unreadable image.
        sizes: (height, width) as read; (0, 0) for an unreadable image.
        unreadable: Index -> why the image cannot be read.
    """

    thumbnails: NDArray[np.float32]
    digests: tuple[bytes, ...]
    sizes: tuple[Size, ...]
    unreadable: dict[int, str]

    def __len__(self) -> int:
        return len(self.digests)


def read_signatures(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> Signatures:
    """Reads every image once, on all cores: decoding, hashing and resizing run outside of Python.

    Args:
        paths: The images.
        progress: Called with the number of images that are done.
    """
    thumbnails = np.zeros((len(paths), SIDE * SIDE), np.float32)  # takes memory only where it is written
    digests: list[bytes] = []
    sizes: list[Size] = []
    unreadable: dict[int, str] = {}
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    with ThreadPoolExecutor(available_cores()) as pool:
        try:
            for signatures in pool.map(lambda chunk: list(map(_signature, chunk)), chunks):
                for thumbnail, digest, size, reason in signatures:
                    if thumbnail is not None:
                        thumbnails[len(digests)] = thumbnail
                    if reason:
                        unreadable[len(digests)] = reason
                    digests.append(digest)
                    sizes.append(size)
                if progress:
                    progress(len(digests))
        except BaseException:  # an interrupt must not wait for the rest
            pool.shutdown(cancel_futures=True)
            raise
    return Signatures(thumbnails, tuple(digests), tuple(sizes), unreadable)


def group_similar(signatures: Signatures, groups: Iterable[Sequence[int]] = ()) -> NDArray[np.int64]:
    """Returns (N,) the group of each image, numbered in the order of their first members.

    Duplicates and near-duplicates are in one group, and so are the members of each given group. Groups that share an
    image are merged.

    Args:
        signatures: Signatures of the N images.
        groups: Indices of images that belong together for other reasons.
    """
    components = Components(len(signatures))
    duplicates: dict[bytes, list[int]] = {}
    for i, digest in enumerate(signatures.digests):
        if digest:
            duplicates.setdefault(digest, []).append(i)
    for members in (*duplicates.values(), *groups):
        components.join(np.asarray(members, np.int64))
    join_similar(components, signatures.thumbnails, NEAR_DUPLICATE)
    return np.unique(components.first(np.arange(len(signatures))), return_inverse=True)[1].reshape(-1)


def _signature(path: Path) -> tuple[NDArray[np.float32] | None, bytes, Size, str]:
    """(thumbnail or None where it is 0, digest, size, why it cannot be read)."""
    import cv2

    try:
        image = read_image(path)
    except ImageError as error:
        return None, b"", (0, 0), str(error)
    height, width = image.shape[:2]
    digest = hashlib.blake2b(image.data, digest_size=16)
    digest.update(f"{width}".encode())
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1, 3) @ GRAY
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    uniform = norm < MIN_DEVIATION * SIDE
    return None if uniform else (small / norm).astype(np.float32), digest.digest(), (height, width), ""
