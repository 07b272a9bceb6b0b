"""Lifting beside nearest neighbors: errors on held-out recordings, from exact and noisy 2D keypoints; and its speed.

    python benchmarks/lifting.py recipes/person-lift.toml MODEL.onnx

The neighbor of a pose is the training pose, seen by one of many random cameras, with the least squared distance between
the 2D keypoints that are known, both centered and scaled over these. Its 3D keypoints are the prediction.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from cairn.inference.lifter import Lifter
from cairn.methods.lifting.recipe import Recipe
from cairn.methods.lifting.training import Views, errors, read_data
from cairn.training.recipe_tables import check_recipe, read_recipe


def neighbors(data: Views, queries: np.ndarray, views: int) -> np.ndarray:
    """Returns the 3D keypoints (B, K, 3) of the nearest training views of keypoints (B, K, 3).

    Both are centered and scaled over the keypoints that are known in the query. The least squared distance is then the
    largest correlation, which matrix products give for all pairs.
    """
    rng = np.random.default_rng(1)
    best = np.full(len(queries), -np.inf)
    result = np.zeros(queries.shape)
    known = queries[..., 2].astype(np.float32)
    count = known.sum(axis=1, keepdims=True)
    points = queries[..., :2].astype(np.float32)
    points = (points - (points * known[..., None]).sum(axis=1, keepdims=True) / count[..., None]) * known[..., None]
    for _ in range(views):
        view = data.viewer(data.poses, rng)
        base = view.keypoints[..., :2].astype(np.float32)
        base -= base.mean(axis=1, keepdims=True)  # for precision
        squares = known @ (base**2).sum(axis=-1).T - sum((known @ base[..., i].T) ** 2 for i in (0, 1)) / count
        correlation = points.reshape(len(points), -1) @ base.reshape(len(base), -1).T
        correlation /= np.sqrt(np.maximum(squares, 1e-12))
        nearest = correlation.argmax(axis=1)
        highest = correlation[np.arange(len(queries)), nearest]
        better = highest > best
        best[better], result[better] = highest[better], view.target[nearest[better]]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--views", type=int, default=40, help="Cameras that see each training pose.")
    arguments = parser.parse_args()
    data = read_data(check_recipe(Recipe, read_recipe(arguments.recipe)))
    lifter = Lifter(arguments.model, threads=1)
    view, noisy = data.measured
    mean = data.viewer(data.poses, np.random.default_rng(2)).target.mean(axis=0)
    print(f"{len(data.poses)} training poses, {len(view.target)} held-out poses; millimeters")
    print(f"{'2D keypoints':14} {'method':20} {'MPJPE':>7} {'PA-MPJPE':>9}")
    for name, keypoints in (("exact", view.keypoints), ("with noise", noisy)):
        known = keypoints[..., 2] > 0
        predictions = {
            "mean pose": np.broadcast_to(mean, view.target.shape),
            "nearest neighbor": neighbors(data, keypoints, arguments.views),
            "lifting": lifter.lift(keypoints[..., :2], known),
        }
        for method, predicted in predictions.items():
            measured = errors(predicted, view.target)
            print(f"{name:14} {method:20} {measured['MPJPE']:7.1f} {measured['PA-MPJPE']:9.1f}")
    keypoints = np.resize(view.keypoints, (4096, *view.keypoints.shape[1:]))
    seconds = []
    for _ in range(5):
        started = time.process_time()
        lifter.lift(keypoints[..., :2], keypoints[..., 2] > 0)
        seconds.append(time.process_time() - started)
    print(f"{1000 * min(seconds) / len(keypoints):.4f} ms per pose in batches of {len(keypoints)}, one thread")


if __name__ == "__main__":
    main()
