"""Losses with intermediate supervision: every stack has the same targets (sections 3.2 and 3.3).

Letters: B batch, S stacks, K joints, h w the heatmaps. Predictions are a list of S tensors (B, K, h, w), as the network
returns them, or one tensor (B, S, K, h, w). Targets (B, K, h, w) are Gaussians of height 1. Weights (B, K) are 0 for
unlabeled joints, which then have no loss and no gradient. Losses are computed in float32 for predictions of any type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

Stacks: TypeAlias = Sequence[Tensor] | Tensor


def squared_error(predictions: Stacks, targets: Tensor, weights: Tensor) -> Tensor:
    """Returns the paper's loss: the mean of (p - t)² over labeled joints and cells, summed over stacks.

    The released code takes the mean over all joints, with an empty target for unlabeled ones. If all joints are
    labeled, both are equal. Without any labeled joint the loss is 0.

    Args:
        predictions: Heatmaps (B, K, h, w) of each stack.
        targets: (B, K, h, w) target heatmaps.
        weights: (B, K) 1 for labeled joints, 0 for others.
    """
    targets = targets.float()
    return sum(
        (_mean_over_joints((maps - targets).square().mean(dim=(2, 3)), weights) for maps in _each(predictions)),
        start=targets.new_zeros(()),
    )


def cross_entropy(predictions: Stacks, targets: Tensor, weights: Tensor) -> Tensor:
    """Returns -Σ t log softmax(p) over the cells of a heatmap, t the target divided by its sum; not in the paper.

    It is averaged over labeled joints and summed over stacks. A joint outside the crop has an empty target and counts
    as unlabeled. From scratch, training leaves the all-zero solution at once, where the squared error stays for epochs.

    Args:
        predictions: Heatmaps (B, K, h, w) of each stack.
        targets: (B, K, h, w) target heatmaps.
        weights: (B, K) 1 for labeled joints, 0 for others.
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


def class_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Returns the cross-entropy of classes, averaged over crops of a known class; not in the paper.

    Args:
        logits: (B, C).
        classes: (B,) from 0 to C - 1; -1 where unknown, without loss.
    """
    known = (classes >= 0).sum()
    total = F.cross_entropy(logits.float(), classes, ignore_index=-1, reduction="sum")
    return total / known.clamp(min=1)


def visibility_entropy(logits: Tensor, visible: Tensor, heatmaps: Tensor) -> Tensor:
    """Returns the cross-entropy of visibility, averaged over cells with the weights of the heatmaps; not in the paper.

    Args:
        logits: (B, K, h, w).
        visible: (B, K, h, w) 1 where the keypoint is visible, 0 where it is occluded.
        heatmaps: (B, K, h, w) target heatmaps; empty for unlabeled joints, which then have no loss.
    """
    entropy = F.binary_cross_entropy_with_logits(logits.float(), visible, reduction="none")
    return (heatmaps * entropy).sum() / heatmaps.sum().clamp(min=1)


def _each(predictions: Stacks) -> list[Tensor]:
    """The heatmaps of each stack, (B, K, h, w) float32."""
    stacks = predictions.unbind(dim=1) if isinstance(predictions, Tensor) else predictions
    return [maps.float() for maps in stacks]


def _mean_over_joints(losses: Tensor, weights: Tensor) -> Tensor:
    """Losses (B, K), weights (B, K) -> the weighted mean; 0 if all weights are 0."""
    weights = weights.float()
    total = weights.sum()
    return (losses * weights).sum() / total.where(total > 0, total.new_ones(()))
