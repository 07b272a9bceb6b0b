"""A network as the predictor sees it: images in, named maps out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.inference.model_spec import METADATA_KEY, ModelSpec

Maps = dict[str, NDArray[np.float32]]
"""Output name -> (B, C, h/s, w/s)."""

MAX_THREADS = 256
"""More would be a slip of the hand: onnxruntime makes as many as it is told to, and hangs."""


class Network(Protocol):
    """Anything that turns images into maps and knows its specification."""

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        """Images (B, 3, h, w) float32 RGB from 0 to 255 -> the outputs that the spec names."""
        ...


class OnnxNetwork:
    """An exported .onnx file, run by onnxruntime on the CPU.

    threads: how many cores one image may use; 0 lets onnxruntime take all.
    Raises ModelError where the file is missing, is no ONNX graph, or carries no specification of ours, and for
    more than `MAX_THREADS`.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        import onnxruntime

        path = Path(path)
        if not 0 <= threads <= MAX_THREADS:
            raise ModelError(f"threads must be from 0, for all, to {MAX_THREADS}, got {threads}")
        if not path.is_file():
            raise ModelError(f"no model file at {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        # Images come in many shapes: an arena would keep the largest of each, for ever.
        options.enable_cpu_mem_arena = False
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise ModelError(f"{path} is not an ONNX model that onnxruntime can run ({_first_line(error)})") from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ModelError(
                f"{path} is an ONNX model, but not one of Cairn's: it has no {METADATA_KEY} metadata. "
                "Use a file written by `cairn export`"
            )
        self.spec = ModelSpec.from_json(metadata[METADATA_KEY], str(path))
        missing = set(self.spec.outputs) - {output.name for output in self._session.get_outputs()}
        if missing:
            raise ModelError(f"{path} promises outputs {', '.join(sorted(missing))} that its graph does not have")
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        """Raises ModelError where the graph does not take such images, or there is no memory for them."""
        try:
            maps = self._session.run(list(self.spec.outputs), {self._input: images})
        except Exception as error:  # as above
            height, width = images.shape[2:]
            takes = " x ".join(map(str, self._session.get_inputs()[0].shape))
            raise ModelError(
                f"model {self.spec.name}, whose input is {takes}, cannot be run on {len(images)} images of "
                f"{width} x {height} pixels ({_first_line(error)})"
            ) from None
        return dict(zip(self.spec.outputs, maps, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
