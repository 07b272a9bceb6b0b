"""The door for Python: from a name or a file to something that finds keypoints."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError

if TYPE_CHECKING:
    from cairn.inference.predictor import CropPredictor, Predictor
    from cairn.inference.resolution import Resolution

# Names of modules, not modules: whoever only asks for help should not pay for numpy.
METHODS = {
    "openpose": "cairn.methods.openpose",
    "hourglass": "cairn.methods.hourglass",
    "landmarks": "cairn.methods.landmarks",
}
"""The only table of methods. Each package has `decode` and `predictor(network, size=None, **thresholds)`."""


def load(
    model: str | Path = "person", threads: int = 0, size: int | Resolution | None = None, **thresholds: Any
) -> Predictor | CropPredictor:
    """A predictor: call it with a picture, get Poses; one of single objects takes their boxes too.

    model       name of an embedded model, or path of a file written by `cairn export`
    threads     cores that one picture may use; 0 lets onnxruntime take all
    size        what of a picture the network is shown: the longest side in pixels, or a `Resolution` that says both
                sides and at how many scales; None takes the model's own
    thresholds  of the method's decode(), in place of the model's own

    Raises ModelError where there is no such model, it is not ours, or its method has no such threshold.
    """
    from cairn.inference import zoo
    from cairn.inference.network import OnnxNetwork

    is_file = isinstance(model, Path) or model.endswith(".onnx") or Path(model).is_file()
    network = OnnxNetwork(model if is_file else zoo.path_of(str(model)), threads)
    return method(network.spec.method).predictor(network, size=size, **thresholds)


def method(name: str) -> ModuleType:
    """A method's package by name. Raises ModelError where there is none of that name."""
    if name not in METHODS:
        raise ModelError(f"no method {name!r}; this version of Cairn has {', '.join(METHODS)}")
    return import_module(METHODS[name])
