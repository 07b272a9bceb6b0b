"""Laws of ReLU6 on the bits of bfloat16: values and gradients are torch's."""

import pytest
import torch
from torch.nn import functional

from cairn.training.backbones.relu6 import ReLU6


def every_number() -> torch.Tensor:
    """All bfloat16 numbers, NaN excluded."""
    numbers = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)
    return numbers[~numbers.isnan()]


def test_every_number_of_bfloat16_has_the_value_and_the_gradient_of_torch() -> None:
    x, same = every_number().requires_grad_(), every_number().requires_grad_()
    y, expected = ReLU6()(x * 1), functional.relu6(same)
    assert torch.equal(y, expected)
    weights = torch.randn(len(y)).bfloat16()
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, same.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_the_memory_of_the_input_is_used(dtype: torch.dtype, memory: torch.memory_format) -> None:
    x = torch.randn(2, 3, 4, 5).mul(6).to(dtype).contiguous(memory_format=memory)
    expected = functional.relu6(x)
    y = ReLU6()(x)
    assert y.data_ptr() == x.data_ptr()
    assert torch.equal(y, expected)
    assert torch.equal(x, expected)


def test_training_in_bfloat16_has_the_gradients_of_torch() -> None:
    torch.manual_seed(0)
    x, gradients = torch.randn(2, 3, 8, 8), []
    layer = torch.nn.Conv2d(3, 4, 3)
    for activation in (ReLU6(), torch.nn.ReLU6(inplace=True)):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = activation(layer(5 * x)).square().sum()
        loss.backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad.clone())
    assert gradients[0].abs().max() > 1
    assert torch.equal(*gradients)
