"""The models that come with Cairn: src/cairn/models/NAME.onnx, each with its card NAME.md."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from cairn.errors import ModelError


def embedded() -> tuple[str, ...]:
    """Their names, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.onnx")))


def path_of(name: str) -> Path:
    """Where an embedded model lies. Raises ModelError where there is none of that name."""
    path = _folder() / f"{name}.onnx"
    if name not in embedded():
        raise ModelError(
            f"no model {name!r}; embedded: {', '.join(embedded()) or 'none'}; or give the path of an .onnx file"
        )
    return path


def path_to_learn_from(name: str) -> Path:
    """Where the weights of an embedded model lie in numbers fine enough to go on learning: where the model itself
    computes in int8, a NAME-fp16 lies beside it. Raises ModelError as `path_of` does.
    """
    finer = f"{name}-fp16"
    return path_of(finer if finer in embedded() else name)


def _folder() -> Path:
    # onnxruntime opens files by path, and pip always unpacks: a folder it is.
    return Path(str(resources.files("cairn") / "models"))
