"""Whether 3D keypoints keep the sides of an object whose two ends look alike, with and without the orientation network.

    python benchmarks/orientation.py toys/

Renders wagons that half a turn leaves almost the same (`renders.toy`), trains on pairs from all around with and without
the orientation network, about a minute of one core each, and measures both on held-out wagons:

- views swapped: views whose keypoints are those of the wagon after half a turn. Which of the two is right is not known
  to a method without labels; so it is the smaller share, from 0% (sides are kept) to 50% (as good as a coin);
- pairs swapped: pairs of views at any angle whose relative pose is off by more than 90 degrees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import cairn
import renders
from cairn.methods.keypointnet.measures import angular_errors, in_world
from cairn.methods.keypointnet.recipe import Recipe
from cairn.methods.keypointnet.training import TRAINING, KeypointNetModule
from cairn.training.engine.results import load_weights
from cairn.training.recipe_tables import check_recipe, read_recipe
from cairn.training.run_folder import RunFolder

Array = NDArray[np.float64]

OBJECTS, VIEWS = 20, 24
"""Wagons, 30% of which are held out; and views of each."""

HALF_TURN = np.array([-1.0, -1.0, 1.0])
"""Half a turn around the vertical axis."""


def main() -> None:
    """Prints a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where wagons and runs are written")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    views = given.folder / "views"
    renders.write("toys", views, OBJECTS, VIEWS, given.seed)
    for orientation in (True, False):
        run = given.folder / f"{'with' if orientation else 'without'}-{given.epochs}-{given.seed}"
        settings = {
            "network.orientation": orientation,
            "data.angles": [5, 180],
            "data.holdout": 0.3,
            "run.threads": 1,
            "run.validate_every": given.epochs,
        }
        if not (run / "model.onnx").is_file():
            cairn.discover(views, three_d=True, epochs=given.epochs, seed=given.seed, out=run, settings=settings)
        print(f"{run}: {measured(run)}")


def measured(run: Path) -> str:
    """Returns the measures of a run in words."""
    recipe = check_recipe(Recipe, read_recipe(run / "recipe.toml"))
    data = TRAINING.read_data(recipe)
    module = KeypointNetModule(recipe, data)  # type: ignore[arg-type]
    load_weights(module, RunFolder(run).best)
    module.eval()
    views = data.val  # type: ignore[attr-defined]
    with torch.no_grad():
        points = module.predict(views).points
    errors = angular_errors(points, views, views.pairs((0.1, 180)))
    return (
        f"views swapped {100 * swapped(in_world(points, views)):.1f}%, "
        f"pairs swapped {100 * (errors > 90).mean():.1f}%, median error of pairs {np.median(errors):.1f} degrees"
    )


def swapped(world: Array) -> float:
    """Returns the share of views whose keypoints are those of other views after half a turn.

    The views are split in two in the way in which their keypoints (N, K, 3) agree best, one part turned: each start is
    improved until it stays.
    """
    found = []
    for start in world[:: max(1, len(world) // 12)]:
        mean, turned = start, np.zeros(len(world), bool)
        for _ in range(50):
            straight, around = (((each - mean) ** 2).sum(axis=(1, 2)) for each in (world, world * HALF_TURN))
            turned = around < straight
            mean = np.where(turned[:, None, None], world * HALF_TURN, world).mean(axis=0)
        found.append((np.minimum(straight, around).mean(), turned.mean()))
    share = float(min(found)[1])
    return min(share, 1 - share)


if __name__ == "__main__":
    main()
