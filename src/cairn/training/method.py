"""What training, automatic configuration and the import of checkpoints need of a method: three typed objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cairn.datasets.labels import Labels
    from cairn.inference.model_spec import ModelSpec
    from cairn.structures.skeleton import Skeleton
    from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine
    from cairn.training.checkpoints.reading import Checkpoint
    from cairn.training.data.loading import TrainingSet
    from cairn.training.data.sources import Sources
    from cairn.training.engine.module import KeypointModule
    from cairn.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingMethod:
    """What the training engine needs of a method.

    Attributes:
        recipe: The method's recipe; the callables below take one.
        read_data: (recipe, run folder) -> skeleton, training sources, validation labels.
        training_set: (recipe, skeleton, training sources) -> encoded samples.
        module: (recipe, skeleton, validation labels) -> the network with its loss and validation.
        network_of: (weights by name, number of keypoints) -> the `network` table of the recipe that has these
            weights; None where the method's networks cannot start from others.
        imagenet_network: The `network` table of the network that starts from ImageNet; empty where there is none.
    """

    recipe: type[Recipe]
    read_data: Callable[[Any, Path], tuple[Skeleton, Sources, Labels]]
    training_set: Callable[[Any, Skeleton, Sources], TrainingSet]
    module: Callable[[Any, Skeleton, Labels], KeypointModule]
    network_of: Callable[[Mapping[str, Tensor], int], dict[str, Any]] | None = None
    imagenet_network: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Autoconfig:
    """What a method chooses where the user says nothing.

    Attributes:
        choose: (what the labels are like, what the machine has) -> values of the recipe, with reasons.
        pretrained: Bundled model that training starts from by default.
        backbone_lr_factor: Learning rate of a pretrained backbone, over that of the rest of the network.
    """

    choose: Callable[[LabelFacts, Machine], Choice]
    pretrained: str
    backbone_lr_factor: float


@dataclass(frozen=True)
class CheckpointReader:
    """Reads the weights that others published for a method's networks.

    Attributes:
        known: The published networks, for messages.
        recognizes: Whether a file of weights is of one of these.
        read: (weights, name of the model, options) -> the module to export and its specification.
        has_stages: Whether `read` takes `stages`, the number of stages to keep.
    """

    known: str
    recognizes: Callable[[Checkpoint], bool]
    read: Callable[..., tuple[nn.Module, ModelSpec]]
    has_stages: bool = False
