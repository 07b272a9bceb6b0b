"""Duplicate and near-duplicate images: small gray thumbnails, and a hash of all pixels.

Two images are near-duplicates where their thumbnails correlate by at least NEAR_DUPLICATE. Of 750 photographs of COCO
and Leeds Sports against 10,000 others, the most similar pair reaches 0.93; neighboring frames of a video 0.95 to 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.machine import available_cores
from cairn.media.images import read_image
from cairn.structures.geometry import Size

NEAR_DUPLICATE = 0.95
"""Minimum correlation of the thumbnails of near-duplicates."""

SIDE = 32  # of a thumbnail in pixels
BLOCK = 1024  # thumbnails compared at a time
GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG
MIN_DEVIATION = 0.5  # standard deviation of a thumbnail in gray levels, below which there is nothing to compare


@dataclass(frozen=True, eq=False)
class Signatures:
    """Signatures by which N images are compared.

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
    """Reads every image once.

    Args:
        paths: The images.
        progress: Called with the number of images that are done.
    """
    thumbnails = np.zeros((len(paths), SIDE * SIDE), np.float32)
    digests, sizes, unreadable = [], [], {}
    with ThreadPoolExecutor(min(8, available_cores())) as pool:
        for i, (thumbnail, digest, size, reason) in enumerate(pool.map(_signature, paths)):
            thumbnails[i] = thumbnail
            digests.append(digest)
            sizes.append(size)
            if reason:
                unreadable[i] = reason
            if progress:
                progress(i + 1)
    return Signatures(thumbnails, tuple(digests), tuple(sizes), unreadable)


def most_similar(
    thumbnails: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns (N,) the index of the most similar of `others` for each thumbnail, and (N,) their correlation.

    Args:
        thumbnails: (N, SIDE²) of `Signatures`.
        others: (M, SIDE²), at least one.
    """
    best, value = np.zeros(len(thumbnails), np.int64), np.full(len(thumbnails), -np.inf, np.float32)
    for start in range(0, len(others), BLOCK):
        similarity = thumbnails @ others[start : start + BLOCK].T
        index = similarity.argmax(axis=1)
        highest = similarity[np.arange(len(similarity)), index]
        better = highest > value
        best[better], value[better] = index[better] + start, highest[better]
    return best, value


def group_similar(signatures: Signatures, groups: Iterable[Sequence[int]] = ()) -> NDArray[np.int64]:
    """Returns (N,) the group of each image, numbered in the order of their first members.

    Duplicates and near-duplicates are in one group, and so are the members of each given group. Groups that share an
    image are merged.

    Args:
        signatures: Signatures of the N images.
        groups: Indices of images that belong together for other reasons.
    """
    group = np.arange(len(signatures))

    def join(members: Sequence[int] | NDArray[np.int64]) -> None:
        together = np.unique(group[np.asarray(members, np.int64)])
        if len(together) > 1:
            group[np.isin(group, together)] = together[0]

    duplicates: dict[bytes, list[int]] = {}
    for i, digest in enumerate(signatures.digests):
        if digest:
            duplicates.setdefault(digest, []).append(i)
    for members in (*duplicates.values(), *groups):
        join(members)
    for i, similar in _near_duplicates(signatures.thumbnails):
        join([i, *similar])
    return np.unique(group, return_inverse=True)[1].reshape(-1)


def _near_duplicates(thumbnails: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each image that has later near-duplicates, and the indices of those."""
    for start in range(0, len(thumbnails), BLOCK):
        similar = thumbnails[start : start + BLOCK] @ thumbnails[start:].T >= NEAR_DUPLICATE
        similar = np.triu(similar, 1)
        for row in np.flatnonzero(similar.any(axis=1)).tolist():
            yield start + row, np.flatnonzero(similar[row]) + start


def _signature(path: Path) -> tuple[NDArray[np.float32], bytes, Size, str]:
    """(thumbnail, digest, size, why it cannot be read)."""
    import cv2

    try:
        image = read_image(path)
    except ImageError as error:
        return np.zeros(SIDE * SIDE, np.float32), b"", (0, 0), str(error)
    height, width = image.shape[:2]
    digest = hashlib.blake2b(image.tobytes() + f"{width}".encode(), digest_size=16).digest()
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1, 3) @ GRAY
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    uniform = norm < MIN_DEVIATION * SIDE
    thumbnail = np.zeros_like(small) if uniform else small / norm
    return thumbnail.astype(np.float32), digest, (height, width), ""
