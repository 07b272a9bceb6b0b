"""Training of KeypointNet: the weighted losses of pairs of views, and measures that need no labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from cairn.inference.keypoints3d import Keypoints3DSpec
from cairn.methods.keypointnet import losses
from cairn.methods.keypointnet.features import features_of
from cairn.methods.keypointnet.measures import Predicted, measures
from cairn.methods.keypointnet.network import (
    KeypointGraph,
    KeypointNetwork,
    Keypoints,
    OrientationNetwork,
    grid_of,
)
from cairn.methods.keypointnet.pairs import Pairs, read_data
from cairn.methods.keypointnet.recipe import Recipe
from cairn.methods.keypointnet.sheet import Sheets
from cairn.methods.keypointnet.views import Views
from cairn.structures.skeleton import Skeleton
from cairn.training.data.loading import Batch
from cairn.training.engine.array_loop import ArrayModule
from cairn.training.exporting.onnx_file import MAX_BATCH, Graph
from cairn.training.method import ArrayTraining

AT_ONCE = 64
"""Validation views per batch."""

AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


class KeypointNetModule(ArrayModule):
    """Both networks with their losses."""

    def __init__(self, recipe: Recipe, data: Pairs) -> None:
        """Builds the networks.

        Args:
            recipe: The recipe.
            data: Views; their distance is the depth of an untrained network.
        """
        settings = recipe.network
        distance = float(np.median(np.linalg.norm(data.train.translations, axis=1)))
        half = max(8, settings.features // 2)
        orientation = OrientationNetwork(features_of(settings, 3, half), half) if settings.orientation else None
        keypoints = KeypointNetwork(
            features_of(settings, 4, settings.features), settings.features, settings.keypoints, distance
        )
        super().__init__(recipe, KeypointGraph(orientation, keypoints))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks its type
        self.data = data
        self.predicted: Predicted | None = None
        axis = settings.axis
        self.axis = torch.tensor(data.train.longest_axis() if axis == "auto" else AXES[axis], dtype=torch.float32)

    @property
    def both(self) -> KeypointGraph:
        """Both networks."""
        assert isinstance(self.network, KeypointGraph)
        return self.network

    @property
    def done(self) -> float:
        """Share of the run that is done."""
        return float(self.trainer.global_step) / max(1, int(self.trainer.estimated_stepping_batches))

    def configure_callbacks(self) -> list[Callback]:
        """Adds the contact sheets and the 3D view."""
        return [Sheets()]

    @property
    def monitor(self) -> str:
        """The negative median angular error of relative pose."""
        return "score"

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The six weighted losses of a batch of pairs (section 3)."""
        weights, both = self.recipe.losses, self.both
        image = batch["image"].flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
        rotation, translation, intrinsics = (
            batch[name].flatten(0, 1) for name in ("rotation", "translation", "intrinsics")
        )
        exactly = torch.autocast(image.device.type, enabled=False)  # 8 bits cannot tell pixels apart
        terms: dict[str, Tensor] = {}
        side = image.new_zeros(len(image))
        if both.orientation is not None:
            scores = both.orientation.scores(image).float()
            with exactly:
                ends = both.orientation.ends(scores)
                axis = axis_ends(self.axis.to(image.device), rotation, translation, intrinsics)
                terms["orientation"] = weights.orientation * 2 * losses.orientation(ends, axis)
                side = self._side(ends, axis)
        maps = [each.float() for each in both.keypoints.scores(image, side)]
        with exactly:
            found = both.keypoints.keypoints(maps[0], maps[1])
            return terms | self._losses(found, batch["mask"].flatten(0, 1), rotation, translation, intrinsics)

    def _losses(
        self, found: Keypoints, mask: Tensor, rotation: Tensor, translation: Tensor, intrinsics: Tensor
    ) -> dict[str, Tensor]:
        """The losses of the keypoints of pairs; as released, each is the sum over the two views."""
        weights = self.recipe.losses
        uv, depth, probabilities = found
        points = losses.unproject(uv, depth, intrinsics)
        cover = nn.functional.interpolate(mask[:, None], size=probabilities.shape[2:], mode="area")[:, 0] > 0
        first, second = points[0::2], points[1::2]
        relative, shift = relative_motion(rotation, translation)
        forward = losses.project(losses.moved(first, relative, shift), intrinsics[1::2])
        back = losses.project((second - shift[:, None]) @ relative, intrinsics[0::2])
        agree = losses.consistency(forward, uv[1::2]) + losses.consistency(back, uv[0::2])
        low, high = weights.boosted
        done = self.done
        fall = min(1.0, max(0.0, (done - low) / max(high - low, 1e-9)))
        noise = weights.noise * min(1.0, done / max(low, 1e-9))
        noisy = [each + noise * torch.randn_like(each) for each in (first, second)]
        return {
            "consistency": weights.consistency * agree,
            "pose": weights.pose * weights.boost ** (1 - fall) * losses.relative_pose(noisy[0], noisy[1], relative),
            "separation": weights.separation * 2 * losses.separation(points, weights.delta),
            "silhouette": weights.silhouette * 2 * losses.silhouette(probabilities, cover.float()),
            "variance": weights.variance * 2 * losses.variance(probabilities, uv, grid_of(probabilities)),
        }

    def _side(self, predicted: Tensor, true: Tensor) -> Tensor:
        """The side that the keypoint network gets: the true one at first, then that of the orientation network."""
        low, high = self.recipe.anneal
        share = min(1.0, max(0.0, (high - self.done) / max(high - low, 1e-9)))
        sides = [(ends[:, 0, 0] > ends[:, 1, 0]).float() for ends in (true, predicted.detach())]
        side: Tensor = (share * sides[0] + (1 - share) * sides[1]).round()
        return side

    def measure(self) -> dict[str, float]:
        """Angular error of relative pose on held-out objects, and the other measures without labels."""
        self.predicted = self.predict(self.data.val)
        values = measures(self.predicted, self.data.val, self.data.val_pairs)
        return {"score": -values["angle median"], **values}

    def predict(self, views: Views) -> Predicted:
        """Returns the keypoints of all views."""
        found: list[tuple[Tensor, ...]] = []
        for start in range(0, len(views), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            image = torch.from_numpy(views.images[rows]).to(self.device).permute(0, 3, 1, 2).float()
            found.append(self.both(image, torch.from_numpy(views.intrinsics[rows]).to(self.device).float()))
        points, uv, confidence = (torch.cat(each).cpu().double().numpy() for each in zip(*found, strict=True))
        return Predicted(points, uv, confidence)

    def graph(self) -> Graph:
        """Both networks, for any number of images."""
        size = self.recipe.input.size
        rng = np.random.default_rng(0)
        batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
        intrinsics = self.data.train.intrinsics[:3].astype(np.float32)
        checks = [
            (rng.uniform(0, 255, (count, 3, size, size)).astype(np.float32), intrinsics[:count]) for count in (1, 3)
        ]
        return Graph(
            self.both,
            {"image": torch.zeros(2, 3, size, size), "intrinsics": torch.from_numpy(intrinsics[:2])},
            ({0: batch}, {0: batch}),
            ("points", "keypoints", "confidence"),
            tuple(checks),
        )

    def spec(self) -> Keypoints3DSpec:
        """The specification of the exported file."""
        names = tuple(f"keypoint_{number}" for number in range(self.recipe.network.keypoints))
        median = np.median(self.data.train.intrinsics, axis=0)
        return Keypoints3DSpec(
            name=self.recipe.name,
            method="keypointnet",
            skeleton=Skeleton(self.recipe.name, names),
            size=self.recipe.input.size,
            intrinsics=(float(median[0]), float(median[1]), float(median[2]), float(median[3])),
            unit=self.data.train.radius,
        )


def axis_ends(axis: Tensor, rotation: Tensor, translation: Tensor, intrinsics: Tensor) -> Tensor:
    """Returns where the points at +1 and -1 on an axis (3,) of the object are in the images, (B, 2, 2)."""
    direction = rotation @ axis
    ends = torch.stack([direction, -direction], dim=1) + translation[:, None]
    return losses.project(ends, intrinsics)


def relative_motion(rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """Returns R (B, 3, 3) and t (B, 3) from the frames of the first views of pairs to those of the second.

    Args:
        rotation: (2 B, 3, 3), the views of a pair one after the other.
        translation: (2 B, 3).
    """
    relative = rotation[1::2] @ rotation[0::2].transpose(1, 2)
    return relative, translation[1::2] - (relative @ translation[0::2, :, None])[..., 0]


def module(recipe: Recipe, data: Pairs) -> KeypointNetModule:
    """Returns the networks of a recipe with their losses and measures."""
    return KeypointNetModule(recipe, data)


TRAINING = ArrayTraining(Recipe, read_data, module)
