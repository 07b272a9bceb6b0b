"""Models as arguments: by name, by path, as a run, or as a predictor that is loaded already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cairn.api.run import Run
from cairn.api.settings import Settings, decode_settings
from cairn.errors import CairnError, ModelError

if TYPE_CHECKING:
    from cairn.inference.predictor import Predictor

    Model: TypeAlias = str | Path | Run | Predictor

DEFAULTS: Mapping[str, Any] = {"size": None, "device": "auto", "threads": 0, "refine": None}
"""Arguments of `cairn.load` at which a model is loaded as it is."""


def open_model(model: Model, options: Mapping[str, Any], settings: Settings = None) -> Predictor:
    """Loads a model; a predictor is returned as it is.

    Args:
        model: Name of a bundled model, .onnx file, run, or predictor.
        options: Arguments of `cairn.load`.
        settings: Settings of the decoder.

    Raises:
        CairnError: Options or settings are given for a predictor that is loaded already.
        ModelError: The model cannot be used, or is none of these.
    """
    from cairn.api.load import load

    decode = decode_settings(settings)
    if isinstance(model, Run):
        return model.load(**options, **decode)
    if isinstance(model, str | Path):
        return load(model, **options, **decode)
    if not callable(model):
        raise ModelError(f"model must be a name, an .onnx file, a run or a predictor, got {model!r:.80}")
    if given := [*(name for name, value in options.items() if value not in (DEFAULTS[name], False)), *decode]:
        raise CairnError(f"{', '.join(given)}: only for a model that is loaded by name or path, got a predictor")
    return model
