from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.methods.hourglass.losses import cross_entropy, squared_error

SEEDS = st.integers(0, 2**32 - 1)


def problem(seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """predictions (B, S, K, h, w), targets (B, K, h, w) of which one is empty, weights (B, K) with zeros."""
    rng = np.random.default_rng(seed)
    b, s, k, h, w = rng.integers(1, 4, 3).tolist() + rng.integers(2, 6, 2).tolist()
    targets = rng.random((b, k, h, w)) ** 4
    targets[0, 0] = 0
    return rng.normal(0, 3, (b, s, k, h, w)), targets, rng.integers(0, 3, (b, k)).astype(float)


def squared_error_by_definition(predictions: NDArray, targets: NDArray, weights: NDArray) -> float:
    b, stacks, k, h, w = predictions.shape
    loss = 0.0
    for s in range(stacks):
        total = sum(
            weights[i, j] * (predictions[i, s, j, y, x] - targets[i, j, y, x]) ** 2 / (h * w)
            for i, j, y, x in np.ndindex(b, k, h, w)
        )
        loss += total / weights.sum() if weights.sum() else 0.0
    return loss


def cross_entropy_by_definition(predictions: NDArray, targets: NDArray, weights: NDArray) -> float:
    b, stacks, k, h, w = predictions.shape
    loss = 0.0
    for s in range(stacks):
        total = count = 0.0
        for i, j in np.ndindex(b, k):
            if targets[i, j].sum() == 0:
                continue
            partition = sum(np.exp(predictions[i, s, j, y, x]) for y, x in np.ndindex(h, w))
            for y, x in np.ndindex(h, w):
                share = targets[i, j, y, x] / targets[i, j].sum()
                total -= weights[i, j] * share * np.log(np.exp(predictions[i, s, j, y, x]) / partition)
            count += weights[i, j]
        loss += total / count if count else 0.0
    return loss


LOSSES = pytest.mark.parametrize(
    ("loss", "definition"),
    [(squared_error, squared_error_by_definition), (cross_entropy, cross_entropy_by_definition)],
    ids=["squared_error", "cross_entropy"],
)


@LOSSES
@settings(deadline=None, max_examples=25)
@given(SEEDS)
def test_a_loss_equals_its_definition(loss: Callable, definition: Callable, seed: int) -> None:
    arrays = problem(seed)
    predictions, targets, weights = map(torch.tensor, arrays)
    expected = definition(*arrays)
    assert loss(predictions, targets, weights).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert loss(list(predictions.unbind(1)), targets, weights).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@LOSSES
def test_joints_without_weight_give_no_gradient(loss: Callable, definition: Callable) -> None:
    torch.manual_seed(0)
    predictions, targets = torch.randn(2, 2, 3, 4, 5, requires_grad=True), torch.rand(2, 3, 4, 5)
    weights = torch.tensor([[1.0, 0, 2], [0, 1, 0]])
    loss(predictions, targets, weights).backward()
    reached = predictions.grad.abs().sum(dim=(3, 4)) > 0  # (B, S, K)
    assert torch.equal(reached, (weights > 0)[:, None].expand(2, 2, 3))


@LOSSES
def test_a_batch_without_labeled_joints_has_loss_zero_and_gradient_zero(loss: Callable, definition: Callable) -> None:
    predictions = torch.randn(2, 1, 3, 4, 4, requires_grad=True)
    value = loss(predictions, torch.rand(2, 3, 4, 4), torch.zeros(2, 3))
    value.backward()
    assert value.item() == 0
    assert not predictions.grad.any()


@LOSSES
def test_losses_are_float32_for_predictions_of_any_type(loss: Callable, definition: Callable) -> None:
    predictions = torch.randn(2, 1, 3, 4, 4).bfloat16()
    targets, weights = torch.rand(2, 3, 4, 4), torch.ones(2, 3)
    value = loss(predictions, targets, weights)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(
        definition(predictions.double().numpy(), targets.double().numpy(), weights.double().numpy()), rel=1e-5
    )


def test_cross_entropy_is_minimal_where_the_softmax_is_the_target() -> None:
    targets = torch.rand(1, 2, 4, 4) + 0.1
    best = targets.log()
    minimum = cross_entropy([best], targets, torch.ones(1, 2))
    for seed in range(5):
        noise = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(seed))
        assert cross_entropy([best + 0.1 * noise], targets, torch.ones(1, 2)) > minimum
