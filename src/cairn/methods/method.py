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
    """A published system, with the code to predict, train, configure and import its models.

    Attributes:
        name: Name in recipes and model files.
        tasks: Tasks of its models.
        predictor: (network, size=None, **decode settings) -> a predictor.
        training: Returns the training code; imports torch.
        autoconfig: Returns its automatic configuration; None: the method is never selected automatically.
        checkpoints: Returns the reader of published weights, and imports torch; None: there is none.
    """

    name: str
    tasks: tuple[Task, ...]
    predictor: Callable[..., Predictor]
    training: Callable[[], TrainingMethod]
    autoconfig: Callable[[], Autoconfig] | None = None
    checkpoints: Callable[[], CheckpointReader] | None = None
