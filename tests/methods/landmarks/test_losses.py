"""The losses against brute-force sums of the paper's equations, and laws that hold for any maps."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cairn.methods.landmarks import losses

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=20)


def random_maps(rng: np.random.Generator, *shape: int, sharp: float = 3.0) -> Tensor:
    return losses.probabilities(torch.from_numpy(rng.normal(0, sharp, shape)))


def problem(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """p and q (B, K, h, w), u (N, 2), gv (B, N, 2), in double precision."""
    rng = np.random.default_rng(seed)
    b, k = rng.integers(1, 4, 2).tolist()
    h, w = rng.integers(1, 6, 2).tolist()
    p, q = random_maps(rng, b, k, h, w), random_maps(rng, b, k, h, w)
    return p, q, torch.from_numpy(rng.normal(0, 1, (h * w, 2))), torch.from_numpy(rng.normal(0, 1, (b, h * w, 2)))


def alignment_by_definition(p: Tensor, q: Tensor, u: Tensor, gv: Tensor) -> float:
    """Σ_r Σ_u Σ_v |u - g(v)|² p(u) q(v), the mean over landmarks and images."""
    b, k = p.shape[:2]
    p, q = p.flatten(2), q.flatten(2)
    total = 0.0
    for i, r in np.ndindex(b, k):
        for n in range(len(u)):
            for m in range(len(u)):
                away = (u[n, 0] - gv[i, m, 0]) ** 2 + (u[n, 1] - gv[i, m, 1]) ** 2
                total += float(away * p[i, r, n] * q[i, r, m])
    return total / (b * k)


def pairwise_by_definition(p: Tensor) -> float:
    b, k, h, w = p.shape
    total = 0.0
    for i, r, s, y, x in np.ndindex(b, k, k, h, w):
        total += float(p[i, r, y, x] * p[i, s, y, x])
    return total / (b * k**2)


def diversity_by_definition(p: Tensor, patch: int) -> float:
    """Σ over patches of (Σ_r - max_r) of each landmark's probability in the patch, averaged over images."""
    b, k, h, w = p.shape
    total = 0.0
    for i in range(b):
        for top in range(0, h, patch):
            for left in range(0, w, patch):
                shares = []
                for r in range(k):
                    share = 0.0
                    for y in range(top, min(top + patch, h)):
                        for x in range(left, min(left + patch, w)):
                            share += float(p[i, r, y, x])
                    shares.append(share)
                total += sum(shares) - max(shares)
    return total / b


@FEW
@given(SEEDS)
def test_losses_match_their_definitions(seed: int) -> None:
    p, q, u, gv = problem(seed)
    assert losses.align_probabilities(p, q, u, gv).mean().item() == pytest.approx(alignment_by_definition(p, q, u, gv))
    assert losses.diversity_pairwise(p).item() == pytest.approx(pairwise_by_definition(p))
    for patch in (1, 2, 3):
        expected = diversity_by_definition(p, patch)
        assert losses.diversity(p, patch).item() == pytest.approx(expected, abs=1e-12)


@FEW
@given(SEEDS)
def test_positions_are_means_and_point_alignment_is_the_mean_squared_distance(seed: int) -> None:
    p, q, u, gv = problem(seed)
    b, k, h, w = p.shape
    found, moved = losses.positions(p, u), losses.positions(q, gv)
    total = 0.0
    for i, r in np.ndindex(b, k):
        here, there = np.zeros(2), np.zeros(2)
        for y, x in np.ndindex(h, w):
            here += p[i, r, y, x].item() * u[y * w + x].numpy()
            there += q[i, r, y, x].item() * gv[i, y * w + x].numpy()
        assert np.allclose(found[i, r], here)
        assert np.allclose(moved[i, r], there)
        total += ((here - there) ** 2).sum()
    assert losses.align_points(found, moved).mean().item() == pytest.approx(total / (b * k))


@FEW
@given(SEEDS)
def test_probability_alignment_is_point_alignment_plus_both_variances(seed: int) -> None:
    p, q, u, gv = problem(seed)

    def variance(maps: Tensor, places: Tensor) -> Tensor:
        away = places.expand(len(maps), -1, -1)[:, None] - losses.positions(maps, places)[:, :, None]
        return (maps.flatten(2) * away.square().sum(-1)).sum(-1).mean()

    simple = losses.align_points(losses.positions(p, u), losses.positions(q, gv)).mean()
    both = losses.align_probabilities(p, q, u, gv).mean()
    assert both.item() == pytest.approx((simple + variance(p, u) + variance(q, gv)).item())


@FEW
@given(SEEDS)
def test_the_mean_logarithm_counts_each_landmark_by_its_relative_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = torch.from_numpy(rng.uniform(0.01, 1, (3, 5)))
    visible = torch.from_numpy(rng.random((3, 5)) < 0.6)
    visible[:, 0], visible[0, 1:] = False, True  # the first landmark is in no view
    terms.requires_grad_()
    expected = [np.log(terms[visible[:, r], r].detach().numpy().mean()) for r in range(1, 5)]
    loss = losses.mean_logarithm(terms, visible)
    assert loss.item() == pytest.approx(np.mean(expected))
    [gradient] = torch.autograd.grad(loss, terms)
    assert not gradient[~visible].any()
    pull = (gradient * terms).sum(0)  # does not depend on the size of the error
    assert pull[1:].detach().numpy() == pytest.approx([0.25] * 4)
    factors = torch.tensor([1.0, 1.0, 2.0, 3.0, 100.0])
    assert losses.mean_logarithm(terms * factors, visible).item() == pytest.approx(
        loss.item() + factors[1:].log().mean().item()
    )
    assert losses.mean_logarithm(terms).item() == pytest.approx(terms.mean(0).log().mean().item())


@pytest.mark.parametrize("patch", [1, 2, 3, 4])
def test_diversity_is_0_apart_and_k_minus_1_together(patch: int) -> None:
    together = random_maps(np.random.default_rng(0), 2, 1, 7, 9).expand(-1, 5, -1, -1)
    assert losses.diversity(together, patch).item() == pytest.approx(4)
    apart = torch.zeros(1, 4, 8, 8, dtype=torch.double)
    for r, (y, x) in enumerate([(0, 0), (0, 7), (7, 0), (7, 7)]):
        apart[0, r, y, x] = 1
    assert losses.diversity(apart, patch).item() == pytest.approx(0)
    neighbors = torch.zeros(1, 2, 8, 8, dtype=torch.double)
    neighbors[0, 0, 0, 0] = neighbors[0, 1, 1, 1] = 1  # in one patch of any size but 1
    assert losses.diversity(neighbors, patch).item() == pytest.approx(0 if patch == 1 else 1)


def test_pairwise_diversity_is_minimal_apart() -> None:
    apart = torch.eye(4).reshape(1, 4, 2, 2)
    assert losses.diversity_pairwise(apart).item() == pytest.approx(1 / 4)  # a landmark and itself
    assert losses.diversity_pairwise(apart[:, :1].expand(-1, 4, -1, -1)).item() == pytest.approx(1)


def test_probabilities_are_the_softmax_of_each_map() -> None:
    scores = torch.from_numpy(np.random.default_rng(1).normal(0, 5, (2, 3, 4, 5)))
    p = losses.probabilities(scores)
    assert torch.allclose(p, scores.exp() / scores.exp().sum(dim=(2, 3), keepdim=True))
    assert torch.allclose(losses.probabilities(scores + 1e4), p)


P, Q, U, GV = problem(3)
MAPS = torch.from_numpy(np.random.default_rng(2).normal(0, 2, (2, 3, 4, 5)))


@pytest.mark.parametrize(
    ("loss", "inputs"),
    [
        (losses.align_probabilities, (P, Q, U, GV)),
        (losses.align_points, (losses.positions(P, U), losses.positions(Q, GV))),
        (lambda scores: losses.diversity(losses.probabilities(scores), 2), (MAPS,)),
        (lambda scores: losses.diversity_pairwise(losses.probabilities(scores)), (MAPS,)),
    ],
    ids=["probabilities", "points", "patches", "pairs"],
)
def test_gradients_match_finite_differences(loss: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
    assert torch.autograd.gradcheck(loss, tuple(value.clone().requires_grad_() for value in inputs))


def floating_point_operations(loss: Callable[[Tensor], Tensor], landmarks: int) -> int:
    """Counts the output elements of a loss's operations; matrix products count their summands."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            inner = args[0].shape[-1] if function is torch.ops.aten.bmm.default else 1
            self.count += inner * (result.numel() if isinstance(result, Tensor) else 0)
            return result

    maps = losses.probabilities(torch.zeros(1, landmarks, 12, 12))
    with Counting() as counting:
        loss(maps)
    return counting.count


def test_patch_diversity_is_linear_and_pairwise_diversity_is_not() -> None:
    counts = {k: floating_point_operations(lambda p: losses.diversity(p, 3), k) for k in (10, 30, 50)}
    assert counts[50] - counts[30] == counts[30] - counts[10]
    assert counts[50] / 50 <= counts[10] / 10
    pairs = {k: floating_point_operations(losses.diversity_pairwise, k) for k in (10, 50)}
    assert pairs[50] / 50 > 3 * pairs[10] / 10  # five times, except for the work done once per landmark
