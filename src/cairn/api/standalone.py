"""Models for programs without Cairn: one .onnx file with decoding in its graph, or a folder with a web page."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.extras import require

if TYPE_CHECKING:
    from cairn.inference.network import OnnxNetwork
    from cairn.training.exporting.decoding.decoded_file import Description
    from cairn.training.exporting.precision import Precision

log = logging.getLogger("cairn.api.export")


@dataclass(frozen=True)
class Standalone:
    """What to write.

    Attributes:
        web: Whether a folder with a web page, else an .onnx file.
        runtime: Folder of the npm package onnxruntime-web; None: npm downloads it.
    """

    web: bool
    runtime: Path | None = None


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        precision: Precision of the weights.
        megabytes: Size of all files.
    """

    precision: Precision
    megabytes: float


def write_standalone(model: str | Path, target: Path, what: Standalone) -> Written:
    """Writes a model with decoding in its graph.

    Args:
        model: An .onnx file or the name of a bundled model.
        target: The file or folder to write.
        what: Which of both.

    Raises:
        ModelError: There is no such model, or it cannot be exported with decoding.
        OutputError: The target cannot be written.
        CairnError: onnxruntime-web cannot be found or downloaded.
        MissingExtra: The extra `train` is not installed.
    """
    require("onnx", extra="train", purpose="export with decoding")
    from cairn.inference.network import OnnxNetwork
    from cairn.training.exporting.precision import precision_of
    from cairn.training.exporting.web.folder import WebFolder

    network = OnnxNetwork(_model_file(model, what.web), threads=1)
    if not what.web:
        description = _decoded(network, target)
        megabytes = target.stat().st_size / 1e6
    else:
        folder = WebFolder(target, what.runtime)  # checked before the work
        with TemporaryDirectory() as temporary:
            file = Path(temporary) / "model.onnx"
            description = _decoded(network, file, size_input=True)
            megabytes = folder.write(file, description)
    log.info("opset %s, checked on onnxruntime's %s", description["opset"], ", ".join(description["providers"]))
    for kind in ("inputs", "outputs"):
        log.info("%s: %s", kind, _listed(description[kind]))
    return Written(precision_of(network.path), megabytes)


def _decoded(network: OnnxNetwork, target: Path, size_input: bool = False) -> Description:
    from cairn.methods import get_method
    from cairn.training.exporting.decoding.decoded_file import write_decoded

    method = get_method(network.spec.method)
    if method.graph_decoder is None:
        raise ModelError(f"model {network.spec.name} is of method {method.name}, which has no decoding in the graph")
    reference = method.predictor(network).decode
    return write_decoded(network, target, method.graph_decoder(), reference, size_input)


def _model_file(model: str | Path, web: bool) -> Path:
    """Returns the file of a model; for a web page of a bundled model in int8 its original in fp16."""
    from cairn.inference import zoo

    if web and model in zoo.embedded() and (finer := zoo.path_to_learn_from(str(model))).stem != model:
        log.info("the page gets %s, since browsers compute int8 no faster", finer.stem)
        return finer
    file = zoo.model_file(model)
    if not file.is_file():
        raise ModelError(f"no model file or run folder at {model}")
    return file


def _listed(tensors: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each['type']} ({', '.join(map(str, each['shape']))})" for name, each in tensors.items())
