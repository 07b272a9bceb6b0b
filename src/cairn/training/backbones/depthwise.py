"""Convolutions with the padding of TensorFlow's "SAME"; depthwise ones train fast on a CPU.

oneDNN has vector code for the gradient of a depthwise kernel only at 3×3: at 5×5 the gradient takes 40 times as long as
the convolution, and at stride 2 the gradient of the input takes 8 times as long. Both gradients are computed from other
convolutions here: a 5×5 kernel is covered by four of 3×3, and the gradient of the input is a convolution of stride 1
over output gradients with zeros inserted between them. `benchmarks/depthwise.py` measures both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with the padding of TensorFlow's "SAME": (B, C, H, W) -> (B, C, H/s, W/s).

    At stride 2, a side of even length is padded by one pixel more at its end than at its beginning.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__(channels, channels, kernel, stride, groups=channels, bias=bias)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(B, C, H, W) -> (B, C, H/s, W/s)."""
        x = functional.pad(x, same_padding(self.kernel_size[0], self.stride[0]))
        if not (self.training and x.device.type == "cpu" and torch.is_grad_enabled()):
            return functional.conv2d(x, weight, bias, stride=self.stride, groups=self.groups)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        offset = None if bias is None else bias.to(dtype)
        y: Tensor = _depthwise(x.to(dtype), weight.to(dtype), offset, self.stride[0])
        return y


class SameConv2d(nn.Conv2d):
    """A convolution with the padding of TensorFlow's "SAME"."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(B, C, H, W) -> (B, outputs, H/stride, W/stride)."""
        x = functional.pad(x, same_padding(self.kernel_size[0], self.stride[0]))
        y: Tensor = super()._conv_forward(x, weight, bias)
        return y


def same_padding(kernel: int, stride: int) -> tuple[int, int, int, int]:
    """Returns TensorFlow's "SAME" padding for sides that are multiples of the stride: left, right, top, bottom."""
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    return before, after, before, after


class _Depthwise(torch.autograd.Function):
    """x (B, C, H, W), padded; weight (C, 1, k, k), k = 3 or more; bias (C,) -> (B, C, (H - k) / stride + 1, ...)."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        context.save_for_backward(x, weight)
        context.stride = stride
        return functional.conv2d(x, weight, bias, stride=stride, groups=x.shape[1])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = context.saved_tensors
        by_x, by_weight, by_bias, _ = context.needs_input_grad
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return (
            _by_input(gradient, weight, context.stride, x.shape[2:]) if by_x else None,
            _by_kernel(gradient, x, weight.shape, context.stride) if by_weight else None,
            gradient.sum(dim=(0, 2, 3)) if by_bias else None,
            None,
        )


_depthwise: Callable[[Tensor, Tensor, Tensor | None, int], Tensor] = _Depthwise.apply


def _by_input(gradient: Tensor, weight: Tensor, stride: int, size: torch.Size) -> Tensor:
    """The gradient of the input: the output gradient, with zeros inserted, convolved with the rotated kernel."""
    kernel = weight.shape[-1]
    if stride > 1:
        batch, channels, h, w = gradient.shape
        spread = gradient.new_zeros(batch, channels, (h - 1) * stride + 1, (w - 1) * stride + 1)
        spread = spread.contiguous(memory_format=torch.channels_last)
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    result = functional.conv2d(gradient, weight.flip(2, 3), padding=kernel - 1, groups=gradient.shape[1])
    beyond = (size[0] - result.shape[2], size[1] - result.shape[3])  # rows and columns in no window
    return functional.pad(result, (0, beyond[1], 0, beyond[0])) if any(beyond) else result


def _by_kernel(gradient: Tensor, x: Tensor, shape: torch.Size, stride: int) -> Tensor:
    """The gradient of the kernel, 3×3 of its entries at a time; where windows overlap, both give the same values."""
    channels, kernel = shape[0], shape[-1]
    h, w = (stride * (cells - 1) + 3 for cells in gradient.shape[2:])
    result = gradient.new_empty(shape)
    small = gradient.new_empty(channels, 1, 3, 3)  # only its shape is used
    corners = [*range(0, kernel - 3, 3), kernel - 3]
    for top in corners:
        for left in corners:
            window = x[:, :, top : top + h, left : left + w].contiguous(memory_format=torch.channels_last)
            _, part, _ = torch.ops.aten.convolution_backward(
                gradient,
                window,
                small,
                None,
                [stride] * 2,
                [0, 0],
                [1, 1],
                False,
                [0, 0],
                channels,
                [False, True, False],
            )
            result[:, :, top : top + 3, left : left + 3] = part
    return result
