"""What all methods share while they learn: optimiser, schedule, validation by the predictor that users run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from cairn.annotations.labels import Labels
from cairn.errors import RecipeError
from cairn.network import Network
from cairn.poses import Poses
from cairn.spec import ModelSpec
from cairn.training.dataset import Batch
from cairn.training.recipe import Optimiser, Recipe
from cairn.training.torch_network import TorchNetwork


class KeypointModule(lightning.LightningModule, ABC):
    """A network that learns by a recipe. A method fills in the five abstract members.

    network  what learns; its input is RGB from 0 to 255
    val      the pictures to validate on
    """

    def __init__(self, recipe: Recipe, network: nn.Module, val: Labels) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.val = val
        self.predictions: list[Poses] = []

    @property
    @abstractmethod
    def monitor(self) -> str:
        """The metric, larger being better, by which the best weights are chosen."""

    @abstractmethod
    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The parts of the loss by name; their sum is minimised."""

    @abstractmethod
    def deployed(self) -> nn.Module:
        """The network as exported: last stage only, a tuple of maps in the order of the spec's outputs."""

    @abstractmethod
    def spec(self) -> ModelSpec:
        """The specification of the exported file."""

    @abstractmethod
    def predict(self, network: Network, index: int) -> Poses:
        """What users would get for picture `index` of `val`."""

    @abstractmethod
    def measure(self, predictions: Sequence[Poses]) -> dict[str, float]:
        """The metrics of predictions for all pictures of `val`, in their order."""

    def training_step(self, batch: Batch, _: int) -> Tensor:
        losses = self.losses(batch)
        total = torch.stack(list(losses.values())).sum()
        self.log_dict({f"loss/{name}": loss.detach() for name, loss in losses.items()}, on_step=False, on_epoch=True)
        self.log("loss", total.detach(), on_step=True, on_epoch=True, prog_bar=True)
        return total

    def on_train_epoch_end(self) -> None:
        """Before the checkpoint is written. Raises RecipeError where the loss is no longer a number."""
        if not math.isfinite(loss := float(self.trainer.callback_metrics["loss"])):
            raise RecipeError(
                f"the loss of epoch {self.current_epoch + 1} is {loss}: the training has diverged, "
                f"try an optimiser.learning_rate below {self.recipe.optimiser.learning_rate:g}"
            )

    def on_validation_epoch_start(self) -> None:
        self.predictions = []

    def validation_step(self, batch: Sequence[int], _: int) -> None:
        network = TorchNetwork(self.deployed(), self.spec())
        self.predictions += [self.predict(network, index) for index in batch]

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        self.log_dict(self.measure(self.predictions), prog_bar=True)

    def configure_optimizers(self) -> dict[str, Any]:
        optimiser = make_optimiser(self.network, self.recipe.optimiser)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor_at(self.recipe.optimiser, total))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make_optimiser(network: nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """Weights decay, biases and the scales of normalisation do not."""
    decaying = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    staying = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decaying, "weight_decay": settings.weight_decay}, {"params": staying, "weight_decay": 0.0}]
    rate = settings.learning_rate
    fused = not settings.clip  # Lightning does not clip for a fused optimiser in mixed precision
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=fused)
    if settings.name == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=fused)
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum)
    return torch.optim.RMSprop(groups, lr=rate, alpha=settings.alpha)


def factor_at(settings: Optimiser, total: int) -> Callable[[int], float]:
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
