"""Training of USIP: clouds, batches of pairs of views, losses and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cairn.errors import CloudError, RecipeError
from cairn.extras import require
from cairn.methods.usip.detector import CloudSpec, suppressed
from cairn.methods.usip.grouping import Array, Grouping, thin
from cairn.methods.usip.losses import chamfer, point_to_plane, point_to_point
from cairn.methods.usip.network import Usip
from cairn.methods.usip.recipe import Clouds, Recipe
from cairn.methods.usip.views import Arrays, arrays, batch, pair
from cairn.pointclouds.io import read_cloud
from cairn.pointclouds.normals import with_normals
from cairn.pointclouds.sampling import farthest_points
from cairn.structures.cloud import Cloud
from cairn.training.data.loading import Batch
from cairn.training.engine.array_loop import ArrayModule
from cairn.training.exporting.onnx_file import MAX_BATCH, Graph
from cairn.training.method import ArrayTraining

MIN_POINTS = 500
"""Minimum number of points of a cloud to train on."""

MEASURED = 32
"""Number of pairs that a run is validated on."""

KEYPOINTS = 16
"""Number of keypoints of a view whose repeatability is measured."""

NEAR = 4
"""Number of nodes, the node itself included, among whose points the nearest of a keypoint is."""

THRESHOLD = 0.5
"""Distance in multiples of the spacing up to which a keypoint is repeated."""


@dataclass(frozen=True)
class Pairs:
    """The batches of a run: pairs of views of random clouds.

    Attributes:
        recipe: The recipe.
        clouds: Clouds to train on.
        val: Clouds to validate on.
        kept: Arrays of pairs, by their numbers.
    """

    recipe: Recipe
    clouds: list[Cloud]
    val: list[Cloud]
    kept: dict[int, Arrays] = field(default_factory=dict)

    def __len__(self) -> int:
        return max(1, self.recipe.pairs // self.recipe.run.batch_size)

    def batch(self, epoch: int, index: int) -> Arrays:
        """Returns the arrays of `cairn.methods.usip.views.batch`: pairs are the same in all epochs, but turned."""
        size = self.recipe.run.batch_size
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self) * size)
        rng = np.random.default_rng((self.recipe.seed, epoch, index))
        pairs = [self.pair(int(number)) for number in order[index * size : (index + 1) * size]]
        return batch(pairs, rng if self.recipe.input.frames == "cloud" else None)

    def pair(self, number: int) -> Arrays:
        """Returns a pair of views; those that fit into memory are kept."""
        if number in self.kept:
            return self.kept[number]
        rng = np.random.default_rng((self.recipe.seed, number, 1))
        drawn = self.drawn(self.clouds[rng.integers(len(self.clouds))], rng)
        size = sum(values.nbytes for values in drawn.values())
        if size * (len(self.kept) + 1) <= self.recipe.run.cache * 1e6:
            self.kept[number] = drawn
        return drawn

    def drawn(self, cloud: Cloud, rng: np.random.Generator) -> Arrays:
        """Returns a pair of random views of a cloud."""
        nodes = self.recipe.input.nodes
        return arrays(pair(cloud, self.recipe.views, grouping_of(self.recipe), nodes, rng), nodes)

    @cached_property
    def measured(self) -> dict[str, Tensor]:
        """Views of the clouds to validate on: the same at every validation."""
        rng = np.random.default_rng(0)
        drawn = batch([self.drawn(self.val[i % len(self.val)], rng) for i in range(MEASURED)], None)
        return {name: torch.from_numpy(values) for name, values in drawn.items()}


class UsipModule(ArrayModule):
    """The network with its losses and metrics."""

    def __init__(self, recipe: Recipe, data: Pairs) -> None:
        """Builds the network.

        Args:
            recipe: The recipe.
            data: The batches.
        """
        settings = recipe.network
        channels = 6 if recipe.input.normals else 3
        place = 9 if recipe.input.frames == "node" else 3
        super().__init__(recipe, Usip(channels, place, settings.width, settings.fusion, settings.head))
        self.data = data

    @property
    def monitor(self) -> str:
        """The repeatability of the most certain keypoints."""
        return "repeatability"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The probabilistic chamfer loss, and the distance to the cloud (section 3.3)."""
        keypoints, sigma = self._keypoints(batch)
        first, second = keypoints.chunk(2)
        losses = {"chamfer": chamfer(first, second, *sigma.chunk(2), *batch["shared"].chunk(2))}
        if self.recipe.loss.surface:
            losses["surface"] = 2 * self.recipe.loss.surface * self._to_surface(keypoints, batch)
        return losses

    def _keypoints(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns keypoints (2 B, M, 3) in the frames of the clouds, and sigmas (2 B, M)."""
        points = batch["points"] if self.recipe.input.normals else batch["points"][..., :3]
        offsets, sigma = self.network(points, batch["relative"], batch["neighbors"])
        scale = batch["scale"][:, None]
        return batch["centers"] + (offsets[:, :, None] @ batch["rotation"])[:, :, 0] * scale[..., None], sigma * scale

    def _to_surface(self, keypoints: Tensor, batch: Batch) -> Tensor:
        near = batch["neighbors"][..., :NEAR]
        parts = (
            batch["points"].reshape(*batch["points"].shape[:3], -1, 3) @ batch["rotation"][:, :, None]
        )  # positions, and normals
        places = batch["centers"][:, :, None] + parts[..., 0, :] * batch["scale"][:, None, None, None]
        points = _of_neighbors(places, near) - batch["centers"][:, :, None]
        offsets = keypoints - batch["centers"]
        if self.recipe.loss.kind == "plane":
            return point_to_plane(offsets, points, _of_neighbors(parts[..., 1, :], near))
        return point_to_point(offsets, points)

    def measure(self) -> dict[str, float]:
        """Repeatability of the most certain keypoints within half the spacing, and that of farthest points."""
        arrays = {name: values.to(self.device) for name, values in self.data.measured.items()}
        keypoints, sigma = self._keypoints(arrays)
        centers, shared = arrays["centers"].cpu().double().numpy(), arrays["shared"].cpu().numpy() > 0
        places, order = keypoints.cpu().double().numpy(), sigma.cpu().double().numpy()
        spread = np.stack([_ranks(each) for each in centers])
        return {
            "repeatability": _repeatability(places, order, shared, self.recipe.nms),
            "of farthest points": _repeatability(centers, spread, shared, 0.0),
            "sigma": float(np.median(order)),
        }

    def graph(self) -> Graph:
        """The network, for clouds with any number of nodes."""
        settings = self.recipe.input
        channels = 6 if settings.normals else 3
        place = 9 if settings.frames == "node" else 3
        batch_dim = torch.export.Dim("batch", min=1, max=MAX_BATCH)
        nodes = torch.export.Dim("nodes", min=2, max=MAX_BATCH**2)

        def example(batch: int, count: int) -> tuple[NDArray[Any], ...]:
            rng = np.random.default_rng(count)
            points = rng.normal(size=(batch, count, settings.points, channels)).astype(np.float32)
            relative = rng.normal(size=(batch, count, settings.neighbors, place)).astype(np.float32)
            return points, relative, rng.integers(count, size=(batch, count, settings.neighbors))

        return Graph(
            self.network,
            dict(zip(("points", "relative", "neighbors"), map(torch.from_numpy, example(2, 7)), strict=True)),
            ({0: batch_dim, 1: nodes},) * 3,
            ("offsets", "sigma"),
            (example(1, 40), example(2, 5)),
        )

    def spec(self) -> CloudSpec:
        """The specification of the exported file."""
        settings = self.recipe.input
        return CloudSpec(
            name=self.recipe.name,
            method="usip",
            spacing=self.recipe.views.spacing,
            cells=settings.cells,
            points=settings.points,
            neighbors=settings.neighbors,
            normals=settings.normals,
            frames=settings.frames,
            nms=self.recipe.nms,
            max_sigma=self.recipe.max_sigma,
        )


def grouping_of(recipe: Recipe) -> Grouping:
    """Returns how clouds are divided among nodes by a recipe."""
    settings = recipe.input
    with_normals = settings.normals or recipe.loss.kind == "plane"
    return Grouping(settings.cells, settings.points, settings.neighbors, with_normals, settings.frames)


def _of_neighbors(values: Tensor, near: Tensor) -> Tensor:
    """(B, M, P, C) of nodes -> (B, M, K P, C) of their neighbors (B, M, K)."""
    index = near.flatten(1)[..., None, None].expand(-1, -1, *values.shape[2:])
    return values.gather(1, index).reshape(*near.shape[:2], -1, values.shape[-1])


def _ranks(points: Array) -> Array:
    """Returns the place of each point in the order of farthest points; points that occur again are last."""
    rows, places = np.unique(farthest_points(points, len(points)), return_index=True)
    ranks = np.full(len(points), float(len(points)))
    ranks[rows] = places
    return ranks


def _repeatability(keypoints: Array, sigma: Array, shared: NDArray[np.bool_], radius: float) -> float:
    """Returns the share of the best keypoints of each view that the best ones of the other view are near."""
    half, repeated, counted = len(keypoints) // 2, 0, 0
    for i in range(half):
        chosen = []
        for row in (i, i + half):
            places, values = keypoints[row][shared[row]], sigma[row][shared[row]]
            chosen.append(places[suppressed(places, values, radius)[:KEYPOINTS]])
        if min(map(len, chosen)) == 0:
            continue
        distances = np.linalg.norm(chosen[0][:, None] - chosen[1][None], axis=2)
        repeated += int((distances.min(axis=1) <= THRESHOLD).sum())
        counted += len(chosen[0])
    return repeated / max(counted, 1)


def read_data(recipe: Recipe) -> Pairs:
    """Reads the clouds of a recipe.

    Raises:
        RecipeError: There are none.
        CloudError: A cloud cannot be used.
    """
    require("scipy", extra="clouds", purpose="a point cloud")
    if not recipe.data.train:
        raise RecipeError("usip trains on point clouds: give a folder, as in cairn train --method usip clouds/")
    train, val = (_read(sources, recipe) for sources in (recipe.data.train, recipe.data.val))
    if not val:
        order = np.random.default_rng(0).permutation(len(train))
        count = max(1, round(recipe.data.holdout * len(train)))
        val = [train[i] for i in order[:count]]
        train = [train[i] for i in order[count:]] or train
    return Pairs(recipe, train, val)


def cloud_files(path: Path) -> list[Path]:
    """Returns a file, or the files of a folder that may be clouds: not hidden ones, landmarks or texts about them.

    Raises:
        CloudError: There is no such file or folder, or the folder is empty.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CloudError(f"{path} is missing: expected a file or a folder of point clouds")
    found = [each for each in sorted(path.rglob("*")) if each.is_file() and each.suffix.lower() in SUFFIXES]
    if not found:
        raise CloudError(f"{path} has no point clouds: expected files {', '.join(SUFFIXES)}")
    return found


SUFFIXES = (".ply", ".pcd", ".obj", ".off", ".stl", ".xyz", ".las", ".laz", ".npy", ".npz")
"""Suffixes of the files of a folder that are read; others may be anything."""


def _read(sources: tuple[Clouds, ...], recipe: Recipe) -> list[Cloud]:
    return [
        prepared(read_cloud(file), recipe.data.points, grouping_of(recipe).with_normals)
        for source in sources
        for file in cloud_files(source.path)
    ]


def prepared(cloud: Cloud, count: int, needs_normals: bool) -> Cloud:
    """Returns a cloud to train on: a mesh as points on its faces, a large cloud thinned, both centered.

    Raises:
        CloudError: It has too few points.
    """
    rng = np.random.default_rng(0)
    if cloud.faces is not None:
        cloud = _on_faces(cloud, count, rng)
    elif len(cloud) > 2 * count:
        low, high = 0.0, cloud.diagonal
        for _ in range(12):  # a cell that leaves about the number of points
            cell = (low + high) / 2
            low, high = (cell, high) if len(thin(cloud.points, None, cell)[0]) > count else (low, cell)
        points, normals = thin(cloud.points, cloud.normals, high)
        cloud = Cloud(points, normals, source=cloud.source)
    if len(cloud) < MIN_POINTS or not np.ptp(cloud.points, axis=0).any():
        raise CloudError(f"{cloud.source}: expected at least {MIN_POINTS} different points, got {len(cloud)}")
    if needs_normals:
        cloud = with_normals(cloud)
    size = cloud.diagonal
    return replace(cloud, points=(cloud.points - cloud.points.mean(axis=0)) / size)


def _on_faces(cloud: Cloud, count: int, rng: np.random.Generator) -> Cloud:
    """Returns points on the faces of a mesh, evenly by area, with the normals of the faces."""
    corners = cloud.points[cloud.faces]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(crossed, axis=1)
    if not areas.sum() > 0:
        raise CloudError(f"{cloud.source}: the faces of the mesh have no area")
    chosen = rng.choice(len(areas), count, p=areas / areas.sum())
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = np.moveaxis(corners[chosen], 1, 0)
    return Cloud(a + u * (b - a) + v * (c - a), crossed[chosen] / areas[chosen, None], source=cloud.source)


def module(recipe: Recipe, data: Pairs) -> UsipModule:
    """Returns the network of a recipe with its losses and metrics."""
    return UsipModule(recipe, data)


TRAINING = ArrayTraining(Recipe, read_data, module)
