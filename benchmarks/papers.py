"""Work and memory of one training step of each recipe in recipes/papers/, counted without a GPU.

    python benchmarks/papers.py [RECIPE ...] [--tflops 22]

Networks are built without values, so that counting takes seconds and no memory.

- Work: multiply-adds of a forward pass on one image; a training step is three of them.
- Memory: weights, gradients, the state of the optimizer, and what the forward pass of a batch keeps for the backward
  pass, in fp32 and bf16; kernels need more.
- Time: the work of all epochs at `--tflops`, two operations to a multiply-add. 22 is what one H100 reached on the
  paper's eight hourglasses (docs/accuracy.md: 134 images per second).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cairn.datasets.labels import Labels
from cairn.methods import get_method
from cairn.methods.landmarks.images import landmark_skeleton
from cairn.structures.skeleton import load_skeleton
from cairn.training.recipe_tables import check_recipe, read_recipe

FOLDER = Path(__file__).parents[1] / "recipes/papers"

IMAGES = {
    "hourglass-mpii": 22_246, "hourglass-flic": 3_987, "openpose-coco-cvpr": 56_599, "openpose-coco-tpami": 56_599,
    "openpose-body25": 56_599, "landmarks-celeba": 201_599, "landmarks-aflw": 10_122, "landmarks-cats": 9_997,
}  # fmt: skip
"""Training images, or people, of each data set."""

STATES = {"adam": 2, "adamw": 2, "sgd": 1, "rmsprop": 1}
"""Values that the optimizer keeps for each weight."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="*", default=sorted(FOLDER.glob("*.toml")))
    parser.add_argument("--tflops", type=float, default=22, help="10^12 operations per second of the GPU")
    given = parser.parse_args()
    print("| recipe | input | million parameters | GMAC per image | steps | GiB, fp32 | GiB, bf16 | hours |")
    print("|---|---|---|---|---|---|---|---|")
    for path in given.recipes:
        recipe = recipe_of(path)
        network = network_of(recipe)
        views = 2 if recipe.method == "landmarks" else 1  # of each image
        macs = views * multiply_adds(network, recipe.input.size)
        weights = sum(p.numel() for p in network.parameters())
        kept = views * recipe.run.batch_size * activations(network, recipe.input.size)
        state = 4 * weights * (2 + STATES[recipe.optimizer.name])
        seen = recipe.run.epochs * IMAGES[recipe.name]
        memory = [(state + size * kept) / 2**30 for size in (4, 2)]
        print(
            f"| {recipe.name} | {recipe.input.size} | {weights / 1e6:.2f} | {macs / 1e9:.2f} "
            f"| {seen // recipe.run.batch_size:,} | {memory[0]:.1f} | {memory[1]:.1f} "
            f"| {seen * macs * 6 / (given.tflops * 1e12) / 3600:.1f} |", flush=True,
        )  # fmt: skip


def recipe_of(path: Path) -> Any:
    """The recipe of a file."""
    tables = read_recipe(path)
    return check_recipe(get_method(tables["method"]).training().recipe, tables)


def network_of(recipe: Any) -> nn.Module:
    """The network of a recipe, without values."""
    landmarks = recipe.method == "landmarks"
    skeleton = landmark_skeleton(recipe.network.landmarks) if landmarks else load_skeleton(recipe.skeleton)
    nothing = Labels(skeleton, (), np.zeros(len(skeleton), bool))
    with torch.device("meta"):
        return get_method(recipe.method).training().module(recipe, skeleton, nothing).network


def multiply_adds(network: nn.Module, size: int) -> float:
    """Multiply-adds of a forward pass on one image."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, size, size, device="meta"))
    return counter.get_total_flops() / 2


def activations(network: nn.Module, size: int) -> int:
    """Number of values that a forward pass on one image keeps for the backward pass, without weights."""
    kept = {}
    weights = {id(p) for p in network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in weights:
            storage = tensor.untyped_storage()
            kept[storage._cdata] = (storage, tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.empty(1, 3, size, size, device="meta"))
    return sum(count for _, count in kept.values())


if __name__ == "__main__":
    main()
