"""Samples, their encoding by random seed, and batches: the same for every run with the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cairn.datasets.labels import LabeledImage
from cairn.errors import RecipeError
from cairn.machine import in_threads
from cairn.media.images import read_image

Batch = dict[str, Tensor]

Encoded = dict[str, NDArray[Any]]
"""The arrays of one sample, by name."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One training sample: an image and some of its instances.

    Attributes:
        image: The image with its annotations.
        known: (K,) bool: keypoints whose labels, or absence of labels, are meaningful in this image.
        rows: Rows of the annotations to train on; None for all.
        scale: Factor on the size of the image, relative to the recipe's scale.
    """

    image: LabeledImage
    known: NDArray[np.bool_]
    rows: slice | None = None
    scale: float = 1.0


Encode = Callable[[NDArray[np.uint8], Sample, np.random.Generator], Encoded]
"""(H, W, 3) image, its sample, random generator -> arrays for the network and its loss."""


class TrainingSet(Dataset[Encoded]):
    """Encodes samples. Item n of N samples is sample n mod N in epoch n div N, with its own random generator."""

    def __init__(self, samples: Sequence[Sample], encode: Encode, seed: int, cache_megabytes: int) -> None:
        self.samples = samples
        self.encode = encode
        self.seed = seed
        self._images = ImageCache(cache_megabytes)
        self._images.fill(sample.image.path for sample in samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> Encoded:
        epoch, index = divmod(item, len(self.samples))
        sample = self.samples[index]
        rng = np.random.default_rng((self.seed, epoch, index))
        return self.encode(self._images.read(sample.image.path), sample, rng)


class EpochSampler(Sampler[int]):
    """Yields every sample once per epoch, in an order given by seed and epoch; items encode the epoch."""

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch; Lightning calls this, also when it resumes."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.samples)
        return iter((order + self.epoch * self.samples).tolist())


class EpochBatches(Sampler[list[int]]):
    """Batches of an epoch with nearly equal sizes, and the share of one process in each.

    All processes together get every sample once. The samples of a step depend on `batch * accumulate` alone: gradient
    accumulation and the number of processes do not change what a step trains on.
    """

    def __init__(
        self, samples: int, seed: int, batch: int, accumulate: int = 1, rank: int = 0, processes: int = 1
    ) -> None:
        """Divides an epoch into batches.

        Args:
            samples: Number of samples.
            seed: Random seed of their order.
            batch: Maximum number of samples per batch, over all processes.
            accumulate: Batches per step.
            rank: Rank of this process.
            processes: Number of processes.

        Raises:
            RecipeError: A share would be empty.
        """
        self.sampler = EpochSampler(samples, seed)  # Lightning sets its epoch
        self.accumulate = accumulate
        self.rank = rank
        self.processes = processes
        self.steps = -(-samples // (batch * accumulate))
        if self.min_share < 1:
            raise RecipeError(
                f"{samples // self.steps} samples per step cannot be divided into {accumulate} batches for each of "
                f"{processes} processes: lower run.accumulate, or start fewer processes"
            )

    @property
    def min_share(self) -> int:
        """Number of samples in the smallest share of a batch."""
        return len(self.sampler) // self.steps // (self.accumulate * self.processes)

    def __len__(self) -> int:
        return self.steps * self.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        for step in np.array_split(np.array(list(self.sampler)), self.steps):
            parts = np.array_split(step, self.accumulate * self.processes)
            yield from (part.tolist() for part in parts[self.rank :: self.processes])

    def weight(self, index: int) -> float:
        """Returns the weight of the mean loss of a batch, so that a step is the mean over its samples.

        Args:
            index: Index of the batch in the epoch.
        """
        step, part = divmod(index, self.accumulate)
        size = _part_size(len(self.sampler), self.steps, step)
        parts = self.accumulate * self.processes
        return _part_size(size, parts, part * self.processes + self.rank) * parts / size


class ImageCache:
    """Decoded images in memory, up to a limit. It is filled before workers start, so that they share it."""

    def __init__(self, megabytes: int) -> None:
        self._free = megabytes * 2**20
        self._images: dict[Path, NDArray[np.uint8]] = {}

    def fill(self, paths: Iterator[Path]) -> None:
        """Reads images until the limit is reached."""
        if self._free <= 0:
            return
        every = list(dict.fromkeys(paths))
        for path, image in zip(every, in_threads(read_image, every), strict=False):
            self._images[path] = image
            self._free -= image.nbytes
            if self._free <= 0:
                return

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Returns an image (H, W, 3), from memory or from its file."""
        return self._images[path] if path in self._images else read_image(path)


def training_loader(
    dataset: TrainingSet,
    batch: int,
    workers: int,
    pin: bool,
    accumulate: int = 1,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader[Encoded]:
    """Returns a loader of the batches of `EpochBatches`.

    OpenCV uses one thread in this process from here on. Its thread pool does not survive a fork, and a worker would
    wait for it forever; without workers, its threads would compete with those of the network for small images.

    Args:
        dataset: The training set.
        batch: Batch size, over all processes.
        workers: Data loading processes.
        pin: Whether to pin memory, for a GPU.
        accumulate: Batches per step.
        rank: Rank of this process.
        processes: Number of processes.
    """
    cv2.setNumThreads(1)
    return DataLoader(
        dataset,
        batch_sampler=EpochBatches(len(dataset), dataset.seed, batch, accumulate, rank, processes),
        num_workers=workers,
        collate_fn=stack,
        persistent_workers=workers > 0,
        pin_memory=pin,
        worker_init_fn=_use_one_thread,
    )


def stack(items: Sequence[Encoded]) -> Batch:
    """Returns the arrays of several samples as tensors, with the batch as first axis."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}


def _part_size(count: int, parts: int, index: int) -> int:
    """The size of one part of numpy's array_split."""
    return count // parts + (index < count % parts)


def _use_one_thread(_: int) -> None:
    torch.set_num_threads(1)
