"""Whether 3D keypoints keep the sides of an object: the share of views in which they are turned around.

    python benchmarks/renders.py toys toys/ --objects 20
    cairn discover toys/ --three-d --out runs/with
    cairn discover toys/ --three-d --set network.orientation=false --out runs/without
    python benchmarks/orientation.py runs/with runs/without

The toys have two like ends. Pairs of views of held-out toys at any angle count as swapped where the error of their
relative pose is above 90 degrees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from cairn.methods.keypointnet.measures import angular_errors
from cairn.methods.keypointnet.recipe import Recipe
from cairn.methods.keypointnet.training import TRAINING, KeypointNetModule
from cairn.training.engine.results import load_weights
from cairn.training.recipe_tables import check_recipe, read_recipe
from cairn.training.run_folder import RunFolder


def main() -> None:
    """Prints a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    for run in parser.parse_args().runs:
        recipe = check_recipe(Recipe, read_recipe(run / "recipe.toml"))
        data = TRAINING.read_data(recipe)
        module = KeypointNetModule(recipe, data)  # type: ignore[arg-type]
        load_weights(module, RunFolder(run).best)
        module.eval()
        views = data.val  # type: ignore[attr-defined]
        with torch.no_grad():
            errors = angular_errors(module.predict(views).points, views, views.pairs((0.1, 180)))
        print(
            f"{run}: median error {np.median(errors):.1f} degrees, swapped {100 * (errors > 90).mean():.1f}% of pairs"
        )


if __name__ == "__main__":
    main()
