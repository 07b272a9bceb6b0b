"""Images and labels as a training loop takes them: prepared by seed, so that every run sees the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cairn.datasets.labels import LabeledImage
from cairn.errors import RecipeError
from cairn.media.images import read_image

Batch = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Sample:
    """One thing to learn from: an image and, of its objects, those in `rows` (all where None).

    known  (K,) bool: joints whose labels, or whose absence, mean something in this image
    scale  how many times larger than the recipe's scale it is shown
    """

    image: LabeledImage
    known: NDArray[np.bool_]
    rows: slice | None = None
    scale: float = 1.0


Encode = Callable[[NDArray[np.uint8], Sample, np.random.Generator], dict[str, NDArray]]
"""(H, W, 3) image, its sample, a generator -> arrays for the network and its loss."""


class TrainingSet(Dataset):
    """Encodes samples. Item n of N samples is sample n mod N in epoch n div N, with a generator of its own."""

    def __init__(self, samples: Sequence[Sample], encode: Encode, seed: int, cache_megabytes: int) -> None:
        self.samples = samples
        self.encode = encode
        self.seed = seed
        self._images = ImageCache(cache_megabytes)
        self._images.fill(sample.image.path for sample in samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> dict[str, NDArray]:
        epoch, index = divmod(item, len(self.samples))
        sample = self.samples[index]
        rng = np.random.default_rng((self.seed, epoch, index))
        return self.encode(self._images.read(sample.image.path), sample, rng)


class EpochSampler(Sampler[int]):
    """Every sample once an epoch, in an order given by seed and epoch; items carry the epoch with them."""

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this, on resuming too."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.samples)
        return iter((order + self.epoch * self.samples).tolist())


class EpochBatches(Sampler[list[int]]):
    """An epoch in batches of nearly one size, of each batch one process's share: every sample once among them all.

    batch       at most so many samples at a time, over all processes
    accumulate  batches that make a step. A step's samples depend on `batch * accumulate` alone, so that neither
                how they are cut up nor how many processes share them changes what is learned from
    Raises RecipeError where a share would be empty.
    """

    def __init__(
        self, samples: int, seed: int, batch: int, accumulate: int = 1, rank: int = 0, processes: int = 1
    ) -> None:
        self.sampler = EpochSampler(samples, seed)  # Lightning tells it the epoch
        self.accumulate = accumulate
        self.rank = rank
        self.processes = processes
        self.steps = -(-samples // (batch * accumulate))
        if self.least < 1:
            raise RecipeError(
                f"{samples // self.steps} samples a step cannot be cut into {accumulate} batches for each of "
                f"{processes} processes: lower run.accumulate, or start fewer processes"
            )

    @property
    def least(self) -> int:
        """Samples in the smallest share of a batch."""
        return len(self.sampler) // self.steps // (self.accumulate * self.processes)

    def __len__(self) -> int:
        return self.steps * self.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        for step in np.array_split(np.array(list(self.sampler)), self.steps):
            parts = np.array_split(step, self.accumulate * self.processes)
            yield from (part.tolist() for part in parts[self.rank :: self.processes])

    def weight(self, index: int) -> float:
        """What the mean loss of the epoch's batch `index` counts, for a step to be the mean over its samples."""
        step, part = divmod(index, self.accumulate)
        size = _part(len(self.sampler), self.steps, step)
        parts = self.accumulate * self.processes
        return _part(size, parts, part * self.processes + self.rank) * parts / size


class ImageCache:
    """Decoded images in memory, up to a limit; filled before workers start, so that they share it."""

    def __init__(self, megabytes: int) -> None:
        self._free = megabytes * 2**20
        self._images: dict[Path, NDArray[np.uint8]] = {}

    def fill(self, paths: Iterator[Path]) -> None:
        for path in dict.fromkeys(paths):
            if self._free <= 0:
                return
            image = read_image(path)
            self._images[path] = image
            self._free -= image.nbytes

    def read(self, path: Path) -> NDArray[np.uint8]:
        return self._images[path] if path in self._images else read_image(path)


def training_loader(
    dataset: TrainingSet,
    batch: int,
    workers: int,
    pin: bool,
    accumulate: int = 1,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader:
    """Batches as `EpochBatches` makes them.

    With workers, OpenCV has one thread in this process from here on: a pool of its threads does not live on in a forked
    worker, which would wait for it for ever.
    """
    if workers:
        import cv2

        cv2.setNumThreads(1)
    return DataLoader(
        dataset,
        batch_sampler=EpochBatches(len(dataset), dataset.seed, batch, accumulate, rank, processes),
        num_workers=workers,
        collate_fn=stack,
        persistent_workers=workers > 0,
        pin_memory=pin,
        worker_init_fn=_one_thread,
    )


def stack(items: Sequence[dict[str, NDArray]]) -> Batch:
    """Arrays by name -> tensors by name, with the batch in front."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}


def _part(count: int, parts: int, index: int) -> int:
    """The size of one of the parts that numpy's array_split makes."""
    return count // parts + (index < count % parts)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
