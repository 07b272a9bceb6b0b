"""Landmarks: training speed, cost of the diversity term by number of landmarks, and inference speed.

    python benchmarks/landmarks.py [--landmarks 10 30 50] [--batch 16] [--steps 5]

Times are processor times on one thread, the minimum of several, so that other load on the machine does not count.
A training step on random images is: two warps, the network on both views, losses, backward.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cairn.api.load import load
from cairn.methods.landmarks import losses
from cairn.methods.landmarks.images import landmark_skeleton, without_labels
from cairn.methods.landmarks.model import Taught
from cairn.methods.landmarks.recipe import Recipe
from cairn.methods.landmarks.training import Encoder, LandmarksModule
from cairn.training.data.loading import stack
from cairn.training.exporting.onnx_file import export

IMAGE = 128  # side of the images in pixels
POINTS = 68
BACKBONES = ("hourglass", "dilated", "paper")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landmarks", type=int, nargs="+", default=[10, 30, 50])
    for name, value in (("batch", 16), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable()
    rng = np.random.default_rng(0)

    recipe = recipe_of(2)
    print(f"training, {recipe.input.size}×{recipe.input.size}, batch {given.batch}: pairs/s")
    print("landmarks  " + "".join(f"{backbone:>11}" for backbone in BACKBONES))
    rates = [pairs_per_second(backbone, given.landmarks, given.batch, given.steps, rng) for backbone in BACKBONES]
    for count, row in zip(given.landmarks, zip(*rates, strict=True), strict=True):
        print(f"{count:<11}" + "".join(f"{rate:11.1f}" for rate in row), flush=True)

    print(f"\ndiversity of {recipe.cells}×{recipe.cells} maps with its gradient, µs per landmark and image; ratio")
    print("landmarks      patches, linear       pairs, quadratic")
    costs = np.array([diversity_costs(count, recipe, given.batch) for count in given.landmarks])
    for count, cost, ratio in zip(given.landmarks, costs, costs / costs[0], strict=True):
        print(f"{count:<11}" + "".join(f"{c:12.2f} ({r:4.2f})   " for c, r in zip(cost, ratio, strict=True)))

    print(f"\ninference on a {IMAGE}×{IMAGE} image, onnxruntime, one thread: ms")
    print("landmarks    discovered   taught 68 points")
    for count in given.landmarks:
        print(f"{count:<11}" + "".join(f"{ms:12.2f}" for ms in milliseconds_per_image(count, rng)), flush=True)


def recipe_of(landmarks: int, backbone: str = "hourglass") -> Recipe:
    return Recipe.model_validate({"network": {"landmarks": landmarks, "kind": backbone}})


def module_of(recipe: Recipe) -> LandmarksModule:
    torch.manual_seed(0)
    landmarks = landmark_skeleton(recipe.network.landmarks)
    return LandmarksModule(recipe, landmarks, without_labels((), landmarks))


def pairs_per_second(
    backbone: str, landmarks: list[int], batch: int, steps: int, rng: np.random.Generator
) -> list[float]:
    """Returns the rate for each number of landmarks."""
    image = rng.integers(0, 256, (IMAGE, IMAGE, 3), np.uint8)

    def step_of(recipe: Recipe) -> Callable[[], None]:
        module, encode = module_of(recipe).train(), Encoder(recipe)
        samples = stack([encode(image, None, rng) for _ in range(batch)])  # type: ignore[arg-type]  # of no label file

        def step() -> None:
            module.zero_grad()
            torch.stack(list(module.losses(samples).values())).sum().backward()

        return step

    seconds = min_seconds([step_of(recipe_of(count, backbone)) for count in landmarks], steps)
    return [batch / each for each in seconds]


def diversity_costs(landmarks: int, recipe: Recipe, batch: int) -> list[float]:
    """Returns µs per landmark and image of both forms, measured in turn."""
    scores = torch.randn(batch, landmarks, recipe.cells, recipe.cells)
    maps = losses.probabilities(scores).requires_grad_()

    def cheap() -> None:
        losses.diversity(maps, recipe.patch).backward()

    def pairwise() -> None:
        losses.diversity_pairwise(maps).backward()

    return [1e6 * seconds / (batch * landmarks) for seconds in min_seconds([cheap, pairwise], 200)]


def milliseconds_per_image(landmarks: int, rng: np.random.Generator) -> list[float]:
    """Returns the time from image to pose of a discovered and of a taught model; it does not depend on the weights."""
    module = module_of(recipe_of(landmarks))
    image = rng.integers(0, 256, (IMAGE, IMAGE, 3), np.uint8)
    matrix = torch.from_numpy(rng.normal(0, 0.1, (2 * landmarks, 2 * POINTS))).float()
    points = landmark_skeleton(POINTS)
    with tempfile.TemporaryDirectory() as folder:
        found, taught = Path(folder, "found.onnx"), Path(folder, "taught.onnx")
        export(module.export_module(), module.spec(), found)
        network = Taught(module.detector, matrix, torch.zeros(2 * POINTS))
        export(network, module.spec().model_copy(update={"skeleton": points}), taught)
        models = [load(path, threads=1) for path in (found, taught)]
        return [1000 * seconds for seconds in min_seconds([partial(model, image) for model in models], 100)]


def min_seconds(functions: list[Callable[[], object]], repetitions: int) -> list[float]:
    """Returns the minimum processor time of each function; they take turns, so that other load affects all alike."""
    times = []
    for function in functions:
        function()
    for _ in range(repetitions):
        row = []
        for function in functions:
            started = time.process_time()
            function()
            row.append(time.process_time() - started)
        times.append(row)
    return np.min(times, axis=0).tolist()


if __name__ == "__main__":
    main()
