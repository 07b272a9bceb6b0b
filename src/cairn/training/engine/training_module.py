"""The LightningModule of every method: the loss, the optimizer, and the learning rate schedule."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from cairn.errors import RecipeError
from cairn.inference.spec import Spec
from cairn.training.backbones.backbone import Backbone
from cairn.training.checkpoints.reading import current_names
from cairn.training.data.loading import Batch
from cairn.training.engine.schedule import Progress, factor_at
from cairn.training.recipe import BasicRecipe, Optimizer


class TrainingModule(lightning.LightningModule, ABC):
    """A network that trains by a recipe.

    Attributes:
        recipe: The recipe of the run.
        network: The network.
        weight: Index of a batch in its epoch -> weight of its loss.
        progress: Position in the schedule; part of each checkpoint.
    """

    def __init__(self, recipe: BasicRecipe, network: nn.Module) -> None:
        super().__init__()
        self.recipe: Any = recipe  # each method has a class of its own
        self.network = network
        self.weight: Callable[[int], float] = lambda _: 1.0
        self.progress = Progress()
        self._resumed_at = 0

    @property
    @abstractmethod
    def monitor(self) -> str:
        """Name of the metric that selects the best weights; larger is better."""

    @abstractmethod
    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the terms of the loss by name; their sum is minimized."""

    @abstractmethod
    def spec(self) -> Spec:
        """Returns the specification of the exported file."""

    @property
    def backbone(self) -> Backbone | None:
        """The network's backbone, which can be pretrained and frozen; None where it has none."""
        return None

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
