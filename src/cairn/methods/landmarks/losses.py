"""The loss of section 3.3: landmarks follow the object (alignment) and do not coincide (diversity). Thewlis et al.

| symbol | shape | meaning |
|---|---|---|
| p | (B, K, h, w) | probability maps of image x; each map sums to 1 |
| q | (B, K, h, w) | probability maps of x' = x∘g |
| u | (N, 2), N = h·w | positions of the cells of p |
| gv | (B, N, 2) | positions in x to which g moves the cells v of q |
"""

from __future__ import annotations

from torch import Tensor, softmax
from torch.nn import functional


def positions(p: Tensor, u: Tensor) -> Tensor:
    """Soft-argmax, equation 4: Φ_r(x) = Σ_u u p(u | x, r).

    Args:
        p: (B, K, h, w).
        u: (N, 2) or (B, N, 2).

    Returns:
        (B, K, 2).
    """
    return p.flatten(2) @ u


def align_points(predicted: Tensor, moved: Tensor, visible: Tensor | None = None) -> Tensor:
    """Equation 3: (1/K) Σ_r |Φ_r(x) - g(Φ_r(x∘g))|², averaged over the batch.

    Args:
        predicted: (B, K, 2) Φ(x).
        moved: (B, K, 2) g(Φ(x∘g)).
        visible: (B, K) landmarks that count; None for all.
    """
    return _mean((predicted - moved).square().sum(-1), visible)


def align_probabilities(p: Tensor, q: Tensor, u: Tensor, gv: Tensor, visible: Tensor | None = None) -> Tensor:
    """Equation 6: (1/K) Σ_r Σ_u Σ_v |u - g(v)|² p(u) q(v), in linear time, averaged over the batch.

    It equals the squared distance of the two means plus both variances, so it also makes the maps narrow.
    `visible` is as in `align_points`.
    """
    p, q = p.flatten(2), q.flatten(2)  # (B, K, N)
    squares = p @ u.square().sum(-1) + (q @ gv.square().sum(-1, keepdim=True)).squeeze(-1)  # (B, K)
    return _mean(squares - 2 * ((p @ u) * (q @ gv)).sum(-1), visible)


def _mean(values: Tensor, visible: Tensor | None) -> Tensor:
    """Mean of (B, K) values, of those that are visible; 0 where none is."""
    if visible is None:
        return values.mean()
    return (values * visible).sum() / visible.sum().clamp_min(1)


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
