"""Networks: batches of images in, named maps out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.inference.devices import log_device
from cairn.inference.model_spec import ModelSpec
from cairn.inference.session import first_line, metadata_of, open_session
from cairn.structures.geometry import Affine

Maps: TypeAlias = dict[str, NDArray[np.float32]]
"""Output name -> (B, C, h, w), with h = H/s and w = W/s."""

MapsOfImage: TypeAlias = tuple[Maps, Affine]
"""Maps of one image, name -> (C, h, w), and the map from their cells to image pixels."""


class Network(Protocol):
    """Anything that computes maps from images and has a specification."""

    @property
    def spec(self) -> ModelSpec:
        """The specification of the model."""
        ...

    @property
    def device(self) -> str:
        """The device in use, such as "cpu" or "cuda:0"."""
        ...

    @property
    def threads(self) -> int:
        """Number of CPU cores for one image; 0 is all."""
        ...

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        """Returns the outputs that the specification names, for images (B, 3, H, W) float32 RGB from 0 to 255."""
        ...


class OnnxNetwork:
    """An exported .onnx file, run by onnxruntime. It can be pickled and copied: the file is opened again.

    Attributes:
        path: The file.
        threads: Number of CPU cores for one image; 0 is all that this process may use.
        device: The device in use, such as "cpu" or "cuda:0".
        spec: The specification in the file.
    """

    def __init__(self, path: str | Path, threads: int = 0, device: str = "cpu") -> None:
        """Opens a file.

        Args:
            path: The .onnx file.
            threads: Number of CPU cores for one image; 0 is all.
            device: Device to run on; see `cairn.inference.devices.candidates`.

        Raises:
            ModelError: The file is missing, is not an ONNX graph, has no Cairn specification, the device is not
                available, or there are more than `MAX_THREADS` threads.
        """
        self.path = Path(path)
        self.threads = threads
        self._session, self.device = open_session(self.path, threads, device)
        self.spec = ModelSpec.from_json(metadata_of(self._session, self.path), str(path))
        missing = set(self.spec.outputs) - {output.name for output in self._session.get_outputs()}
        if missing:
            raise ModelError(
                f"the specification of {path} names outputs {', '.join(sorted(missing))}, absent from its graph"
            )
        self._input = self._session.get_inputs()[0].name
        log_device(self.device)

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        """Runs the network; see `Network`.

        Raises:
            ModelError: The graph does not accept such images, or memory does not suffice.
        """
        try:
            maps = self._session.run(list(self.spec.outputs), {self._input: images})
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            height, width = images.shape[2:]
            expected = " x ".join(map(str, self._session.get_inputs()[0].shape))
            raise ModelError(
                f"model {self.spec.name}, whose input is {expected}, cannot run on {len(images)} images of "
                f"{width} x {height} pixels ({first_line(error)})"
            ) from None
        return dict(zip(self.spec.outputs, maps, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the path and the options."""
        return OnnxNetwork, (self.path.absolute(), self.threads, self.device)
