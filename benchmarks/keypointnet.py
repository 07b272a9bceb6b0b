"""3D landmarks by linear regression from keypoints of a run, against two baselines; and the speed of its model.

    python benchmarks/keypointnet.py runs/skulls landmarks/ --flat runs/skulls-2d

`landmarks/` has a landmark file for each object of the run's training and validation views, in the world of their
cameras. Training objects fit the regression, validation objects measure it. All methods get the true poses of the
cameras, so that only shape is to be predicted, the same views, and the same regression: a ridge whose penalty is chosen
by holding out each training object in turn.

- mean: the mean landmarks of the training objects;
- 2D: landmarks of the model `--flat` (`cairn discover` without cameras), triangulated;
- 3D: keypoints of the run.

Points of several views are joined by least squares. The weights of 3D keypoints are the inverse of their covariance in
the frame of the camera, measured on the training objects; 2D landmarks say nothing about depth but that it is about
that of the object.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import cairn
from cairn.inference.keypoints3d import Keypoints3D
from cairn.media.images import read_image
from cairn.methods.keypointnet.measures import in_world
from cairn.methods.keypointnet.recipe import Recipe
from cairn.methods.keypointnet.sources import cameras_of
from cairn.methods.keypointnet.training import TRAINING, KeypointNetModule
from cairn.methods.keypointnet.views import Views
from cairn.pointclouds.io.landmarks import read_landmarks
from cairn.pointclouds.shapes.names import find_landmarks
from cairn.training.engine.results import load_weights
from cairn.training.recipe_tables import check_recipe, read_recipe
from cairn.training.run_folder import RunFolder

Array = NDArray[np.float64]

PAIRS = 60
"""Pairs of views of an object."""

RIDGES = 10.0 ** np.arange(-4, 5.5, 0.5)

ALONG = 0.01
"""Weight of the depth of a 2D landmark, with 1 across the ray: 0.1 object units beside 1, about the object's radius."""


class Points(NamedTuple):
    """Points of N views: positions (N, K, 3) in the world in object units, and inverse covariances (N, K, 3, 3)."""

    positions: Array
    weights: Array

    def joined(self, rows: NDArray[np.int64]) -> Array:
        """Returns features (M, 3 K) of sets of views (M, V)."""
        weights = self.weights[rows]
        moments = (weights @ self.positions[rows][..., None]).sum(axis=1)
        return np.asarray(np.linalg.solve(weights.sum(axis=1), moments).reshape(len(rows), -1))


def main() -> None:
    """Prints the table."""
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
    sets: tuple[Views, Views] = (data.train, data.val)  # type: ignore[attr-defined]
    truth = [
        np.stack([(read_landmarks(files[name]).points / views.radius).ravel() for name in views.names])
        for views in sets
    ]
    unit = sets[0].radius
    print(f"mean landmarks: {unit * distance(truth[0].mean(axis=0), truth[1]).mean():.4f}")
    with torch.no_grad():
        found = [module.predict(views).points for views in sets]
    found = [in_world(points, views) + views.center / views.radius for points, views in zip(found, sets, strict=True)]
    methods = {f"3D, {found[0].shape[1]} keypoints": solid(sets, found)}
    if given.flat:
        model = cairn.load(given.flat, threads=1)
        methods["2D landmarks, triangulated"] = [flat(views, recipe, model) for views in sets]
    choices: dict[str, Callable[[Views], NDArray[np.int64]]] = {
        "one view": lambda views: np.arange(len(views))[:, None],
        "two views": pairs_of,
        "all views": all_of,
    }
    for method, points in methods.items():
        for name, choose in choices.items():
            rows = [choose(views) for views in sets]
            features = [each.joined(own) for each, own in zip(points, rows, strict=True)]
            objects = [views.objects[own[:, 0]] for views, own in zip(sets, rows, strict=True)]
            predict, left_out = fitted(features[0], truth[0], objects[0])
            error = distance(predict(features[1]), truth[1][objects[1]]).mean()
            print(f"{method}, {name}: {unit * error:.4f} (training objects held out: {unit * left_out:.4f})")
    speed(given.run, next(iter(cameras_of(recipe.data))))
    steps(recipe, data)


def solid(sets: tuple[Views, Views], found: list[Array]) -> list[Points]:
    """Returns 3D keypoints (N, K, 3) in the world of both sets with their weights."""
    views, world = sets[0], found[0]
    means = np.stack([world[views.objects == number].mean(axis=0) for number in range(len(views.names))])
    off = (world - means[views.objects]) @ np.swapaxes(views.rotations, 1, 2)
    weights = np.linalg.inv(np.einsum("nki,nkj->kij", off, off) / len(off))
    turns = [views.rotations[:, None] for views in sets]
    return [Points(each, np.swapaxes(turn, 2, 3) @ weights @ turn) for each, turn in zip(found, turns, strict=True)]


def flat(views: Views, recipe: Recipe, model: cairn.Predictor) -> Points:
    """Returns 2D landmarks as the points of their rays that are nearest to the origin of the objects."""
    rays = {}
    for path, camera in cameras_of(recipe.data).items():
        if path.parent.name in views.names:
            key = views.names.index(path.parent.name), path.name
            rays[key] = camera.center, camera.rays(model(read_image(path)).keypoints[0].astype(np.float64))
    centers = np.stack([(rays[key][0] - views.center) / views.radius for key in sorted(rays)])[:, None]
    directions = np.stack([rays[key][1] for key in sorted(rays)])
    positions = centers - (centers * directions).sum(axis=-1, keepdims=True) * directions
    positions += views.center / views.radius
    along = directions[..., None] * directions[..., None, :]
    return Points(positions, np.eye(3) - (1 - ALONG) * along)


def pairs_of(views: Views) -> NDArray[np.int64]:
    """(M, 2) some pairs of views of each object, 5 to 60 degrees apart."""
    rng, pairs = np.random.default_rng(0), views.pairs((5, 60))
    chosen = [np.flatnonzero(views.objects[pairs[:, 0]] == number) for number in range(len(views.names))]
    return pairs[np.concatenate([rng.permutation(rows)[:PAIRS] for rows in chosen])]


def all_of(views: Views) -> NDArray[np.int64]:
    """(M, V) all views of each object."""
    return np.stack([np.flatnonzero(views.objects == number) for number in range(len(views.names))])


def fitted(features: Array, truth: Array, objects: NDArray[np.int64]) -> tuple[Callable[[Array], Array], float]:
    """Returns a ridge regression, and its error on training objects, each held out in turn.

    Args:
        features: (M, F).
        truth: Landmarks (O, 3 N) of each object.
        objects: (M,) the object of each row.
    """
    errors = np.zeros(len(RIDGES))
    for number in range(len(truth)):
        out = objects == number
        for i, predict in enumerate(solved(features[~out], truth[objects[~out]])):
            errors[i] += distance(predict(features[out]), truth[number]).mean() / len(truth)
    best = int(errors.argmin())
    return solved(features, truth[objects])[best], float(errors[best])


def solved(features: Array, landmarks: Array) -> list[Callable[[Array], Array]]:
    """Returns ridge regressions around the means, one for each penalty."""
    middle, mean = features.mean(axis=0), landmarks.mean(axis=0)
    centered = features - middle
    values, vectors = np.linalg.eigh(centered.T @ centered)
    moments = vectors.T @ (centered.T @ (landmarks - mean))

    def predictor(ridge: float) -> Callable[[Array], Array]:
        matrix = vectors @ (moments / (values + ridge * values.mean())[:, None])
        return lambda each: np.asarray(mean + (each - middle) @ matrix)

    return [predictor(float(ridge)) for ridge in RIDGES]


def distance(first: Array, second: Array) -> Array:
    """Returns the distances (M, N) of landmarks (M, 3 N)."""
    difference = np.atleast_2d(first - second)
    return np.asarray(np.linalg.norm(difference.reshape(len(difference), -1, 3), axis=-1))


def speed(run: Path, image: Path) -> None:
    """Prints the processor time of one image on one core: reading excluded."""
    detector, pixels = Keypoints3D(run, threads=1), read_image(image)
    best = min(_timed(lambda: detector(pixels)) for _ in range(50))
    print(f"{1000 * best:.2f} ms an image on one core")


class HalfDone(KeypointNetModule):
    """The module in the middle of a run, without a trainer."""

    done = 0.5


def steps(recipe: Recipe, data: object) -> None:
    """Prints the pairs that a second of one core trains on: batches, losses, gradients and updates."""
    torch.set_num_threads(1)
    module = HalfDone(recipe, data)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)

    def step(index: int) -> None:
        batch = {name: torch.from_numpy(values) for name, values in module.data.batch(0, index).items()}
        loss = sum(module.losses(batch).values())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()

    times = sorted(_timed(lambda index=index: step(index)) for index in range(30))  # type: ignore[misc]
    size, median = recipe.run.batch_size, times[len(times) // 2]
    print(f"{size / median:.0f} pairs a second of one core (best {size / times[0]:.0f}), {recipe.input.size} px")


def _timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
