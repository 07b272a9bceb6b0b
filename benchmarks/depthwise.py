"""Speed of depthwise convolutions: forward, and with the backward pass of torch and of Cairn.

    python benchmarks/depthwise.py [THREADS]

Milliseconds per batch of 16, the minimum of five, and the speedup of `cairn.training.backbones.depthwise`.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from cairn.training.backbones.depthwise import DepthwiseConv2d, same_padding

SHAPES = [(144, 64, 5, 2), (240, 32, 5, 1), (240, 32, 3, 2), (480, 16, 3, 1), (672, 16, 5, 1), (1152, 8, 5, 1)]
"""Channels, side, kernel and stride in the trained layers of EfficientNet-Lite0 at an input size of 256 pixels."""


def milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(6):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken[1:]) * 1e3


torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
print("type      channels  side  kernel  stride  forward  both, torch  both, Cairn  speedup")
for dtype in (torch.float32, torch.bfloat16):
    for channels, side, kernel, stride in SHAPES:
        layer = DepthwiseConv2d(channels, kernel, stride).to(dtype)
        x = torch.randn(16, channels, side, side, dtype=dtype).contiguous(memory_format=torch.channels_last)
        x.requires_grad_()

        def plain(x: torch.Tensor = x, layer: DepthwiseConv2d = layer) -> torch.Tensor:
            padded = functional.pad(x, same_padding(layer.kernel_size[0], layer.stride[0]))
            return functional.conv2d(padded, layer.weight, stride=layer.stride, groups=layer.groups)

        with torch.no_grad():
            forward = milliseconds(plain)
        gradient = torch.randn_like(plain())
        torchs = milliseconds(lambda: plain().backward(gradient))  # noqa: B023
        ours = milliseconds(lambda: layer(x).backward(gradient))  # noqa: B023
        name = str(dtype).removeprefix("torch.")
        print(f"{name:8}  {channels:8}  {side:4}  {kernel:6}  {stride:6}  {forward:7.1f}", end="")
        print(f"  {torchs:11.1f}  {ours:11.1f}  {torchs / ours:7.1f}")
