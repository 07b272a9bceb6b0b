"""Training of lifting: recordings, batches of random views, loss and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cairn.datasets.motion_capture import read_motion_capture
from cairn.errors import LabelError, RecipeError
from cairn.inference.lifter import MIN_KEYPOINTS, LifterSpec
from cairn.methods.lifting.network import Lifting, LiftingGraph, clip_norms
from cairn.methods.lifting.recipe import Recipe
from cairn.methods.lifting.views import View, Viewer, mixed, noisy, with_lengths, without_parts
from cairn.multiview.axes import with_z_up
from cairn.multiview.results.json_file import is_tracks, read_tracks_and_up
from cairn.ops.procrustes import procrustes
from cairn.structures.poses3d import Trajectories
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.data.loading import Batch
from cairn.training.engine.array_loop import ArrayModule
from cairn.training.exporting.onnx_file import MAX_BATCH, Graph
from cairn.training.method import ArrayTraining

ROOTS = (("pelvis",), ("mid_hip",), ("root",), ("left_hip", "right_hip"))
"""Names of root joints, by preference."""

STATISTICS_FROM = 20000
"""Views from which means and deviations are computed."""

DECIMETERS = 10
"""Unit of the loss "distance", in which it is near 1 at the start, as the squared one."""

MEASURED = 5000
"""Maximum number of validation poses, evenly spaced in time."""


@dataclass(frozen=True)
class Views:
    """The batches of a run: poses seen by random cameras.

    Attributes:
        recipe: The recipe.
        skeleton: Joints of the poses.
        poses: (N, K, 3) to train on, in meters with z up.
        val: (M, K, 3) to validate on.
        viewer: Makes views.
    """

    recipe: Recipe
    skeleton: Skeleton
    poses: NDArray[np.float64]
    val: NDArray[np.float64]
    viewer: Viewer

    def __len__(self) -> int:
        return max(1, len(self.poses) * self.recipe.repeat // self.recipe.run.batch_size)

    def batch(self, epoch: int, index: int) -> dict[str, NDArray[Any]]:
        """Returns keypoints (B, K, 3) and target (B, K, 3) with NaN where unknown."""
        rng = np.random.default_rng((self.recipe.seed, epoch, index))
        view = self.view(self.poses[rng.integers(len(self.poses), size=self.recipe.run.batch_size)], rng)
        noise = self.recipe.noise
        exact = rng.random((len(view.target), 1, 1)) < noise.exact
        keypoints = np.where(exact, view.keypoints, noisy(view.keypoints, noise, rng))
        keypoints = without_parts(keypoints, self.parts, noise.part, rng)
        return {"keypoints": keypoints.astype(np.float32), "target": view.target.astype(np.float32)}

    def view(self, poses: NDArray[np.float64], rng: np.random.Generator) -> View:
        """Returns views of poses, some of them mirrored, with limbs of other poses and of random lengths."""
        if self.recipe.flip:
            poses = np.where(rng.random((len(poses), 1, 1)) < 0.5, self.flipped(poses), poses)
        if self.recipe.mix:
            others = self.poses[rng.integers(len(self.poses), size=len(poses))]
            poses = mixed(poses, others, self.skeleton, self.recipe.mix, rng)
        if self.recipe.lengths:
            poses = with_lengths(poses, self.skeleton, self.recipe.lengths, rng)
        return self.viewer(poses, rng)

    def flipped(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the mirror images of poses (N, K, 3), in which left and right are exchanged."""
        mirrored: NDArray[np.float64] = poses[:, list(self.skeleton.flip_order)] * np.array([-1.0, 1.0, 1.0])
        return mirrored

    @cached_property
    def parts(self) -> list[list[int]]:
        """Groups of joints that are missing together. Raises SkeletonError."""
        return [[self.skeleton.index(joint) for joint in part] for part in self.recipe.noise.parts]

    @cached_property
    def measured(self) -> tuple[View, NDArray[np.float64]]:
        """The views of the validation poses, and their keypoints with noise: the same at every validation."""
        rng = np.random.default_rng(0)
        view = self.viewer(self.val, rng)
        return view, noisy(view.keypoints, self.recipe.noise, rng)


class LiftingModule(ArrayModule):
    """The network of the paper with its loss and metrics."""

    def __init__(self, recipe: Recipe, data: Views) -> None:
        """Builds the network.

        Args:
            recipe: The recipe.
            data: The batches, from which the statistics are computed.
        """
        joints, settings = len(data.skeleton), recipe.network
        limbs = data.skeleton.limbs if recipe.input.limbs else ()
        inputs = 3 * joints + len(limbs)
        network = Lifting(inputs, 3 * joints, settings.width, settings.blocks, settings.dropout)
        mirror = data.skeleton.flip_order if recipe.flip_test else ()
        super().__init__(recipe, LiftingGraph(network, recipe.input.frame, joints, limbs, mirror))
        self.data = data
        set_statistics(self.lifting, data)

    @property
    def lifting(self) -> LiftingGraph:
        """The network with its normalization."""
        assert isinstance(self.network, LiftingGraph)
        return self.network

    @property
    def monitor(self) -> str:
        """The negative MPJPE from 2D keypoints with noise."""
        return "score"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Error of the 3D keypoints that are known: squared and standardized (section 3.1), or their distance."""
        graph = self.lifting
        out = graph.network(graph.standardized(batch["keypoints"])).unflatten(1, (-1, 3)).float()
        known = batch["target"].isfinite().all(dim=-1)
        wrong = (out - (batch["target"] - graph.mean3d) / graph.deviation3d)[known]
        if self.recipe.loss == "squared":
            return {"squared": (wrong**2).mean()}
        meters = wrong * graph.deviation3d.expand_as(out)[known]
        return {"distance": DECIMETERS * meters.norm(dim=-1).mean()}

    def on_train_batch_end(self, *_: Any) -> None:
        """Applies the max-norm constraint."""
        if self.recipe.network.max_norm:
            clip_norms(self.lifting.network, self.recipe.network.max_norm)

    def measure(self) -> dict[str, float]:
        """MPJPE and PA-MPJPE in millimeters, from exact 2D keypoints and from those with noise."""
        view, with_noise = self.data.measured
        metrics: dict[str, float] = {}
        for name, keypoints in (("", view.keypoints), ("noisy ", with_noise)):
            with torch.autocast(self.device.type, enabled=False):  # the exported model is in fp32
                lifted = self.lifting(torch.from_numpy(keypoints).float().to(self.device))[0].cpu().double().numpy()
            metrics |= {f"{name}{metric}": value for metric, value in errors(lifted, view.target).items()}
        return {"score": -metrics["noisy MPJPE"], **metrics}

    def graph(self) -> Graph:
        """The network with its normalization, for any number of poses."""
        rng = np.random.default_rng(0)
        joints = len(self.data.skeleton)
        checks = [rng.normal(size=(count, joints, 3)) for count in (1, 3)]
        for check in checks:
            check[..., 2] = check[..., 2] > -1
        return Graph(
            self.lifting,
            {"keypoints": torch.ones(2, joints, 3)},
            ({0: torch.export.Dim("batch", min=1, max=MAX_BATCH**2)},),
            ("keypoints3d",),
            tuple((check.astype(np.float32),) for check in checks),
        )

    def spec(self) -> LifterSpec:
        """The specification of the exported file."""
        root = tuple(self.data.skeleton.joints[joint] for joint in self.data.viewer.root)
        return LifterSpec(
            name=self.recipe.name,
            method="lifting",
            skeleton=self.data.skeleton,
            root=root,
            frame=self.recipe.input.frame,
        )


def errors(lifted: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, float]:
    """Returns MPJPE and PA-MPJPE in millimeters of poses (N, K, 3); what is NaN in the target does not count."""
    known = _known(target)
    aligned = procrustes(lifted, target, known).apply(lifted)
    mpjpe, aligned_mpjpe = (
        1000 * float(np.linalg.norm(each - target, axis=-1)[known].mean()) for each in (lifted, aligned)
    )
    return {"MPJPE": mpjpe, "PA-MPJPE": aligned_mpjpe}


def set_statistics(graph: LiftingGraph, data: Views) -> None:
    """Sets the means and deviations of the network's input and output to those of views without noise."""
    rng = np.random.default_rng(data.recipe.seed)
    view = data.view(data.poses[rng.integers(len(data.poses), size=STATISTICS_FROM)], rng)
    keypoints = torch.from_numpy(view.keypoints).float()
    centered = graph.centered(keypoints)
    centered[keypoints[..., 2] == 0] = torch.nan
    values2d, lengths = centered.numpy(), graph.lengths(centered).numpy()
    for name, values in (("", values2d), ("_lengths", lengths), ("3d", view.target)):
        deviation = np.nan_to_num(np.nanstd(values, axis=0), nan=1.0)
        getattr(graph, f"mean{name}").copy_(torch.from_numpy(np.nan_to_num(np.nanmean(values, axis=0))))
        getattr(graph, f"deviation{name}").copy_(torch.from_numpy(np.maximum(deviation, 1e-4)))


def read_data(recipe: Recipe) -> Views:
    """Reads the recordings of a recipe.

    Raises:
        RecipeError: There are none, or the root is unknown.
        LabelError: A file cannot be used.
    """
    if not recipe.data.train:
        raise RecipeError("lifting trains on 3D keypoints: give a file, as in cairn train --method lifting poses3d.npz")
    train = [each for source in recipe.data.train for each in _recordings(source.path)]
    val = [each for source in recipe.data.val for each in _recordings(source.path)]
    skeleton = load_skeleton(recipe.skeleton) if recipe.skeleton else train[0].skeleton
    poses = [_poses(each, skeleton) for each in train]
    if not val:
        poses, held_out = _held_out(poses, recipe.data.holdout)
    else:
        held_out = [_poses(each, skeleton) for each in val]
    root = tuple(skeleton.index(joint) for joint in recipe.root) or _root(skeleton)
    usable, measured = (_usable(np.concatenate(each), root) for each in (poses, held_out))
    for name, kept in (("train", usable), ("validate", measured)):
        if not len(kept):
            names = " and ".join(skeleton.joints[joint] for joint in root)
            raise LabelError(
                f"no pose to {name} on: each needs its root, {names}, and {MIN_KEYPOINTS} known keypoints of "
                f"{skeleton.name}"
            )
    measured = measured[:: -(-len(measured) // MEASURED)]
    viewer = Viewer(recipe.cameras, _rig(recipe), root, recipe.input.frame)
    views = Views(recipe, skeleton, usable, measured, viewer)
    _ = views.parts  # unknown joints are found out before training
    return views


def _recordings(path: Path) -> list[Trajectories]:
    """The recordings of a file: 3D results of Cairn, or motion capture; with z up."""
    if not is_tracks(path):
        return read_motion_capture(path)
    tracks, up = read_tracks_and_up(path)
    turned = replace(tracks, keypoints=with_z_up(tracks.keypoints, up))
    return [turned.person(row) for row in range(len(tracks.ids))]


def _rig(recipe: Recipe) -> Any:
    """The cameras of a recipe; None for random ones."""
    if recipe.cameras.kind == "random":
        return None
    if recipe.cameras.file is None:
        raise RecipeError('cameras.kind = "rig" needs cameras.file: calibrated cameras')
    from cairn.multiview.cameras import read_cameras

    return read_cameras(Path(recipe.cameras.file))


def _poses(recording: Trajectories, skeleton: Skeleton) -> NDArray[np.float64]:
    """Returns all poses of a recording (N, K, 3) in the joints of a skeleton, matched by name; NaN where unknown."""
    parts = skeleton.parts_in(recording.skeleton)
    if sum(bool(part) for part in parts) < MIN_KEYPOINTS:
        raise LabelError(
            f"the recordings have the joints {', '.join(recording.skeleton.joints)}, too few of {skeleton.name}"
        )
    flat = recording.keypoints.reshape(-1, len(recording.skeleton), 3)
    joints = [flat[:, list(part)].mean(axis=1) if part else np.full((len(flat), 3), np.nan) for part in parts]
    return np.stack(joints, axis=1)


def _known(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (..., 3) are known."""
    return np.asarray(np.isfinite(points).all(axis=-1))


def _usable(poses: NDArray[np.float64], root: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns the poses whose root, and enough of whose keypoints, are known."""
    known = _known(poses)
    kept: NDArray[np.bool_] = known[:, list(root)].all(axis=1) & (known.sum(axis=1) >= MIN_KEYPOINTS)
    return poses[kept]


def _held_out(
    poses: list[NDArray[np.float64]], share: float
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Divides recordings into those to train and to validate on: whole ones, or the end of a single one."""
    if len(poses) == 1:
        cut = max(1, round(len(poses[0]) * (1 - share)))
        return [poses[0][:cut]], [poses[0][cut:]]
    order = np.random.default_rng(0).permutation(len(poses))
    count = max(1, round(share * len(poses)))
    return [poses[i] for i in order[count:]], [poses[i] for i in order[:count]]


def _root(skeleton: Skeleton) -> tuple[int, ...]:
    for names in ROOTS:
        if set(names) <= set(skeleton.joints):
            return tuple(skeleton.index(name) for name in names)
    raise RecipeError(
        f"{skeleton.name} has none of the roots {', '.join(' and '.join(names) for names in ROOTS)}: set root to "
        'joints of it, as in --set root=["thorax"]'
    )


def module(recipe: Recipe, data: Views) -> LiftingModule:
    """Returns the network of a recipe with its loss and metrics."""
    return LiftingModule(recipe, data)


TRAINING = ArrayTraining(Recipe, read_data, module)
