"""Speed of ReLU6 in place, forward and with the backward pass: torch's and Cairn's.

    python benchmarks/relu6.py [THREADS]

Milliseconds per batch of 8, the minimum of five, and the speedup of `cairn.training.backbones.relu6`.
"""

import sys
import time

import torch
from torch import nn

from cairn.training.backbones.relu6 import ReLU6

SHAPES = [(96, 112), (144, 56), (240, 28), (672, 14), (1152, 7)]
"""Channels and side of maps of EfficientNet-Lite1 at an input size of 224 pixels."""


def milliseconds(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor | None) -> float:
    taken = []
    for _ in range(6):
        own = x.clone(memory_format=torch.preserve_format).requires_grad_(gradient is not None)
        y = own * 1 if gradient is not None else own
        started = time.perf_counter()
        y = layer(y)
        if gradient is not None:
            y.backward(gradient)
        taken.append(time.perf_counter() - started)
    return min(taken[1:]) * 1e3


torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
print("channels  side  forward, torch  Cairn  speedup  both, torch  Cairn  speedup")
for channels, side in SHAPES:
    x = torch.randn(8, channels, side, side).mul(3).bfloat16().contiguous(memory_format=torch.channels_last)
    print(f"{channels:8}  {side:4}", end="")
    for width, gradient in ((14, None), (11, torch.randn_like(x))):
        torchs, ours = (milliseconds(layer, x, gradient) for layer in (nn.ReLU6(inplace=True), ReLU6()))
        print(f"  {torchs:{width}.2f}  {ours:5.2f}  {torchs / ours:7.1f}", end="")
    print()
