"""What the heatmaps of every stack are held against (section 3.2 and 3.3: intermediate supervision).

Letters: B batch, S stacks, K joints, h w the field. Predictions are a list of S tensors (B, K, h, w), as the
network gives them, or one (B, S, K, h, w). Targets (B, K, h, w) are Gaussians of height 1, the same for every
stack. Weights (B, K) say how much each joint counts: 0 for one that is not labeled, which then gives no loss
and no gradient. Losses are computed in float32, whatever the predictions' type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

Stacks: TypeAlias = Sequence[Tensor] | Tensor


def squared_error(predictions: Stacks, targets: Tensor, weights: Tensor) -> Tensor:
    """The paper's loss: the mean over labeled joints and cells of (p - t)², summed over stacks.

    The released code takes the mean over all joints, with an empty target where one is not labeled; the
    two are the same where all are labeled. Without any labeled joint the loss is 0.
    """
    targets = targets.float()
    return sum(
        (_mean_over_joints((maps - targets).square().mean(dim=(2, 3)), weights) for maps in _each(predictions)),
        start=targets.new_zeros(()),
    )


def cross_entropy(predictions: Stacks, targets: Tensor, weights: Tensor) -> Tensor:
    """Not the paper's: -Σ t log softmax(p) over the cells of a joint's map, t the target divided by its sum.

    The mean over labeled joints, summed over stacks. A joint whose target is empty, since it lies outside the
    crop, has no place in it and counts as not labeled. From scratch this leaves the all-zero solution at
    once, where the squared error stays for epochs.
    """
    targets = targets.float()
    mass = targets.sum(dim=(2, 3), keepdim=True)  # (B, K, 1, 1)
    inside = mass > 0
    places = (targets / mass.where(inside, mass.new_ones(()))).flatten(2)  # (B, K, hw), each of sum 1
    weights = weights * inside.flatten(1)
    return sum(
        (
            _mean_over_joints(-(places * F.log_softmax(maps.flatten(2), dim=2)).sum(dim=2), weights)
            for maps in _each(predictions)
        ),
        start=targets.new_zeros(()),
    )


def _each(predictions: Stacks) -> list[Tensor]:
    """The maps of each stack, (B, K, h, w) float32."""
    stacks = predictions.unbind(dim=1) if isinstance(predictions, Tensor) else predictions
    return [maps.float() for maps in stacks]


def _mean_over_joints(losses: Tensor, weights: Tensor) -> Tensor:
    """Losses (B, K), weights (B, K) -> their weighted mean; 0 where all weights are."""
    weights = weights.float()
    total = weights.sum()
    return (losses * weights).sum() / total.where(total > 0, total.new_ones(()))
