"""Sessions of onnxruntime: model files of every kind are opened here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from cairn import machine
from cairn.errors import ModelError
from cairn.inference.devices import candidates, log_device, warn_of_fallback
from cairn.inference.spec import METADATA_KEY, Spec

S = TypeVar("S", bound=Spec)

DECODED_KEY = "cairn.decoded"
"""Metadata key of the description of a file with decoding in its graph, which Cairn writes and does not run."""

MAX_THREADS = 256
"""Maximum number of threads: onnxruntime creates as many as it is asked for, and hangs on absurd numbers."""


def open_session(path: Path, threads: int, device: str) -> tuple[Any, str]:
    """Returns an onnxruntime session and the name of its device; never a device other than the one requested.

    Args:
        path: The .onnx file.
        threads: Number of CPU cores; 0 is all that this process may use.
        device: Device to run on; see `cairn.inference.devices.candidates`.

    Raises:
        ModelError: The file is missing or is not an ONNX graph, the device is not available, or there are more than
            `MAX_THREADS` threads.
    """
    import onnxruntime

    if not 0 <= threads <= MAX_THREADS:
        raise ModelError(f"threads must be from 0, for all, to {MAX_THREADS}, got {threads}")
    if not path.is_file():
        raise ModelError(f"no model file at {path}")
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
                    f"{path} is not an ONNX model that onnxruntime can run on {one.name} ({first_line(error)})"
                ) from None
            warn_of_fallback(one.name, first_line(error))
            continue
        if one.provider in session.get_providers():
            return session, one.name
        reason = "its driver or libraries are missing or do not match onnxruntime"
        if last:
            raise ModelError(f"device {device!r} cannot be used: {reason}; use device='cpu', or install them")
        warn_of_fallback(one.name, reason)
    raise ModelError(f"no device to run {path} on")  # `candidates` returns one at least


def open_model(path: Path, kind: type[S], threads: int, device: str, given: str | Path) -> tuple[Any, str, S]:
    """Returns the session of a model file, the name of its device, which is logged, and its specification.

    Args:
        path: The .onnx file.
        kind: Type of the specification.
        threads: Number of CPU cores; 0 is all that this process may use.
        device: Device to run on; see `cairn.inference.devices.candidates`.
        given: What the user gave for the file, for messages.

    Raises:
        ModelError: The file cannot be opened (`open_session`), or its specification is not of this type.
    """
    session, used = open_session(path, threads, device)
    spec = kind.from_json(metadata_of(session, path), str(given))
    log_device(used)
    return session, used, spec


def metadata_of(session: Any, path: Path) -> str:
    """Returns the specification in a file, as JSON.

    Raises:
        ModelError: It has none.
    """
    metadata = session.get_modelmeta().custom_metadata_map
    if DECODED_KEY in metadata:
        raise ModelError(
            f"{path} was written by `cairn export --decode`, for programs without Cairn: "
            "give the model that it was made from"
        )
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"{path} is an ONNX model without {METADATA_KEY} metadata, so it is not a Cairn model: "
            "use a file written by `cairn export` or `cairn import`"
        )
    return str(metadata[METADATA_KEY])


def task_of(path: Path) -> str:
    """Returns the task that the specification of a file states; empty where it states none.

    Raises:
        ModelError: The file is not a model of Cairn.
    """
    session, _ = open_session(path, 1, "cpu")
    values = json.loads(metadata_of(session, path))
    return str(values.get("task", "")) if isinstance(values, dict) else ""


def first_line(error: Exception) -> str:
    """Returns the first line of a message, or the name of the error."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
