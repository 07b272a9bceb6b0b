"""Laws of the networks: sizes, shifts, and agreement with numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cairn.methods.landmarks.losses import probabilities
from cairn.methods.landmarks.model import (
    CONFIDENCE_RADIUS,
    MIN_CONFIDENCE,
    Detector,
    HourglassNetwork,
    MirroredDetector,
    PaperNetwork,
    Taught,
    in_cells,
)
from cairn.ops.heatmaps import soft_argmax

SIZE, FRAME, STRIDE = 32, 48, 4
EDGE = (FRAME - SIZE) // 2


class Painted(nn.Module):
    """A network whose score maps are every fourth pixel of its input, one color channel per landmark."""

    stride = STRIDE

    def forward(self, image: Tensor) -> Tensor:
        return image[..., ::STRIDE, ::STRIDE]


def with_scores(scores: Tensor) -> Tensor:
    """(B, 3, h, w) -> the image from which `Painted` makes these scores, with noise around its view."""
    image = torch.rand(len(scores), 3, FRAME, FRAME) * 255
    inner = image[..., EDGE : EDGE + SIZE, EDGE : EDGE + SIZE]
    inner[..., ::STRIDE, ::STRIDE] = scores
    return image


def of_numpy(scores: Tensor) -> np.ndarray:
    """Soft-argmax by numpy, (B, 3, 2), from cells of the maps to cells of the whole image."""
    pixels = (soft_argmax(scores.numpy()) + 0.5) * STRIDE - 0.5 + EDGE
    return (pixels + 0.5) / STRIDE - 0.5


def painted() -> Detector:
    return Detector(Painted(), SIZE, FRAME, STRIDE)


def millions(network: nn.Module) -> float:
    return sum(weights.numel() for weights in network.parameters()) / 1e6


def test_paper_networks_have_the_published_number_of_parameters() -> None:
    assert millions(PaperNetwork(30)) == pytest.approx(0.94, abs=0.005)
    assert millions(PaperNetwork(30, dilated=True)) == pytest.approx(0.34, abs=0.005)
    assert [c.out_channels for c in PaperNetwork(30).modules() if isinstance(c, nn.Conv2d)] == [
        20,
        48,
        64,
        80,
        256,
        30,
    ]


@pytest.mark.parametrize(
    "backbone",
    [
        PaperNetwork(7),
        PaperNetwork(7, dilated=True),
        HourglassNetwork(7),
        HourglassNetwork(7, (8, 12)),
        HourglassNetwork(7, (8,)),
    ],
    ids=["paper", "dilated", "hourglass", "two levels", "one level"],
)
def test_maps_have_the_declared_stride(backbone: nn.Module) -> None:
    with torch.no_grad():
        maps = backbone.eval()(torch.rand(2, 3, 64, 96) * 255)
    assert maps.shape == (2, 7, 64 // backbone.stride, 96 // backbone.stride)


@pytest.mark.parametrize(
    ("backbone", "multiple", "reach"),
    [
        (PaperNetwork(3), 2, 24),
        (PaperNetwork(3, dilated=True), 2, 38),
        (HourglassNetwork(3, (8, 8)), 8, 72),
    ],
    ids=["paper", "dilated", "hourglass"],
)
def test_networks_are_translation_equivariant(backbone: nn.Module, multiple: int, reach: int) -> None:
    """Away from the edges, for shifts by a multiple of the total stride."""
    torch.manual_seed(0)
    size, shift = 2 * reach + 48, 2 * multiple
    large = torch.rand(1, 3, size + shift, size + shift) * 255
    with torch.no_grad():
        here, there = (backbone.eval()(large[..., s : s + size, s : s + size]) for s in (0, shift))
    inner, cells = reach // backbone.stride + 1, shift // backbone.stride
    moved, stayed = (
        maps[..., inner + by : -inner - cells + by, inner + by : -inner - cells + by]
        for maps, by in ((here, cells), (there, 0))
    )
    assert stayed.shape[-1] >= 4
    assert stayed.std() > 0.001
    assert torch.allclose(moved, stayed, atol=1e-6)


def test_a_flat_image_gives_flat_maps() -> None:
    """The network cannot infer the edge; zero padding would reveal it."""
    torch.manual_seed(1)
    for backbone in (PaperNetwork(3), PaperNetwork(3, dilated=True), HourglassNetwork(3)):
        with torch.no_grad():
            maps = backbone.eval()(torch.full((1, 3, 64, 64), 30.0))
        assert torch.allclose(maps, maps[..., :1, :1].expand_as(maps), atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_landmarks_match_numpys_soft_argmax_with_confidence_between_0_and_1(seed: int) -> None:
    scores = torch.from_numpy(np.random.default_rng(seed).normal(0, 6, (2, 3, 8, 8)).astype(np.float32))
    points, confidence = painted()(with_scores(scores))
    assert points.shape == (2, 3, 2)
    assert np.allclose(points, of_numpy(scores), atol=1e-4)
    assert confidence.shape == (2, 3)
    assert (confidence >= MIN_CONFIDENCE).all()
    assert (confidence <= 1).all()


def test_confidence_grows_with_the_sharpness_of_the_map() -> None:
    scores = torch.full((1, 3, 8, 8), -40.0)
    scores[0, 0, 2, 5] = 40  # in one cell
    scores[0, 1, 2, 1] = scores[0, 1, 2, 5] = 40  # in two, far apart: the mean is on neither
    scores[0, 2] = 0  # anywhere
    points, confidence = painted()(with_scores(scores))
    cells = torch.tensor([[5.0, 2.0], [3.0, 2.0], [3.5, 3.5]]) + EDGE / STRIDE
    assert torch.allclose(points[0], cells, atol=1e-4)
    assert confidence[0, 0] == 1
    assert confidence[0, 1] == pytest.approx(MIN_CONFIDENCE)
    # One cell of 12 exceeds CONFIDENCE_RADIUS: 4 of 64 cells are within it, half a diagonal away.
    assert CONFIDENCE_RADIUS < 2 / 12
    assert confidence[0, 2] == pytest.approx(4 / 64, rel=1e-4)


def test_confidence_is_continuous() -> None:
    """torch and onnxruntime must agree whichever way a number is rounded."""
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(0, 1, (400, 3, 8, 8)))
    detector = Detector(Painted(), SIZE, FRAME, STRIDE).double()
    image = torch.zeros(400, 3, FRAME, FRAME, dtype=torch.double)
    image[..., EDGE : EDGE + SIZE, EDGE : EDGE + SIZE][..., ::STRIDE, ::STRIDE] = scores
    steps = np.cumsum(np.full(20, 1e-3))
    before = detector(image)[1]
    for step in steps:
        after = detector(image * (1 + step))[1]
        assert (after - before).abs().max() < 0.01
        before = after


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_taught_points_and_their_confidence_are_linear_in_landmarks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.normal(0, 3, (2, 3, 8, 8)).astype(np.float32))
    matrix, offset = rng.normal(0, 1, (6, 8)), rng.normal(0, 1, 8)
    taught = Taught(painted(), torch.from_numpy(matrix).float(), torch.from_numpy(offset).float())
    image = with_scores(scores)
    points, confidence = taught(image)
    _, sure = painted()(image)

    cells = FRAME / STRIDE
    across = (of_numpy(scores) + 0.5) / cells * 2 - 1  # from -1 to 1
    expected = ((across.reshape(2, 6) @ matrix + offset).reshape(2, 4, 2) + 1) / 2 * cells - 0.5
    assert np.allclose(points, expected, atol=1e-3)
    for point in range(4):
        weights = [np.abs(matrix[2 * k : 2 * k + 2, 2 * point : 2 * point + 2]).sum() for k in range(3)]
        assert np.allclose(confidence[:, point], sure.numpy() @ weights / sum(weights), atol=1e-5)


def test_a_point_without_coefficients_is_still_predicted() -> None:
    """A ridge from one labeled image is the offset alone."""
    taught = Taught(painted(), torch.zeros(6, 4), torch.tensor([0.0, 0.5, -1.0, 1.0]))
    image = with_scores(torch.randn(1, 3, 8, 8))
    points, confidence = taught(image)
    assert torch.allclose(points[0], torch.tensor([[5.5, 8.5], [-0.5, 11.5]]))
    assert torch.allclose(confidence, painted()(image)[1].mean().expand(1, 2))


def test_cells_span_the_image_from_edge_to_edge() -> None:
    corners = in_cells(torch.tensor([[-1.0, 1.0], [1 / 10 - 1, 1 - 1 / 10]]), 10.0)
    assert torch.allclose(corners, torch.tensor([[-0.5, 9.5], [0.0, 9.0]]), atol=1e-6)


def test_only_the_middle_of_the_image_matters() -> None:
    scores = torch.randn(1, 3, 8, 8)
    one, other = painted()(with_scores(scores)), painted()(with_scores(scores))
    assert torch.equal(one[0], other[0])
    assert torch.allclose(probabilities(scores).sum(dim=(2, 3)), torch.ones(1, 3))


def test_the_mirrored_detector_commutes_with_mirroring() -> None:
    torch.manual_seed(0)
    both = MirroredDetector(Detector(HourglassNetwork(4), SIZE, FRAME, 4)).eval()
    image = torch.rand(2, 3, FRAME, FRAME) * 255
    with torch.no_grad():
        points, sure = both.landmarks(image)
        turned, again = both.landmarks(image.flip(3))
        own, _ = both.detector.landmarks(image)
    assert points.shape == (2, 8, 2)
    assert torch.equal(points[:, :4], own)
    order = [4, 5, 6, 7, 0, 1, 2, 3]
    torch.testing.assert_close(turned[:, order] * torch.tensor([-1.0, 1.0]), points)
    torch.testing.assert_close(again[:, order], sure)
