"""The bundled models: src/cairn/models/NAME.onnx, each with its model card NAME.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.arguments import checked
from cairn.errors import ModelError

if TYPE_CHECKING:
    from cairn.inference.resolution import Resolution

DEFAULT_MODEL, DEFAULT_CROP_MODEL = "person", "person-single"
"""The bundled models of all people in an image, and of one person per crop."""

REFINERS = dict.fromkeys(("person", "person-fp16", "person-single"), "person-refine")
"""Bundled model -> the bundled model that predicts the keypoints of its instances again, in crops."""


@dataclass(frozen=True)
class ImageRefinement:
    """How the detections of single images are refined by default; frames of videos are not.

    Attributes:
        size: Longest side of the first model's input in pixels, at one scale, unless others are given; None is the
            model's own.
        min_score: Minimum score of a detection; others are dropped.
    """

    size: int | None = None
    min_score: float = 0.0

    def resolution(self, given: int | Resolution | None) -> int | Resolution | None:
        """Returns the resolution of the first model's input, of what the user gives."""
        from cairn.inference.resolution import Resolution

        if self.size is None:
            return given
        given = given if isinstance(given, Resolution) else Resolution(longest=given)
        is_sized = given.longest or given.width or given.height
        return replace(given, longest=given.longest if is_sized else self.size, scales=given.scales or 1)


REFINED_IMAGES = {"person": ImageRefinement(size=352, min_score=0.1), "person-single": ImageRefinement()}
"""Bundled models whose detections in single images are refined by default.

More accurate than `person` alone, in less time (decision 0141); and than `person-single` alone (decision 0145).
"""


RUN_MODEL, REFINER_MODEL = "model.onnx", "refiner.onnx"
"""The exported model in the folder of a training run, and the one that refines its instances, where it has one."""

WEIGHTS = (".pt", ".pth", ".ckpt", ".caffemodel", ".prototxt", ".t7", ".tar", ".h5", ".pkl", ".npz", ".tflite", ".pb")
"""Suffixes of weights that are not exported models."""


def embedded() -> tuple[str, ...]:
    """Returns the names of the bundled models, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.onnx")))


def path_of(name: str) -> Path:
    """Returns the path of a bundled model.

    Raises:
        ModelError: There is no bundled model of that name.
    """
    names = embedded()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ModelError(
            f"no model {name!r}{hint}; bundled: {', '.join(names) or 'none'}; "
            "or give the path of an .onnx file or of a run folder"
        )
    return _folder() / f"{name}.onnx"


@checked
def model_file(model: str | Path) -> Path:
    """Returns the .onnx file of a bundled name, a path or a run folder.

    Raises:
        ModelError: There is no such model.
    """
    path = Path(model)
    if isinstance(model, str) and (not model or model in embedded()):
        return path_of(model)
    if path.suffix.lower() in WEIGHTS:
        raise ModelError(
            f"{model} is not an exported model: convert published weights by `cairn import`, or a run by `cairn export`"
        )
    if path.is_dir():
        if not (path / RUN_MODEL).is_file():
            raise ModelError(
                f"no {RUN_MODEL} in the folder {path}: expected the folder of a finished training run; to use the best "
                f"weights of an unfinished one, write them with `cairn export {path} FILE.onnx`"
            )
        return path / RUN_MODEL
    if isinstance(model, Path) or path.suffix.lower() == ".onnx" or path.is_file() or len(path.parts) > 1:
        return path
    return path_of(model)


def own_refiner(model: str | Path) -> Path | None:
    """Returns the refiner that was trained beside a model; None where there is none.

    Args:
        model: Name of a bundled model, or a path; the folder of a run can have one, beside its model.
    """
    path = Path(model)
    if not str(model) or str(model) in embedded():
        return None
    refiner = path.with_name(REFINER_MODEL) if path.name == RUN_MODEL else path / REFINER_MODEL
    return refiner if refiner.is_file() else None


def bundled_name(model: str | Path) -> str | None:
    """Returns the name of a bundled model, given by its name or path; None for another model."""
    if isinstance(model, str) and model in embedded():
        return model
    path = Path(model).resolve()
    return path.stem if path.suffix == ".onnx" and path.parent == _folder().resolve() else None


def image_refinement(model: str | Path) -> ImageRefinement | None:
    """Returns how the detections of a model in single images are refined by default; None where they are not.

    Args:
        model: Name of a bundled model, or a path.
    """
    name = bundled_name(model)
    return REFINED_IMAGES.get(name) if name else None


def refiner_to_use(model: str | Path, refine: bool | str | Path | None) -> str | Path | None:
    """Returns the model that refines the detections of a model, or None.

    Args:
        model: Name of a bundled model, or a path.
        refine: A model; True: that of `refiner_of`; None: that of its run, where it has one, or of the bundled models
            of `REFINED_IMAGES`; False: none.

    Raises:
        ModelError: There is none for this model, and `refine` is True.
    """
    if refine is None:
        return own_refiner(model) or (refiner_of(model) if image_refinement(model) else None)
    return refiner_of(model) if refine is True else None if refine is False else refine


def refiner_of(model: str | Path) -> str | Path:
    """Returns the model that refines the detections of a model: that of its run, or a bundled one by name.

    Args:
        model: Name of a bundled model, or a path.

    Raises:
        ModelError: There is none for this model.
    """
    if own := own_refiner(model):
        return own
    name = bundled_name(model)
    if name not in REFINERS:
        raise ModelError(
            f"no model is registered that refines the detections of {model} (only of {', '.join(REFINERS)}): "
            "name one of one instance per crop, with --refine-with MODEL or refine=MODEL"
        )
    return REFINERS[name]


def is_registered(refiner: str | Path, model: str | Path) -> bool:
    """Returns whether one bundled model is the one that refines another: `refiner_of` gives it.

    Args:
        refiner: Name of a bundled model, or a path.
        model: The one that is refined.
    """
    return bundled_name(refiner) is not None and bundled_name(refiner) == REFINERS.get(bundled_name(model) or "")


def path_to_learn_from(name: str) -> Path:
    """Returns the path of the weights for fine-tuning a bundled model: NAME-fp16 where the model itself is int8.

    Raises:
        ModelError: There is no bundled model of that name.
    """
    finer = f"{name}-fp16"
    return path_of(finer if finer in embedded() else name)


def _folder() -> Path:
    # onnxruntime opens files by path, and pip always unpacks packages.
    return Path(str(resources.files("cairn") / "models"))
