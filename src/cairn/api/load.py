"""The door for Python: from a name or a file to something that finds keypoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cairn.inference.predictor import Predictor
    from cairn.inference.resolution import Resolution


def load(
    model: str | Path = "person",
    threads: int = 0,
    size: int | Resolution | None = None,
    device: str = "auto",
    **thresholds: Any,
) -> Predictor:
    """A predictor: call it with an image, get Poses; one of single objects takes their boxes too.

    model       name of an embedded model, or path of a file written by `cairn export`
    threads     cores that one image may use; 0 lets onnxruntime take all
    size        what of an image the network is shown: the longest side in pixels, or a `Resolution` that says both
                sides and at how many scales; None takes the model's own
    thresholds  of the method's decode(), in place of the model's own

    Raises ModelError where there is no such model, it is not ours, or its method has no such threshold.
    """
    from cairn.errors import ModelError
    from cairn.inference import zoo
    from cairn.inference.network import OnnxNetwork
    from cairn.methods import get_method

    if device not in ("auto", "cpu"):
        raise ModelError(f"device must be auto or cpu, got {device!r}")
    is_file = isinstance(model, Path) or model.endswith(".onnx") or Path(model).is_file()
    network = OnnxNetwork(model if is_file else zoo.path_of(str(model)), threads)
    return get_method(network.spec.method).predictor(network, size=size, **thresholds)
