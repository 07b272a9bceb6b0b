"""A method as one typed object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cairn.inference.model_spec import Task
    from cairn.inference.predictor import Predictor
    from cairn.training.method import Autoconfig, CheckpointReader, TrainingMethod


@dataclass(frozen=True)
class Method:
    """A published system: how its models predict, train, are configured and imported.

    Attributes:
        name: As recipes and model files have it.
        tasks: What its models can be trained for or imported for.
        predictor: (network, size=None, **decode settings) -> a predictor over the network.
        training: Loads what the training engine needs; imports torch.
        autoconfig: Loads what the method chooses by itself; None where it is never chosen by itself.
        checkpoints: Loads the reader of published weights; None where there is none. Imports torch.
    """

    name: str
    tasks: tuple[Task, ...]
    predictor: Callable[..., Predictor]
    training: Callable[[], TrainingMethod]
    autoconfig: Callable[[], Autoconfig] | None = None
    checkpoints: Callable[[], CheckpointReader] | None = None
