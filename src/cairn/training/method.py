"""Training, automatic configuration and checkpoint import of a method: three typed objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cairn.datasets.labels import Labels
    from cairn.inference.model_spec import ModelSpec
    from cairn.structures.skeleton import Skeleton
    from cairn.training.autoconfig.choices import Choice, Machine
    from cairn.training.checkpoints.pretrained import Start
    from cairn.training.checkpoints.reading import Checkpoint
    from cairn.training.data.loading import TrainingSet
    from cairn.training.data.sources import Sources
    from cairn.training.engine.array_loop import ArrayData, ArrayModule
    from cairn.training.engine.module import KeypointModule
    from cairn.training.recipe import BasicRecipe, Recipe


@dataclass(frozen=True)
class TrainingMethod:
    """The training code of a method.

    Attributes:
        recipe: The class of the method's recipes; the callables below take an instance of it.
        read_data: (recipe, run folder) -> skeleton, training sources, validation labels.
        training_set: (recipe, skeleton, training sources) -> encoded samples.
        module: (recipe, skeleton, validation labels) -> the network with its loss and validation.
        network_of: (weights by name, number of keypoints) -> the `network` table of the recipe whose network has these
            weights; None if the method cannot fine-tune.
        imagenet_network: The `network` table of the network whose backbone takes ImageNet weights; empty if there is
            none.
        file_networks: The same for files of pretrained backbones (`cairn.training.checkpoints.backbone_file`), by the
            name of the backbone.
        adopt: (weights by name) -> weights by the names of the network that is trained, where those of an imported
            model differ; None if they never do.
        values_of: (pretrained weights) -> values of the recipe, by `name` or `section.name`, without which the weights
            would not predict what they did; None if there are none.
        grow: (weights by name, recipe) -> the same with those parts of the recipe's network that a pretrained model of
            fewer parts lacks; None if there are none.
    """

    recipe: type[Recipe]
    read_data: Callable[[Any, Path], tuple[Skeleton, Sources, Labels]]
    training_set: Callable[[Any, Skeleton, Sources], TrainingSet]
    module: Callable[[Any, Skeleton, Labels], KeypointModule]
    network_of: Callable[[Mapping[str, Tensor], int], dict[str, Any]] | None = None
    imagenet_network: Mapping[str, Any] = field(default_factory=dict)
    file_networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    adopt: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    values_of: Callable[[Start], dict[str, Any]] | None = None
    grow: Callable[[Mapping[str, Tensor], Any], dict[str, Tensor]] | None = None

    def adopted(self, start: Start) -> Start:
        """Returns pretrained weights under the names of the network that is trained."""
        return start if self.adopt is None else replace(start, weights=self.adopt(start.weights))

    def grown(self, start: Start, recipe: Any) -> Start:
        """Returns pretrained weights with all parts of the network that the recipe describes."""
        return start if self.grow is None else replace(start, weights=self.grow(start.weights, recipe))

    def train(self, recipe: Any, run: Path, resume: bool, reasons: Mapping[str, str]) -> Path:
        """Trains by a recipe; see `cairn.training.engine.loop.train`."""
        from cairn.training.engine.loop import train

        return train(self, recipe, run, resume, reasons)

    def export(self, recipe: Any, run: Path, checkpoint: str, target: Path) -> Path:
        """Exports weights of a run; see `cairn.training.engine.loop.export_from`."""
        from cairn.training.engine.loop import export_from

        return export_from(self, recipe, run, checkpoint, target)


@dataclass(frozen=True)
class ArrayTraining:
    """The training code of a method whose samples are not labeled images, but poses or point clouds.

    Attributes:
        recipe: The class of the method's recipes; the callables below take an instance of it.
        read_data: (recipe) -> the batches of an epoch, and whatever the module measures on.
        module: (recipe, data) -> the network with its loss and validation.
    """

    recipe: type[BasicRecipe]
    read_data: Callable[[Any], ArrayData]
    module: Callable[[Any, Any], ArrayModule]

    def train(self, recipe: Any, run: Path, resume: bool, reasons: Mapping[str, str]) -> Path:
        """Trains by a recipe; see `cairn.training.engine.array_loop.train`."""
        from cairn.training.engine.array_loop import train

        return train(self, recipe, run, resume, reasons)

    def export(self, recipe: Any, run: Path, checkpoint: str, target: Path) -> Path:
        """Exports weights of a run; see `cairn.training.engine.array_loop.export_from`."""
        from cairn.training.engine.array_loop import export_from

        return export_from(self, recipe, run, checkpoint, target)


@dataclass(frozen=True)
class Autoconfig:
    """How a method selects the values of a recipe that the user does not set.

    Attributes:
        choose: (facts of the labels, facts of the machine) -> values of the recipe, with reasons. That of a method
            whose instances can be refined takes `refined`, whether they are.
        pretrained: Bundled model that training fine-tunes by default.
        backbone_lr_factor: Learning rate of a pretrained backbone divided by that of the rest of the network.
        refiner: Facts of the machine -> values of the recipe of a model that refines another one's instances, in
            crops; None if the method has none.
    """

    choose: Callable[..., Choice]
    pretrained: str
    backbone_lr_factor: float
    refiner: Callable[[Machine], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class CheckpointReader:
    """Reads published weights of a method's networks.

    Attributes:
        known: The published networks, for messages.
        recognizes: Whether a checkpoint holds the weights of one of these networks.
        read: (checkpoint, name of the model, options) -> the module to export and its specification.
        has_stages: Whether `read` takes `stages`, the number of stages to keep.
    """

    known: str
    recognizes: Callable[[Checkpoint], bool]
    read: Callable[..., tuple[nn.Module, ModelSpec]]
    has_stages: bool = False
