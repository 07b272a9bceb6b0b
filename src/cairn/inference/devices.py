"""Devices: names such as "cuda:1" mapped to onnxruntime execution providers."""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cairn.errors import ModelError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""Kind of device -> execution provider."""

WITH_INDEX = ("cuda", "tensorrt", "directml")
"""Kinds of devices of which a machine may have several."""

# All builds of onnxruntime install one and the same module, so that only one of them may be installed.
_REPLACE = "pip uninstall -y onnxruntime, then pip install --force-reinstall --no-deps {}"
_GPU = f"pip install 'cairn-pose[gpu]', then {_REPLACE.format('onnxruntime-gpu')}"

INSTALL = {
    "cpu": "pip install onnxruntime",
    "cuda": _GPU,
    "tensorrt": f"{_GPU}, and install TensorRT",
    "directml": _REPLACE.format("onnxruntime-directml") + " (Windows)",
    "coreml": "pip install onnxruntime on macOS",
    "openvino": _REPLACE.format("onnxruntime-openvino"),
}
"""Kind of device -> how to install its provider."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        kind: A key of `PROVIDERS`.
        index: Number of the device, for the kinds in `WITH_INDEX`.
    """

    kind: str
    index: int = 0

    @property
    def name(self) -> str:
        """The name, such as "cpu" or "cuda:0"."""
        return f"{self.kind}:{self.index}" if self.kind in WITH_INDEX else self.kind

    @property
    def provider(self) -> str:
        """The execution provider."""
        return PROVIDERS[self.kind]

    @property
    def providers(self) -> list[tuple[str, dict[str, Any]]]:
        """Providers and their options, in order of preference; the CPU runs what the others do not support."""
        options = {"device_id": self.index} if self.kind in WITH_INDEX else {}
        kinds = {"tensorrt": ("tensorrt", "cuda"), "cpu": ()}.get(self.kind, (self.kind,))
        return [*((PROVIDERS[kind], options) for kind in kinds), (PROVIDERS["cpu"], {})]


def candidates(device: str) -> tuple[Device, ...]:
    """Returns the devices to try, in order.

    "auto" is CUDA where this onnxruntime supports it, then the CPU. TensorRT, DirectML, CoreML and OpenVINO are used
    only on request: they compile each model when it is loaded, for minutes in the case of TensorRT, and may compute
    in lower precision, which changes results.

    Args:
        device: "auto", a kind of device, or a kind and a number such as "cuda:1".

    Raises:
        ModelError: The name is unknown, or the installed onnxruntime lacks the provider.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if device == "auto":
        if PROVIDERS["cuda"] in available:
            return Device("cuda"), Device("cpu")
        if has_nvidia_card():
            _warn_of_unused_card()
        return (Device("cpu"),)
    asked = parse_device(device)
    if asked.provider not in available:
        raise ModelError(
            f"device {device!r} needs {asked.provider}, which the installed onnxruntime lacks "
            f"(it has {', '.join(available)}): {INSTALL[asked.kind]}"
        )
    return (asked,)


def parse_device(device: str) -> Device:
    """Returns the device of a name other than "auto".

    Raises:
        ModelError: The name is unknown.
    """
    match = re.fullmatch(r"([a-z]+)(?::(\d{1,3}))?", device) if isinstance(device, str) else None
    if not match or match[1] not in PROVIDERS or (match[2] and match[1] not in WITH_INDEX):
        names = ", ".join(("auto", *PROVIDERS))
        raise ModelError(f"device must be one of {names}, or with a number such as cuda:1; got {device!r}")
    return Device(match[1], int(match[2] or 0))


def has_nvidia_card() -> bool:
    """Whether the machine has an NVIDIA card with its driver."""
    driver = Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0")
    return shutil.which("nvidia-smi") is not None or any(path.exists() for path in driver)


@lru_cache(maxsize=1)  # once a process
def _warn_of_unused_card() -> None:
    log.warning("an NVIDIA card is present, but the installed onnxruntime supports the CPU alone: %s", INSTALL["cuda"])


@lru_cache(maxsize=64)  # once a process for each
def log_device(name: str) -> None:
    """Logs the device in use."""
    log.info("inference runs on %s", name)


@lru_cache(maxsize=64)  # once a process for each
def warn_of_fallback(name: str, reason: str) -> None:
    """Warns that automatic selection uses the CPU because another device failed."""
    log.warning("%s cannot be used (%s): inference runs on the CPU", name, reason)
