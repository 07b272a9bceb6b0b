"""Cairn finds keypoints: of people out of the box, of your own objects from your labels.

import cairn
model = cairn.load("person")
poses = model("photo.jpg")
image = cairn.draw("photo.jpg", poses)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cairn.api.load import load
from cairn.errors import CairnError
from cairn.structures.skeleton import Skeleton, load_skeleton

if TYPE_CHECKING:
    from cairn.inference.model_spec import ModelSpec
    from cairn.inference.predictor import Predictor
    from cairn.inference.resolution import Resolution
    from cairn.media.images import read_image, write_image
    from cairn.structures.annotation import Annotation
    from cairn.structures.geometry import Affine
    from cairn.structures.poses import Poses
    from cairn.tracking.tracker import Tracker
    from cairn.visualization.overlay import draw

__version__ = "0.1.0"

__all__ = [
    "Affine",
    "Annotation",
    "CairnError",
    "ModelSpec",
    "Poses",
    "Predictor",
    "Resolution",
    "Skeleton",
    "Tracker",
    "draw",
    "load",
    "load_skeleton",
    "read_image",
    "write_image",
]

# The rest is imported when it is first asked for: `import cairn` and `cairn --help` need no numpy.
_HOMES = {
    "Affine": "structures.geometry",
    "Annotation": "structures.annotation",
    "ModelSpec": "inference.model_spec",
    "Poses": "structures.poses",
    "Predictor": "inference.predictor",
    "Resolution": "inference.resolution",
    "Tracker": "tracking.tracker",
    "draw": "visualization.overlay",
    "read_image": "media.images",
    "write_image": "media.images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cairn' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"cairn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
