"""The LightningModule of all methods that predict keypoints of images: validation with the predictor of inference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from torch import nn

from cairn.datasets.labels import Labels
from cairn.errors import RecipeError
from cairn.evaluation.evaluate import Evaluation
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Network
from cairn.structures.poses import Poses
from cairn.training.engine.processes import gathered, share_buffers
from cairn.training.engine.training_module import TrainingModule
from cairn.training.exporting.torch_network import TorchNetwork
from cairn.training.recipe import Recipe

PER_JOINT = "PCK/"
"""Prefix of the metrics of single keypoints."""

Channels: TypeAlias = Mapping[str, tuple[int, tuple[Hashable, ...]]]
"""Name of a weight -> an axis of it, and the keypoint or limb of each index along that axis."""


class KeypointModule(TrainingModule):
    """A network that predicts keypoints of images, trained by a recipe. A method implements the six abstract members.

    Attributes:
        network: The network; its input is RGB from 0 to 255.
        val: The validation set.
        weight: Index of a batch in its epoch -> weight of its loss (`EpochBatches.weight`).
        predictions: Predictions for all images of `val`, in its order, after each validation.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, val: Labels) -> None:
        super().__init__(recipe, network)
        self.val = val
        self.predictions: list[Poses] = []
        self._validated: list[tuple[int, Poses]] = []

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

    def channels(self) -> Channels:
        """Returns the weights that have a channel for each keypoint or limb; none if the method cannot fine-tune."""
        return {}

    @property
    def published_heads(self) -> nn.Module | None:
        """The heads that a file of pretrained weights has beside the backbone; None where the network has none."""
        return None

    def load_imagenet(self) -> None:
        """Loads ImageNet weights into the backbone.

        Raises:
            RecipeError: The network has no backbone that takes ImageNet weights.
        """
        if self.backbone is None:
            raise RecipeError(f"{self.recipe.method} has no backbone with pretrained weights")
        self.backbone.load_pretrained()

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
