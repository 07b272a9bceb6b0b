"""Every sample is drawn once per epoch, and the same seed gives the same samples."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import RecipeError
from cairn.training.data.loading import (
    EpochBatches,
    EpochSampler,
    ImageCache,
    Sample,
    TrainingSet,
    stack,
    training_loader,
)
from support.made_data import made_labels


def draws(image, sample, rng):
    return {"id": np.array(sample.image.id), "draw": rng.random(3), "image": image[:4, :4].copy()}


def test_an_epoch_has_every_sample_once_in_its_own_order(tmp_path):
    sampler = EpochSampler(17, seed=3)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        items = list(sampler)
        assert sorted(items) == list(range(17 * epoch, 17 * (epoch + 1)))
        orders.append([item % 17 for item in items])
    assert orders[0] != orders[1] != orders[2]
    sampler.set_epoch(1)
    assert [item % 17 for item in sampler] == orders[1]


def test_an_item_depends_on_seed_epoch_and_sample_only(tmp_path):
    labels = made_labels(tmp_path, 4)
    samples = [Sample(image, labels.labeled_joints) for image in labels]
    one, other = TrainingSet(samples, draws, 5, 100), TrainingSet(samples, draws, 5, 0)
    assert np.array_equal(one[6]["draw"], other[6]["draw"])
    assert np.array_equal(one[6]["image"], other[6]["image"])  # from memory and from the file
    assert one[6]["id"] == one[2]["id"]
    assert not np.array_equal(one[6]["draw"], one[2]["draw"])  # sample 2 again, an epoch later
    assert not np.array_equal(one[6]["draw"], TrainingSet(samples, draws, 6, 0)[6]["draw"])


def test_workers_give_the_batches_of_this_process(tmp_path):
    labels = made_labels(tmp_path, 6)
    data = TrainingSet([Sample(image, labels.labeled_joints) for image in labels], draws, 1, 10)
    cv2.setNumThreads(2)
    cv2.resize(
        np.zeros((2000, 2000), np.uint8), (999, 999)
    )  # starts threads of OpenCV, which forked workers do not inherit
    here, there = (list(training_loader(data, 2, workers, pin=False)) for workers in (0, 2))
    assert len(here) == 3
    for a, b in zip(here, there, strict=True):
        assert all((a[name] == b[name]).all() for name in a)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
def test_processes_together_get_every_sample_once(samples, batch, accumulate, processes, epoch):
    steps = -(-samples // (batch * accumulate))
    if samples // steps < accumulate * processes:
        with pytest.raises(RecipeError, match="samples per step cannot be divided"):
            EpochBatches(samples, 3, batch, accumulate, 0, processes)
        return
    shares = [EpochBatches(samples, 3, batch, accumulate, rank, processes) for rank in range(processes)]
    for share in shares:
        share.sampler.set_epoch(epoch)
    lists = [list(share) for share in shares]
    assert {len(batches) for batches in lists} == {len(share) for share in shares} == {steps * accumulate}
    items = [item for batches in lists for part in batches for item in part]
    assert sorted(items) == list(range(samples * epoch, samples * (epoch + 1)))
    sizes = [len(part) for batches in lists for part in batches]
    assert min(sizes) == min(share.min_share for share in shares) >= 1
    assert max(sizes) <= -(-batch // processes)


@given(st.integers(8, 100), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2]))
def test_a_step_is_the_mean_over_its_samples_however_it_is_divided(samples, accumulate, processes):
    whole = EpochBatches(samples, 3, 8)
    if samples // whole.steps < accumulate * processes:
        return
    shares = [EpochBatches(samples, 3, 8 // accumulate, accumulate, rank, processes) for rank in range(processes)]
    value = np.random.default_rng(0).random(samples)
    for step, items in enumerate(whole):
        means = [
            share.weight(index) * value[part].mean()
            for share in shares
            for index, part in enumerate(share)
            if index // accumulate == step
        ]
        assert len(means) == accumulate * processes
        assert np.mean(means) == pytest.approx(value[items].mean())


def test_fewer_samples_than_a_batch_make_one_batch(tmp_path):
    labels = made_labels(tmp_path, 3)
    data = TrainingSet([Sample(image, labels.labeled_joints) for image in labels], draws, 1, 10)
    assert [len(batch["id"]) for batch in training_loader(data, 8, 0, pin=False)] == [3]


def test_the_cache_keeps_to_its_limit(tmp_path):
    labels = made_labels(tmp_path, 6)
    cache = ImageCache(megabytes=0)
    cache.fill(image.path for image in labels)
    assert not cache._images
    cache = ImageCache(megabytes=1)
    cache.fill(image.path for image in labels)
    assert len(cache._images) == 6
    assert stack([{"x": np.arange(3)}, {"x": np.arange(3)}])["x"].shape == (2, 3)
