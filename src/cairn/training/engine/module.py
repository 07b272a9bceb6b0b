"""The LightningModule that all methods share: optimizer, schedule, validation with the predictor of inference."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from cairn.datasets.labels import Labels
from cairn.errors import RecipeError
from cairn.evaluation.evaluate import Evaluation
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Network
from cairn.structures.poses import Poses
from cairn.training.backbones.backbone import Backbone
from cairn.training.checkpoints.reading import current_names
from cairn.training.data.loading import Batch
from cairn.training.engine.processes import gathered, share_buffers
from cairn.training.engine.schedule import Progress, factor_at
from cairn.training.exporting.torch_network import TorchNetwork
from cairn.training.recipe import Optimizer, Recipe

PER_JOINT = "PCK/"
"""Prefix of the metrics of single keypoints."""

Channels: TypeAlias = Mapping[str, tuple[int, tuple[Hashable, ...]]]
"""Name of a weight -> an axis of it, and the keypoint or limb of each index along that axis."""


class KeypointModule(lightning.LightningModule, ABC):
    """A network that trains by a recipe. A method implements the six abstract members.

    Attributes:
        recipe: The recipe of the run.
        network: The network; its input is RGB from 0 to 255.
        val: The validation set.
        weight: Index of a batch in its epoch -> weight of its loss (`EpochBatches.weight`).
        progress: Position in the schedule; part of each checkpoint.
        predictions: Predictions for all images of `val`, in its order, after each validation.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, val: Labels) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.val = val
        self.weight: Callable[[int], float] = lambda _: 1.0
        self.progress = Progress()
        self.predictions: list[Poses] = []
        self._resumed_at = 0
        self._validated: list[tuple[int, Poses]] = []

    @property
    @abstractmethod
    def monitor(self) -> str:
        """Name of the metric that selects the best weights; larger is better."""

    @abstractmethod
    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the terms of the loss by name; their sum is minimized."""

    @abstractmethod
    def export_module(self) -> nn.Module:
        """Returns the network to export: last stage only, a tuple in the order of the spec's outputs."""

    @abstractmethod
    def spec(self) -> ModelSpec:
        """Returns the specification of the exported file."""

    @abstractmethod
    def predict(self, network: Network, index: int) -> Poses:
        """Returns what inference would predict for image `index` of `val`."""

    @abstractmethod
    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """Returns the metrics of predictions for all images of `val`, in its order."""

    @property
    def backbone(self) -> Backbone | None:
        """The network's backbone, which can be pretrained and frozen; None where it has none."""
        return None

    def channels(self) -> Channels:
        """Returns the weights that have a channel for each keypoint or limb; none if the method cannot fine-tune."""
        return {}

    def load_imagenet(self) -> None:
        """Loads ImageNet weights into the backbone.

        Raises:
            RecipeError: The network has no backbone that takes ImageNet weights.
        """
        if self.backbone is None:
            raise RecipeError(f"{self.recipe.method} has no backbone with pretrained weights")
        self.backbone.load_pretrained()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Returns the weighted sum of the terms of the loss, and logs them."""
        weight = self.weight(index)
        losses = {name: loss * weight for name, loss in self.losses(batch).items()}
        total = torch.stack(list(losses.values())).sum()
        # Lightning weighs batches by batch_size and rounds its mean over processes; the losses are weighted already.
        terms = {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        self.log_dict(terms, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)
        self.log("loss", total.detach(), on_step=True, prog_bar=True, on_epoch=True, sync_dist=True, batch_size=1)
        return total

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the position in the schedule."""
        checkpoint["progress"] = asdict(self.progress)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reads the position in the schedule, and renames the weights of a checkpoint of version 0.1.

        Lightning calls this before its callbacks read the weights.
        """
        self.progress = Progress(**checkpoint.get("progress", {}))
        self._resumed_at = int(checkpoint.get("global_step", 0))
        for state in ("state_dict", "current_model_state"):  # the second is that of the moving average
            if state in checkpoint:
                checkpoint[state] = current_names(checkpoint[state])

    def on_train_epoch_end(self) -> None:
        """Checks the loss before the checkpoint is written.

        Raises:
            RecipeError: The loss is not finite.
        """
        if not math.isfinite(loss := float(self.trainer.callback_metrics["loss"])):
            raise RecipeError(
                f"the loss of epoch {self.current_epoch + 1} is {loss}: the training has diverged; "
                f"try an optimizer.learning_rate below {self.recipe.optimizer.learning_rate:g}"
            )

    def on_validation_epoch_start(self) -> None:
        """Gives all processes the same statistics of normalization."""
        self._validated = []
        share_buffers(self)

    def validation_step(self, batch: Sequence[int], _: int) -> None:
        """Predicts for images of `val`.

        Args:
            batch: Indices into `val`; -1 pads the shares of all processes to the same number.
        """
        network = TorchNetwork(self.export_module(), self.spec())
        self._validated += [(index, replace(self.predict(network, index), image=None)) for index in batch if index >= 0]

    def on_validation_epoch_end(self) -> None:
        """Gathers the predictions of all processes, and logs their metrics."""
        if self.trainer.sanity_checking:
            return
        self.predictions = [poses for _, poses in sorted(gathered(self._validated), key=lambda item: item[0])]
        metrics = self.measure(self.predictions)
        self.log_dict({name: value for name, value in metrics.items() if not name.startswith(PER_JOINT)}, prog_bar=True)
        self.log_dict({name: value for name, value in metrics.items() if name.startswith(PER_JOINT)})

    def plan_steps(self, taken: int) -> None:
        """Leads the schedule from its current position to the last step of the trainer.

        Args:
            taken: Number of steps taken.
        """
        total = int(self.trainer.estimated_stepping_batches)
        self.progress = self.progress.ending_at(total, taken) if self.progress.curve else Progress(total, total)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Returns the optimizer and the learning rate schedule of the recipe, updated at each step."""
        optimizer = make_optimizer(self.network, self.recipe.optimizer, self.backbone)
        self.plan_steps(self._resumed_at)
        factor = factor_at(self.recipe.optimizer, self.progress.curve)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(self.progress.at(step)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def pck_of_joints(evaluation: Evaluation) -> dict[str, float]:
    """Returns the PCK of each keypoint under `PCK/name`."""
    pairs = zip(evaluation.labels.skeleton.joints, evaluation.pck.per_joint.tolist(), strict=True)
    return {f"{PER_JOINT}{joint}": value for joint, value in pairs}


def class_accuracy_of(evaluation: Evaluation) -> dict[str, float]:
    """Returns the percentage of detected instances with the right class, where there are several classes."""
    return {"class accuracy": evaluation.class_accuracy} if evaluation.labels.classes else {}


def visibility_auc_of(evaluation: Evaluation) -> dict[str, float]:
    """Returns the AUC of visibility in percent, where the model predicts it."""
    return {} if evaluation.visibility is None else {"visibility AUC": evaluation.visibility.auc}


def make_optimizer(network: nn.Module, settings: Optimizer, backbone: Backbone | None = None) -> torch.optim.Optimizer:
    """Returns the optimizer of a network.

    Weight decay applies to weights, not to biases and scales of normalization.

    Args:
        network: The network to train.
        settings: Optimizer settings of the recipe.
        backbone: The part of the network whose stages have a learning rate of their own.
    """
    rate = settings.learning_rate
    shares = dict.fromkeys(backbone.stages.parameters(), backbone.lr_factor) if backbone is not None else {}
    parts: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for p in network.parameters():
        if p.requires_grad:
            parts.setdefault((shares.get(p, 1.0), p.ndim > 1), []).append(p)
    groups = [
        {"params": parts[share, decays], "lr": share * rate, "weight_decay": decays * settings.weight_decay}
        for share, decays in sorted(parts, reverse=True)
    ]
    fused = not settings.clip  # Lightning does not clip for a fused optimizer in mixed precision
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=fused)
    if settings.name == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=fused)
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum)
    return torch.optim.RMSprop(groups, lr=rate, alpha=settings.alpha)
