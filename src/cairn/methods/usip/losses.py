"""The losses (section 3.3): probabilistic chamfer, point-to-point and point-to-plane."""

from __future__ import annotations

import torch
from torch import Tensor


def chamfer(
    first: Tensor, second: Tensor, sigma: Tensor, sigma_second: Tensor, shared: Tensor, shared_second: Tensor
) -> Tensor:
    """The probabilistic chamfer loss, in both directions.

    Each keypoint has the distance d to the nearest keypoint of the other cloud. It is exponentially distributed with
    the mean of both uncertainties; the loss is the negative log-likelihood, ln(sigma) + d / sigma.

    Args:
        first: (B, M, 3) keypoints of the first cloud, in the frame of both.
        second: (B, N, 3) those of the second one, in the same frame.
        sigma: (B, M) uncertainties.
        sigma_second: (B, N).
        shared: (B, M) bool, which keypoints count: those where the other cloud has points, too.
        shared_second: (B, N) bool.

    Returns:
        The sum of the means of both directions.
    """
    distances = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
    forward = _direction(distances, sigma, sigma_second)
    backward = _direction(distances.transpose(1, 2), sigma_second, sigma)
    return _mean(forward, shared) + _mean(backward, shared_second)


def point_to_point(offsets: Tensor, points: Tensor) -> Tensor:
    """The mean distance of keypoints to the nearest point of the cloud.

    Args:
        offsets: (B, M, 3) keypoints relative to their nodes.
        points: (B, M, S, 3) the points near each node, relative to it.
    """
    return (points - offsets[:, :, None]).square().sum(dim=-1).amin(dim=2).clamp_min(1e-12).sqrt().mean()


def point_to_plane(offsets: Tensor, points: Tensor, normals: Tensor) -> Tensor:
    """The mean distance of keypoints to the plane of the nearest point of the cloud.

    Args:
        offsets: (B, M, 3) keypoints relative to their nodes.
        points: (B, M, S, 3) the points near each node, relative to it.
        normals: (B, M, S, 3) their normals.
    """
    nearest = (points - offsets[:, :, None]).square().sum(dim=-1).argmin(dim=2)
    index = nearest[..., None, None].expand(-1, -1, 1, 3)
    away = offsets - points.gather(2, index)[:, :, 0]
    return (away * normals.gather(2, index)[:, :, 0]).sum(dim=-1).abs().mean()


def _direction(distances: Tensor, sigma: Tensor, sigma_other: Tensor) -> Tensor:
    """The loss (B, M) of each keypoint, of the distances (B, M, N) to those of the other cloud."""
    nearest, which = distances.min(dim=2)
    mean = (sigma + sigma_other.gather(1, which)) / 2
    return mean.log() + nearest / mean


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    return (values * counted).sum() / counted.sum().clamp_min(1)
