"""The six losses of KeypointNet (Suwajanakorn et al., NeurIPS 2018), and the geometry between two views.

Points of the world are in object units, in which the object has a radius of about 1. Image positions are in [-1, 1]
across the image, with y down. The cameras are OpenCV's: x right, y down, z forward.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-12


def unproject(uv: Tensor, depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Returns points (B, K, 3) in the frame of the camera.

    Args:
        uv: (B, K, 2) in [-1, 1].
        depth: (B, K).
        intrinsics: (B, 4): fx, fy, cx, cy, in half image sides, so that u = fx x / z + cx.
    """
    focal, center = intrinsics[:, None, :2], intrinsics[:, None, 2:]
    return torch.cat([(uv - center) / focal * depth[..., None], depth[..., None]], dim=-1)


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Returns image positions (B, K, 2) of points (B, K, 3) in the frame of the camera; the inverse of `unproject`."""
    focal, center = intrinsics[:, None, :2], intrinsics[:, None, 2:]
    return focal * points[..., :2] / points[..., 2:].clamp_min(1e-3) + center


def moved(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """Returns points (B, K, 3) after a rigid transform: R x + t, with R (B, 3, 3) and t (B, 3)."""
    return points @ rotation.transpose(1, 2) + translation[:, None]


def consistency(projected: Tensor, uv: Tensor) -> Tensor:
    """Multi-view consistency, equation 1, of one direction: mean over keypoints, of squared distances in the image.

    Args:
        projected: (B, K, 2) keypoints of the other view, projected into this one.
        uv: (B, K, 2) keypoints of this view.
    """
    return ((projected - uv) ** 2).sum(dim=-1).mean()


def relative_rotation(first: Tensor, second: Tensor) -> Tensor:
    """Returns the rotations (B, 3, 3) that align point sets (B, K, 3) best: R (x - mean) ≈ y - mean.

    Orthogonal Procrustes (section 3.2): the singular vectors of the covariance, with the sign of a proper rotation.
    """
    a, b = (each - each.mean(dim=1, keepdim=True) for each in (first, second))
    u, _, vt = torch.linalg.svd(b.transpose(1, 2) @ a)
    sign = torch.det(u @ vt).sign()
    u = torch.cat([u[..., :2], u[..., 2:] * sign[:, None, None]], dim=-1)
    rotation: Tensor = u @ vt
    return rotation


def relative_pose(first: Tensor, second: Tensor, rotation: Tensor) -> Tensor:
    """Relative pose, equation 2: mean angle in radians between the true rotation and that of the keypoints.

    Args:
        first: (B, K, 3) keypoints in the frame of the first camera.
        second: Likewise of the second one.
        rotation: (B, 3, 3) from the first frame to the second.
    """
    return angle(relative_rotation(first, second), rotation).mean()


def angle(first: Tensor, second: Tensor) -> Tensor:
    """Returns the angles (B,) in radians between rotations (B, 3, 3): 2 asin(|R - R'| / (2 √2))."""
    chord = ((first - second) ** 2).sum(dim=(1, 2)).clamp_min(EPSILON).sqrt()
    return 2 * torch.asin((chord / (2 * math.sqrt(2))).clamp(max=1 - 1e-6))


def separation(points: Tensor, delta: float) -> Tensor:
    """Separation, equation 4: hinge on the squared distances of keypoints of one view, summed over pairs, over K.

    Args:
        points: (B, K, 3) in the frame of the camera.
        delta: Squared distance from which a pair costs nothing.
    """
    squared = ((points[:, :, None] - points[:, None]) ** 2).sum(dim=-1)
    return (delta - squared).clamp_min(0).sum(dim=(1, 2)).mean() / points.shape[1]


def silhouette(probabilities: Tensor, mask: Tensor) -> Tensor:
    """Silhouette consistency, equation 5: negative logarithm of the probability within the mask.

    Args:
        probabilities: (B, K, h, w), each map of sum 1.
        mask: (B, h, w), 1 on the object and 0 elsewhere.
    """
    inside = (probabilities * mask[:, None]).sum(dim=(2, 3))
    return -(inside + EPSILON).log().mean()


def variance(probabilities: Tensor, uv: Tensor, grid: Tensor) -> Tensor:
    """Variance of the maps, equation 6: mean squared distance from the keypoint.

    Args:
        probabilities: (B, K, h, w).
        uv: (B, K, 2).
        grid: (h, w, 2) positions of the cells.
    """
    squared = ((uv[:, :, None, None] - grid) ** 2).sum(dim=-1)
    return (probabilities * squared).sum(dim=(2, 3)).mean()


def orientation(predicted: Tensor, axis: Tensor) -> Tensor:
    """Orientation network, section 4: mean squared error of the images of both ends of the dominant axis.

    Args:
        predicted: (B, 2, 2).
        axis: (B, 2, 2) image positions of the points at +1 and -1 on the axis.
    """
    return ((predicted - axis) ** 2).mean()
