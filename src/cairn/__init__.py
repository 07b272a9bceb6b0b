"""Cairn finds keypoints: of people out of the box, of your own objects from your labels.

import cairn
model = cairn.load("person")
poses = model("photo.jpg")
picture = cairn.draw("photo.jpg", poses)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cairn.errors import CairnError
from cairn.load import load
from cairn.skeleton import Skeleton, skeleton

if TYPE_CHECKING:
    from cairn.geometry import Affine
    from cairn.image import read_image, write_image
    from cairn.poses import Annotation, Poses
    from cairn.predictor import Predictor
    from cairn.render import draw
    from cairn.resolution import Resolution
    from cairn.spec import ModelSpec
    from cairn.tracking import Tracker

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
    "read_image",
    "skeleton",
    "write_image",
]

# The rest is imported when it is first asked for: `import cairn` and `cairn --help` need no numpy.
_HOMES = {
    "Affine": "geometry",
    "Annotation": "poses",
    "ModelSpec": "spec",
    "Poses": "poses",
    "Predictor": "predictor",
    "Resolution": "resolution",
    "Tracker": "tracking",
    "draw": "render",
    "read_image": "image",
    "write_image": "image",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cairn' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"cairn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
