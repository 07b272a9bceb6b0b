"""A method as one typed object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cairn.training.exporting.decoding.decoder import GraphDecoder
    from cairn.training.method import ArrayTraining, Autoconfig, CheckpointReader, TrainingMethod


@dataclass(frozen=True)
class Method:
    """A published system, with the code to predict, train, configure and import its models.

    Attributes:
        name: Name in recipes and model files.
        tasks: Tasks of its models.
        predictor: (network, size=None, **decode settings) -> a `Predictor`. Of a method whose input is not an image,
            (path, threads, device) -> what runs a model.
        training: Returns the training code; imports torch.
        autoconfig: Returns its automatic configuration; None: the method is never selected automatically.
        checkpoints: Returns the reader of published weights, and imports torch; None: there is none.
        graph_decoder: Returns the decoding as a part of an ONNX graph; None: its models cannot be exported with it.
    """

    name: str
    tasks: tuple[str, ...]
    predictor: Callable[..., Any]
    training: Callable[[], TrainingMethod | ArrayTraining]
    autoconfig: Callable[[], Autoconfig] | None = None
    checkpoints: Callable[[], CheckpointReader] | None = None
    graph_decoder: Callable[[], GraphDecoder] | None = None
