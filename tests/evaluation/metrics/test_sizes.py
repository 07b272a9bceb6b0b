"""Metrics by instance size: every instance is in one bin, and each bin has the metrics of its instances."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.evaluate import measure
from cairn.evaluation.metrics.sizes import MAX_BINS, MIN_INSTANCES, bins_of, by_size
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

PAIR = Skeleton("pair", ("a", "b"))


@given(st.lists(st.integers(1, 50), max_size=200))
def test_bins_partition_the_instances_by_size(sides: list[int]) -> None:
    values = np.array(sides, float)
    bins = bins_of(values)
    assert sorted(np.concatenate([*bins, np.zeros(0, int)]).tolist()) == list(range(len(sides)))
    assert len(bins) <= min(MAX_BINS, max(1, len(sides) // MIN_INSTANCES))
    for small, large in pairwise(bins):
        assert values[small].max() < values[large].min()


def test_metrics_by_size_by_hand() -> None:
    """Side s and an error of 10 pixels: 10 / (s·√2) of the diagonal. Every third large instance is not detected."""
    count, images, predictions = 20, [], []
    for i in range(count):
        side = 50 if i < count // 2 else 200
        points = np.array([[[10, 10], [20, 20]]], np.float32)
        annotation = Annotation(
            points,
            np.full((1, 2), 2, np.uint8),
            np.array([[0, 0, side, side]], np.float32),
            np.full(1, 1e4, np.float32),
            np.zeros(1, bool),
        )
        images.append(LabeledImage(i, Path(f"{i}.png"), (300, 300), annotation))
        predicted = Poses(points + np.float32([10, 0]), np.ones((1, 2), np.float32), np.ones(1, np.float32), PAIR)
        predictions.append(Poses.empty(PAIR) if side == 200 and i % 3 == 0 else predicted)
    result = measure(Labels(PAIR, tuple(images), np.ones(2, bool)), tuple(predictions), "single_instance")
    small, large = by_size(result)
    assert (small.min_side, small.max_side, small.instances) == (50, 50, 10)
    assert (large.min_side, large.max_side, large.instances) == (200, 200, 10)
    assert small.nme == pytest.approx(100 * 10 / (50 * np.sqrt(2)))
    assert large.nme == pytest.approx(100 * 10 / (200 * np.sqrt(2)))
    assert small.pck == 0  # 14 % of the diagonal is above the threshold
    assert large.pck == pytest.approx(100 * 7 / 10)  # 12, 15 and 18 were missed
