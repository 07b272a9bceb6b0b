"""Networks: batches of images in, named maps out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cairn import machine
from cairn.errors import ModelError
from cairn.inference.devices import candidates, log_device, warn_of_fallback
from cairn.inference.model_spec import METADATA_KEY, ModelSpec
from cairn.structures.geometry import Affine

Maps: TypeAlias = dict[str, NDArray[np.float32]]
"""Output name -> (B, C, h, w), with h = H/s and w = W/s."""

MapsOfImage: TypeAlias = tuple[Maps, Affine]
"""Maps of one image, name -> (C, h, w), and the map from their cells to image pixels."""

MAX_THREADS = 256
"""Maximum number of threads: onnxruntime creates as many as it is asked for, and hangs on absurd numbers."""


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
        if not 0 <= threads <= MAX_THREADS:
            raise ModelError(f"threads must be from 0, for all, to {MAX_THREADS}, got {threads}")
        if not self.path.is_file():
            raise ModelError(f"no model file at {path}")
        self._session, self.device = _open_session(self.path, threads, device)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ModelError(
                f"{path} is an ONNX model without {METADATA_KEY} metadata, so it is not a Cairn model: "
                "use a file written by `cairn export` or `cairn import`"
            )
        self.spec = ModelSpec.from_json(metadata[METADATA_KEY], str(path))
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
                f"{width} x {height} pixels ({_first_line(error)})"
            ) from None
        return dict(zip(self.spec.outputs, maps, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the path and the options."""
        return OnnxNetwork, (self.path.absolute(), self.threads, self.device)


def _open_session(path: Path, threads: int, device: str) -> tuple[Any, str]:
    """Returns a session and the name of its device; never a device other than the one requested."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # For 0, onnxruntime would start a thread on each core of the machine, whichever the process may use, and bind it.
    options.intra_op_num_threads = threads or min(MAX_THREADS, machine.available_cores())
    # A thread without work sleeps: one that spins takes the core from whichever process has work, this one included.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    # Images have many sizes: an arena would keep the largest buffer of each forever.
    options.enable_cpu_mem_arena = False
    tried = candidates(device)
    for one in tried:
        last = one is tried[-1]
        try:
            # onnxruntime would fall back to the CPU by itself, and print so on stdout
            session = onnxruntime.InferenceSession(str(path), options, providers=one.providers, enable_fallback=0)
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            if last:
                raise ModelError(
                    f"{path} is not an ONNX model that onnxruntime can run on {one.name} ({_first_line(error)})"
                ) from None
            warn_of_fallback(one.name, _first_line(error))
            continue
        if one.provider in session.get_providers():
            return session, one.name
        reason = "its driver or libraries are missing or do not match onnxruntime"
        if last:
            raise ModelError(f"device {device!r} cannot be used: {reason}; use device='cpu', or install them")
        warn_of_fallback(one.name, reason)
    raise ModelError(f"no device to run {path} on")  # `candidates` returns one at least


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
