"""Laws of depthwise convolutions with gradients of their own: they are those of a plain convolution."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from cairn.training.backbones.depthwise import DepthwiseConv2d, same_padding

SHAPES = [(3, 1, 5, 6), (3, 2, 6, 8), (5, 1, 6, 5), (5, 2, 6, 10), (7, 1, 7, 8), (7, 2, 8, 6)]


@pytest.mark.parametrize(("kernel", "stride", "height", "width"), SHAPES)
def test_gradients_equal_finite_differences(kernel, stride, height, width):
    torch.manual_seed(0)
    layer = DepthwiseConv2d(2, kernel, stride).double()
    x = torch.randn(2, 2, height, width, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, weight: torch.func.functional_call(layer, {"weight": weight}, (x,)), (x, layer.weight)
    )


@pytest.mark.parametrize(("kernel", "stride", "height", "width"), SHAPES[:3])
def test_the_gradient_of_a_bias_equals_finite_differences(kernel, stride, height, width):
    torch.manual_seed(1)
    layer = DepthwiseConv2d(2, kernel, stride, bias=True).double()
    x = torch.randn(2, 2, height, width, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda bias: torch.func.functional_call(layer, {"bias": bias}, (x,)), layer.bias)


@pytest.mark.parametrize(("kernel", "stride", "height", "width"), SHAPES)
def test_the_convolution_equals_a_sum_over_windows_with_the_padding_of_tensorflow(kernel, stride, height, width):
    rng = np.random.default_rng(kernel)
    x, weight = rng.normal(size=(1, 2, height, width)), rng.normal(size=(2, 1, kernel, kernel))
    rows, columns = -(-height // stride), -(-width // stride)
    total = (max((rows - 1) * stride + kernel - height, 0), max((columns - 1) * stride + kernel - width, 0))
    padded = np.pad(x[0], [(0, 0), *((t // 2, t - t // 2) for t in total)])
    expected = np.zeros((2, rows, columns))
    for c in range(2):
        for i in range(rows):
            for j in range(columns):
                window = padded[c, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
                expected[c, i, j] = (window * weight[c, 0]).sum()
    layer = DepthwiseConv2d(2, kernel, stride).double()
    layer.weight.data = torch.from_numpy(weight)
    for training in (True, False):
        layer.train(training)
        np.testing.assert_allclose(layer(torch.from_numpy(x))[0].detach().numpy(), expected, atol=1e-12)


def test_gradients_in_bf16_are_those_of_the_plain_convolution_within_its_precision():
    torch.manual_seed(1)
    layer = DepthwiseConv2d(8, 5, 2)
    x = torch.randn(4, 8, 12, 12, requires_grad=True)
    plain = functional.conv2d(functional.pad(x, same_padding(5, 2)), layer.weight, stride=2, groups=8)
    target = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * target).sum(), [x, layer.weight])
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    gradients = torch.autograd.grad((y.float() * target).sum(), [x, layer.weight])
    for got, wanted in zip(gradients, expected, strict=True):
        assert got.dtype == torch.float32
        assert (got - wanted).abs().max() < 0.02 * wanted.abs().max()
