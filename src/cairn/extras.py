"""Optional dependencies: which extra a missing package belongs to."""

from __future__ import annotations

from importlib.util import find_spec

from cairn.errors import MissingExtra


def require(*packages: str, extra: str, purpose: str = "this") -> None:
    """Checks that packages are installed, without importing them.

    Args:
        packages: Import names.
        extra: Extra of the distribution that installs them.
        purpose: What needs them.

    Raises:
        MissingExtra: A package is not installed; the first one is named.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(package, extra, purpose)


def require_training() -> None:
    """Checks that all packages that training and export to ONNX need are installed.

    Raises:
        MissingExtra: A package is not installed.
    """
    require("torch", "lightning", "onnx", "onnxscript", extra="train", purpose="training, export or import of a model")
