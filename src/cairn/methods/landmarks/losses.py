"""What makes landmarks: they follow the object (alignment), and are not all one (diversity). Thewlis et al., 3.3.

p (B, K, h, w)   probabilities of image x, each map's sum 1
q (B, K, h, w)   those of x' = x∘g
u (N, 2), N = h·w       where the cells of p lie
gv (B, N, 2)            where g takes the cells v of q: positions in x
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def positions(p: Tensor, u: Tensor) -> Tensor:
    """Equation 4, soft-argmax: Φ_r(x) = Σ_u u p(u | x, r). u (N, 2) or (B, N, 2) -> (B, K, 2)."""
    return p.flatten(2) @ u


def align_points(found: Tensor, moved: Tensor) -> Tensor:
    """Equation 3: (1/K) Σ_r |Φ_r(x) - g(Φ_r(x∘g))|², the mean over the batch. Both are (B, K, 2)."""
    return (found - moved).square().sum(-1).mean()


def align_probabilities(p: Tensor, q: Tensor, u: Tensor, gv: Tensor) -> Tensor:
    """Equation 6: (1/K) Σ_r Σ_u Σ_v |u - g(v)|² p(u) q(v), in linear time; the mean over the batch.

    It is the distance of the means plus both variances, and so makes maps narrow too.
    """
    p, q = p.flatten(2), q.flatten(2)  # (B, K, N)
    squares = p @ u.square().sum(-1) + (q @ gv.square().sum(-1, keepdim=True)).squeeze(-1)  # (B, K)
    return (squares - 2 * ((p @ u) * (q @ gv)).sum(-1)).mean()


def diversity_pairwise(p: Tensor) -> Tensor:
    """Equation 7: (1/K²) Σ_r Σ_r' Σ_u p(u | r) p(u | r'), the mean over the batch: quadratic in K."""
    p = p.flatten(2)
    return (p @ p.transpose(1, 2)).mean()


def diversity(p: Tensor, patch: int) -> Tensor:
    """Equation 8: Σ_u (Σ_r p(u | r) - max_r p(u | r)), p summed over patches first; the mean over the batch.

    0 where no two landmarks share a patch, K - 1 where all are one. patch: cells along a side.
    """
    summed = patch_sums(p, patch)
    return p.shape[1] - summed.amax(dim=1).sum(dim=(1, 2)).mean()


def patch_sums(p: Tensor, patch: int) -> Tensor:
    """(B, K, h, w) -> (B, K, ⌈h/patch⌉, ⌈w/patch⌉): sums over patches, those at the edges smaller."""
    right, below = -p.shape[3] % patch, -p.shape[2] % patch
    return functional.avg_pool2d(functional.pad(p, (0, right, 0, below)), patch) * patch**2


def probabilities(scores: Tensor) -> Tensor:
    """(B, K, h, w) -> softmax over each map (section 3.2)."""
    return torch.softmax(scores.flatten(2), dim=2).view_as(scores)
