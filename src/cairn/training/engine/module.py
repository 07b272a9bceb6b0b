"""What all methods share while they learn: optimizer, schedule, validation by the predictor that users run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import lightning
import torch
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
from cairn.training.exporting.torch_network import TorchNetwork
from cairn.training.recipe import Optimizer, Recipe

OF_JOINT = "PCK/"
"""What the metrics of single joints begin with."""

Channels: TypeAlias = Mapping[str, tuple[int, tuple[Hashable, ...]]]
"""Name of a weight -> an axis of it, and what each place along that axis stands for."""


class KeypointModule(lightning.LightningModule, ABC):
    """A network that learns by a recipe. A method fills in the five abstract members.

    network      what learns; its input is RGB from 0 to 255
    val          the images to validate on
    weight       of the epoch's batch of that index, beside the others of its step (`EpochBatches.weight`)
    predictions  for all of `val`, in its order, once they have been validated on
    """

    def __init__(self, recipe: Recipe, network: nn.Module, val: Labels) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.val = val
        self.weight: Callable[[int], float] = lambda _: 1.0
        self.predictions: list[Poses] = []
        self._found: list[tuple[int, Poses]] = []

    @property
    @abstractmethod
    def monitor(self) -> str:
        """The metric, larger being better, by which the best weights are chosen."""

    @abstractmethod
    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The parts of the loss by name; their sum is minimized."""

    @abstractmethod
    def export_module(self) -> nn.Module:
        """The network as exported: last stage only, a tuple of maps in the order of the spec's outputs."""

    @abstractmethod
    def spec(self) -> ModelSpec:
        """The specification of the exported file."""

    @abstractmethod
    def predict(self, network: Network, index: int) -> Poses:
        """What users would get for image `index` of `val`."""

    @abstractmethod
    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """The metrics of predictions for all images of `val`, in their order."""

    @property
    def backbone(self) -> Backbone | None:
        """The network's backbone, which can be pretrained and frozen; None where it has none."""
        return None

    def channels(self) -> Channels:
        """The network's weights that have something for each joint or limb; none where it cannot start from others."""
        return {}

    def start_from_imagenet(self) -> None:
        """Gives the network what was learned on ImageNet. Raises RecipeError where it has no place for it."""
        if self.backbone is None:
            raise RecipeError(f"{self.recipe.method} has no backbone with pretrained weights")
        self.backbone.load_pretrained()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        weight = self.weight(index)
        losses = {name: loss * weight for name, loss in self.losses(batch).items()}
        total = torch.stack(list(losses.values())).sum()
        # By batch_size Lightning would weigh batches, and round their mean size over processes to a whole number.
        every = {"on_epoch": True, "sync_dist": True, "batch_size": 1}
        self.log_dict({f"loss/{name}": loss.detach() for name, loss in losses.items()}, on_step=False, **every)
        self.log("loss", total.detach(), on_step=True, prog_bar=True, **every)
        return total

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Weights of a checkpoint of version 0.1 get today's names."""
        for key in ("state_dict", "current_model_state"):  # with `ema`, the averaged weights and the last ones
            if key in checkpoint:
                checkpoint[key] = current_names(checkpoint[key])

    def on_train_epoch_end(self) -> None:
        """Before the checkpoint is written. Raises RecipeError where the loss is no longer a number."""
        if not math.isfinite(loss := float(self.trainer.callback_metrics["loss"])):
            raise RecipeError(
                f"the loss of epoch {self.current_epoch + 1} is {loss}: the training has diverged, "
                f"try an optimizer.learning_rate below {self.recipe.optimizer.learning_rate:g}"
            )

    def on_validation_epoch_start(self) -> None:
        self._found = []
        share_buffers(self)

    def validation_step(self, batch: Sequence[int], _: int) -> None:
        """Images of `val` by their index; below 0 is none, so that all processes have as many."""
        network = TorchNetwork(self.export_module(), self.spec())
        self._found += [(index, self.predict(network, index)) for index in batch if index >= 0]

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        self.predictions = [poses for _, poses in sorted(gathered(self._found), key=lambda found: found[0])]
        metrics = self.measure(self.predictions)
        self.log_dict({name: value for name, value in metrics.items() if not name.startswith(OF_JOINT)}, prog_bar=True)
        self.log_dict({name: value for name, value in metrics.items() if name.startswith(OF_JOINT)})

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = make_optimizer(self.network, self.recipe.optimizer, self.backbone)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor_at(self.recipe.optimizer, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def pck_of_joints(evaluation: Evaluation) -> dict[str, float]:
    """PCK of each joint by `PCK/name`, as metrics have it."""
    pairs = zip(evaluation.labels.skeleton.joints, evaluation.pck.per_joint.tolist(), strict=True)
    return {f"{OF_JOINT}{joint}": value for joint, value in pairs}


def make_optimizer(
    network: nn.Module, settings: Optimizer, backbone: Backbone | None = None
) -> torch.optim.Optimizer:
    """Weights decay, biases and the scales of normalization do not; the stages of a backbone learn at its own rate."""
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


def factor_at(settings: Optimizer, total: int) -> Callable[[int], float]:
    """The learning rate of a step over the recipe's, for `total` steps."""
    warm = max(1, round(settings.warmup * total)) if settings.warmup else 0

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))
        if settings.schedule == "steps":
            return settings.factor ** sum(step >= share * total for share in settings.milestones)
        return 1.0

    return factor
