"""3D landmarks by linear regression from keypoints of a run, against two baselines; and the speed of its model.

    python benchmarks/keypointnet.py runs/skulls landmarks/ --flat runs/skulls-2d

`landmarks/` has a landmark file for each object of the run's training and validation views, in the world of their
cameras. Training objects fit the regression (a ridge, its penalty by cross-validation over objects), validation objects
measure it. All methods get the true poses of the cameras, so that only shape is to be predicted:

- mean: the mean landmarks of the training objects;
- triangulated: 2D landmarks of the model `--flat` (`cairn discover` without cameras) in two views, triangulated;
- keypoints: those of the run in one view, their mean in the same two views, and in all views.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import cairn
from cairn.inference.keypoints3d import Keypoints3D
from cairn.media.images import read_image
from cairn.methods.keypointnet.measures import in_world
from cairn.methods.keypointnet.recipe import Recipe
from cairn.methods.keypointnet.training import TRAINING, KeypointNetModule
from cairn.methods.keypointnet.sources import cameras_of
from cairn.methods.keypointnet.views import Views
from cairn.pointclouds.io.landmarks import read_landmarks
from cairn.pointclouds.shapes.names import find_landmarks
from cairn.training.engine.results import load_weights
from cairn.training.recipe_tables import check_recipe, read_recipe
from cairn.training.run_folder import RunFolder

Array = NDArray[np.float64]
Examples = tuple[Array, Array, NDArray[np.int64]]
"""Features (M, F), landmarks (M, 3N), and the object of each."""

PAIRS = 60
"""Pairs of views of an object."""

RIDGES = 10.0 ** np.arange(-4, 5)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("landmarks", type=Path)
    parser.add_argument("--flat", type=Path)
    given = parser.parse_args()
    recipe = check_recipe(Recipe, read_recipe(given.run / "recipe.toml"))
    data = TRAINING.read_data(recipe)
    module = KeypointNetModule(recipe, data)  # type: ignore[arg-type]
    load_weights(module, RunFolder(given.run).best)
    module.eval()
    files = find_landmarks(given.landmarks)
    sets = (data.train, data.val)  # type: ignore[attr-defined]
    with torch.no_grad():
        found = [in_world(module.predict(views).points, views) for views in sets]
    truth = [
        np.stack([(read_landmarks(files[name]).points - views.center) / views.radius for name in views.names])
        for views in sets
    ]
    radius = sets[0].radius
    mean = truth[0].mean(axis=0)
    print(f"mean landmarks: {radius * np.linalg.norm(truth[1] - mean, axis=-1).mean():.4f}")
    takes: dict[str, Callable[[Views, Array], Examples]] = {"one view": one, "two views": two, "all views": whole}
    for name, take in takes.items():
        fit, test = (
            (features, landmarks[objects].reshape(len(objects), -1), objects)
            for (features, objects), landmarks in zip(
                (take(views, each) for views, each in zip(sets, found, strict=True)), truth, strict=True
            )
        )
        print(f"{found[0].shape[1]} keypoints, {name}: {radius * error(fit, test):.4f}")
    if given.flat:
        model = cairn.load(given.flat, threads=1)
        parts = [triangulated(views, recipe, model) for views in sets]
        fit, test = (
            (features, landmarks[objects].reshape(len(objects), -1), objects)
            for (features, objects), landmarks in zip(parts, truth, strict=True)
        )
        print(f"2D landmarks, two views, triangulated: {radius * error(fit, test):.4f}")
    speed(given.run, next(iter(cameras_of(recipe.data))))


def one(views: Views, points: Array) -> tuple[Array, NDArray[np.int64]]:
    """Each view by itself."""
    return points.reshape(len(points), -1), views.objects


def pairs_of(views: Views) -> NDArray[np.int64]:
    """(M, 2) some pairs of views of each object, 5 to 60 degrees apart."""
    rng, pairs = np.random.default_rng(0), views.pairs((5, 60))
    chosen = [np.flatnonzero(views.objects[pairs[:, 0]] == number) for number in range(len(views.names))]
    return pairs[np.concatenate([rng.permutation(rows)[:PAIRS] for rows in chosen])]


def two(views: Views, points: Array) -> tuple[Array, NDArray[np.int64]]:
    """The means of pairs of views."""
    pairs = pairs_of(views)
    return points[pairs].mean(axis=1).reshape(len(pairs), -1), views.objects[pairs[:, 0]]


def whole(views: Views, points: Array) -> tuple[Array, NDArray[np.int64]]:
    """The mean over all views of each object."""
    numbers = np.arange(len(views.names))
    return np.stack([points[views.objects == number].mean(axis=0).ravel() for number in numbers]), numbers


def triangulated(views: Views, recipe: Recipe, model: cairn.Predictor) -> tuple[Array, NDArray[np.int64]]:
    """2D landmarks of pairs of views, as the points nearest to both rays, in object units."""
    rays = {}
    for path, camera in cameras_of(recipe.data).items():
        if path.parent.name in views.names:
            key = views.names.index(path.parent.name), path.name
            rays[key] = camera.center, camera.rays(model(read_image(path)).keypoints[0].astype(np.float64))
    keys = sorted(rays)
    pairs = pairs_of(views)
    result = []
    for a, b in pairs:
        (p, u), (q, v) = rays[keys[a]], rays[keys[b]]
        dot = (u * v).sum(axis=1)
        r = q - p
        below = np.maximum(1 - dot**2, 1e-6)
        s, t = (u @ r - dot * (v @ r)) / below, (dot * (u @ r) - v @ r) / below
        middle = (p + s[:, None] * u + q + t[:, None] * v) / 2
        middle = np.clip((middle - views.center) / views.radius, -3, 3)
        result.append(middle.ravel())
    return np.stack(result), views.objects[pairs[:, 0]]


def error(fit: Examples, test: Examples) -> float:
    """Mean distance of landmarks of `test`; cross-validation over the objects of `fit` selects the penalty."""
    fold = np.random.default_rng(0).permutation(fit[2].max() + 1)[fit[2]] % 5
    scores = []
    for ridge in RIDGES:
        parts = [
            distance(solve(*(each[fold != i] for each in fit[:2]), ridge), *(each[fold == i] for each in fit[:2]))
            for i in range(5)
        ]
        scores.append(np.concatenate(parts).mean())
    return float(distance(solve(*fit[:2], RIDGES[int(np.argmin(scores))]), *test[:2]).mean())


def solve(features: Array, landmarks: Array, ridge: float) -> Callable[[Array], Array]:
    """Returns a ridge regression around the means."""
    middle, mean = features.mean(axis=0), landmarks.mean(axis=0)
    centered = features - middle
    squares = centered.T @ centered
    penalty = ridge * np.trace(squares) / len(squares) * np.eye(len(squares))
    matrix = np.linalg.solve(squares + penalty, centered.T @ (landmarks - mean))
    return lambda each: np.asarray(mean + (each - middle) @ matrix)


def distance(predict: Callable[[Array], Array], features: Array, landmarks: Array) -> Array:
    """Distances (M, N) of predicted landmarks."""
    return np.asarray(np.linalg.norm((predict(features) - landmarks).reshape(len(features), -1, 3), axis=-1))


def speed(run: Path, image: Path) -> None:
    """Prints the processor time of one image on one core: reading excluded."""
    detector, pixels = Keypoints3D(run, threads=1), read_image(image)
    best = min(_timed(lambda: detector(pixels)) for _ in range(50))
    print(f"{1000 * best:.2f} ms an image on one core")


def _timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
