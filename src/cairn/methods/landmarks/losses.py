"""The loss of section 3.3: landmarks follow the object (alignment) and do not coincide (diversity). Thewlis et al.

| symbol | shape | meaning |
|---|---|---|
| p | (B, K, h, w) | probability maps of image x; each map sums to 1 |
| q | (B, K, h, w) | probability maps of x' = x∘g |
| u | (N, 2), N = h·w | positions of the cells of p |
| gv | (B, N, 2) | positions in x to which g moves the cells v of q |
"""

from __future__ import annotations

import torch
from torch import Tensor, softmax
from torch.nn import functional

MIN_ALIGNMENT = 1e-6
"""Lower bound of the alignment before its logarithm, squared half input sides: a fortieth of a pixel."""


def positions(p: Tensor, u: Tensor) -> Tensor:
    """Soft-argmax, equation 4: Φ_r(x) = Σ_u u p(u | x, r).

    Args:
        p: (B, K, h, w).
        u: (N, 2) or (B, N, 2).

    Returns:
        (B, K, 2).
    """
    return p.flatten(2) @ u


def align_points(predicted: Tensor, moved: Tensor) -> Tensor:
    """Terms of equation 3: |Φ_r(x) - g(Φ_r(x∘g))|² of each landmark. The loss is their mean.

    Args:
        predicted: (B, K, 2) Φ(x).
        moved: (B, K, 2) g(Φ(x∘g)).

    Returns:
        (B, K).
    """
    return (predicted - moved).square().sum(-1)


def align_probabilities(p: Tensor, q: Tensor, u: Tensor, gv: Tensor) -> Tensor:
    """Terms (B, K) of equation 6: Σ_u Σ_v |u - g(v)|² p(u) q(v), in linear time. The loss is their mean.

    They equal the squared distance of the two means plus both variances, so they also make the maps narrow.
    """
    p, q = p.flatten(2), q.flatten(2)  # (B, K, N)
    squares = p @ u.square().sum(-1) + (q @ gv.square().sum(-1, keepdim=True)).squeeze(-1)  # (B, K)
    return squares - 2 * ((p @ u) * (q @ gv)).sum(-1)


def mean(terms: Tensor, visible: Tensor | None = None) -> Tensor:
    """Mean of terms (B, K), of those that are visible (B, K); 0 where none is."""
    if visible is None:
        return terms.mean()
    return (terms * visible).sum() / visible.sum().clamp_min(1)


def mean_logarithm(terms: Tensor, visible: Tensor | None = None) -> Tensor:
    """Mean over landmarks of the logarithm of each one's mean over the batch.

    Its gradient depends on the relative error of each landmark. In the logarithm of the mean, a few landmarks that
    nothing in the image holds outweigh all others.

    Args:
        terms: (B, K), >= 0.
        visible: (B, K) terms that count; None for all.
    """
    counts = torch.ones_like(terms) if visible is None else visible.to(terms.dtype)
    of_landmark = (terms * counts).sum(0) / counts.sum(0).clamp_min(1)
    seen = counts.sum(0) > 0
    return (of_landmark.clamp_min(MIN_ALIGNMENT).log() * seen).sum() / seen.sum().clamp_min(1)


def diversity_pairwise(p: Tensor) -> Tensor:
    """Equation 7: (1/K²) Σ_r Σ_r' Σ_u p(u | r) p(u | r'), averaged over the batch; quadratic in K."""
    p = p.flatten(2)
    return (p @ p.transpose(1, 2)).mean()


def diversity(p: Tensor, patch: int) -> Tensor:
    """Equation 8: Σ_u (Σ_r p(u | r) - max_r p(u | r)), with p summed over patches first; averaged over the batch.

    Args:
        p: (B, K, h, w).
        patch: Cells along a side of a patch.

    Returns:
        0 where no two landmarks share a patch, K - 1 where all coincide.
    """
    summed = patch_sums(p, patch)
    return p.shape[1] - summed.amax(dim=1).sum(dim=(1, 2)).mean()


def patch_sums(p: Tensor, patch: int) -> Tensor:
    """Sums over patches: (B, K, h, w) -> (B, K, ⌈h/patch⌉, ⌈w/patch⌉); patches at the far edges are smaller."""
    right, below = -p.shape[3] % patch, -p.shape[2] % patch
    return functional.avg_pool2d(functional.pad(p, (0, right, 0, below)), patch) * patch**2


def probabilities(scores: Tensor) -> Tensor:
    """Softmax over each map, section 3.2: (B, K, h, w) -> the same."""
    return softmax(scores.flatten(2), dim=2).view_as(scores)
