"""Which images are the same or nearly so: told by small gray thumbnails, and by a digest of all pixels.

Two images are alike where their thumbnails correlate by ALIKE or more. Of 750 photographs of COCO and Leeds Sports
against 10,000 others, the two most alike reach 0.93; neighboring frames of a video 0.95 to 1.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.images import read_image
from cairn.structures.geometry import Size

SIDE = 32  # of a thumbnail
ALIKE = 0.95
BLOCK = 1024  # thumbnails compared at a time
GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as JPEG has it
FLAT = 0.5  # gray levels that a thumbnail deviates from its mean, below which it shows nothing to compare


@dataclass(frozen=True, eq=False)
class Look:
    """What N images look like.

    thumbnails  (N, SIDE²) float32 of mean 0 and length 1, so that a product is a correlation; 0 where there is
                nothing to compare: of a plain or unreadable image
    digests     of all pixels; empty for an image that cannot be read
    sizes       (height, width) as read; (0, 0) for one that cannot be
    unreadable  by index: why an image cannot be read
    """

    thumbnails: NDArray[np.float32]
    digests: tuple[bytes, ...]
    sizes: tuple[Size, ...]
    unreadable: dict[int, str]

    def __len__(self) -> int:
        return len(self.digests)


def look_at(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> Look:
    """Reads every image once; `progress` is called with how many are done."""
    thumbnails = np.zeros((len(paths), SIDE * SIDE), np.float32)
    digests, sizes, unreadable = [], [], {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for i, (thumbnail, digest, size, reason) in enumerate(pool.map(_glance, paths)):
            thumbnails[i] = thumbnail
            digests.append(digest)
            sizes.append(size)
            if reason:
                unreadable[i] = reason
            if progress:
                progress(i + 1)
    return Look(thumbnails, tuple(digests), tuple(sizes), unreadable)


def nearest(thumbnails: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """(N,) index of the most similar of `others` (at least one) for each thumbnail, and (N,) their correlation."""
    best, value = np.zeros(len(thumbnails), np.int64), np.full(len(thumbnails), -np.inf, np.float32)
    for start in range(0, len(others), BLOCK):
        similar = thumbnails @ others[start : start + BLOCK].T
        found = similar.argmax(axis=1)
        highest = similar[np.arange(len(similar)), found]
        better = highest > value
        best[better], value[better] = found[better] + start, highest[better]
    return best, value


def families(look: Look, kin: Iterable[Sequence[int]] = ()) -> NDArray[np.int64]:
    """(N,) the family of each image, numbered in the order of their first members.

    One family are images that are alike or the same to the pixel, and those that `kin` lists together; and so are
    all that hang together by these.
    """
    family = np.arange(len(look))

    def join(members: Sequence[int] | NDArray[np.int64]) -> None:
        together = np.unique(family[np.asarray(members, np.int64)])
        if len(together) > 1:
            family[np.isin(family, together)] = together[0]

    same: dict[bytes, list[int]] = {}
    for i, digest in enumerate(look.digests):
        if digest:
            same.setdefault(digest, []).append(i)
    for members in (*same.values(), *kin):
        join(members)
    for i, alike in _alike(look.thumbnails):
        join([i, *alike])
    return np.unique(family, return_inverse=True)[1].reshape(-1)


def _alike(thumbnails: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each image that has later ones like it, and which those are."""
    for start in range(0, len(thumbnails), BLOCK):
        similar = thumbnails[start : start + BLOCK] @ thumbnails[start:].T >= ALIKE
        similar = np.triu(similar, 1)
        for row in np.flatnonzero(similar.any(axis=1)).tolist():
            yield start + row, np.flatnonzero(similar[row]) + start


def _glance(path: Path) -> tuple[NDArray[np.float32], bytes, Size, str]:
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
    length = float(np.linalg.norm(small))
    plain = length < FLAT * SIDE
    return (np.zeros_like(small) if plain else small / length).astype(np.float32), digest, (height, width), ""
