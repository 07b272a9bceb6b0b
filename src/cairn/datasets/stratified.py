"""Selection of whole groups of images so that every class has its share of instances in the validation set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels


def instances_by_class(labels: Labels) -> NDArray[np.int64]:
    """Returns (N, C) the number of labeled instances of each class in each image."""
    counts = np.zeros((len(labels), len(labels.classes)), np.int64)
    for i, image in enumerate(labels):
        if image.annotation.classes is not None:
            classes = image.annotation.classes[image.annotation.labeled]
            np.add.at(counts[i], classes[classes >= 0], 1)
    return counts


def stratified(
    groups: Sequence[NDArray[np.int64]], instances: NDArray[np.int64], share: float, count: int
) -> list[NDArray[np.int64]]:
    """Returns groups for the validation set, at most `count` images, in which each class has about its share.

    The class that lacks most of its share is served next, the rarest of equals, by the first group with it that fits. A
    group is never taken where it has the last instances of a class outside the validation set. When every class has its
    share, or no group fits, the first groups that fit are added.

    Args:
        groups: Rows of the images of each group, in random order.
        instances: (N, C) labeled instances of each class in each image.
        share: Share of the instances for validation.
        count: Maximum number of images.
    """
    sums = np.array([instances[rows].sum(axis=0) for rows in groups]).reshape(len(groups), instances.shape[1])
    total = sums.sum(axis=0)
    wanted, rest = share * total, total.copy()
    taken: dict[int, NDArray[np.int64]] = {}
    size = 0

    def fits(group: int) -> bool:
        if group in taken or size + len(groups[group]) > count:
            return False
        return not ((sums[group] > 0) & (rest <= sums[group])).any()

    def take(group: int) -> None:
        nonlocal size, rest
        taken[group] = groups[group]
        size, rest = size + len(groups[group]), rest - sums[group]

    waiting = {index: iter(np.flatnonzero(sums[:, index]).tolist()) for index in np.flatnonzero(total).tolist()}
    while waiting:
        lacking = {index: 1 - (total[index] - rest[index]) / wanted[index] for index in waiting}
        index = min(waiting, key=lambda index: (-lacking[index], total[index]))
        if lacking[index] <= 0:
            break
        group = next(filter(fits, waiting[index]), None)
        if group is None:
            del waiting[index]
        else:
            take(group)
    for group in range(len(groups)):
        if fits(group):
            take(group)
    return list(taken.values())
