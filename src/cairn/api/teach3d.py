"""`cairn.teach` on a run of 3D keypoints: named keypoints from labels in 3D or in images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.errors import LabelError, OutputError, RecipeError
from cairn.wording import counted, joined

if TYPE_CHECKING:
    from cairn.inference.keypoints3d import Keypoints3D
    from cairn.methods.keypointnet.teaching import Labeled
    from cairn.methods.keypointnet.training import KeypointNetModule
    from cairn.structures.camera import Camera

METHOD = "keypointnet"


@dataclass(frozen=True, repr=False)
class TaughtKeypoints3D:
    """What `cairn.teach` returns for a run of 3D keypoints.

    Attributes:
        path: The model that was written.
        names: The named keypoints.
        examples: Number of labeled objects, or of labeled images.
        kind: "3D" or "2D", what the labels are.
        error: Mean error on held-out examples: of 3D labels in the unit of the cameras, of 2D labels in pixels. NaN
            for one example.
    """

    path: Path
    names: tuple[str, ...]
    examples: int
    kind: str
    error: float

    def __repr__(self) -> str:
        labels = counted(self.examples, "object" if self.kind == "3D" else "image")
        unit = "" if self.kind == "3D" else " px"
        return (
            f"TaughtKeypoints3D({self.path}: {len(self.names)} keypoints, {labels}, mean error {self.error:.3g}{unit})"
        )

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def metrics(self) -> dict[str, float]:
        """The mean error; empty where it could not be measured."""
        name = "error" if self.kind == "3D" else "error px"
        return {name: self.error} if np.isfinite(self.error) else {}

    def load(self, **options: Any) -> Keypoints3D:
        """Returns a detector of the named keypoints.

        Args:
            options: Arguments of `cairn.Keypoints3D`.
        """
        from cairn.inference.keypoints3d import Keypoints3D

        return Keypoints3D(self.path, **options)


def is_run_of_views(run: Path) -> bool:
    """Whether a folder is a run of 3D keypoints."""
    if not (run / "recipe.toml").is_file():
        return False
    from cairn.training.recipe_tables import read_recipe

    return bool(read_recipe(run / "recipe.toml").get("method") == METHOD)


def teach_3d(
    run: Path, labels: Path, images: Path | None, limit: int | None, out: Path | None, name: str | None
) -> TaughtKeypoints3D:
    """Fits named keypoints to those of a run and writes a model.

    Args:
        run: The run.
        labels: A folder of landmark files with the names of the objects, in the world of the cameras; or labels of
            images.
        images: Folder of the images of `labels`.
        limit: Maximum number of labeled objects, or images.
        out: Model to write (.onnx). Default: taught.onnx in the run.
        name: Name of the model. Default: that of the run.

    Raises:
        LabelError: No label belongs to the views.
        CloudError: The landmarks cannot be read.
        OutputError: The model cannot be written.
    """
    from cairn.methods.keypointnet.recipe import Recipe
    from cairn.methods.keypointnet.teaching import export_taught, fit
    from cairn.methods.keypointnet.training import TRAINING, KeypointNetModule
    from cairn.structures.skeleton import Skeleton
    from cairn.training.engine.results import load_weights, with_provenance
    from cairn.training.recipe_tables import check_recipe, read_recipe
    from cairn.training.run_folder import RunFolder

    target = out or run / "taught.onnx"
    if target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    recipe = check_recipe(Recipe, read_recipe(run / "recipe.toml"))
    module = KeypointNetModule(recipe, TRAINING.read_data(recipe))  # type: ignore[arg-type]  # this method's data
    epoch = load_weights(module, RunFolder(run).best)
    module.eval()
    names, labeled, scale = _of_shapes(module, labels, limit) or _of_images(module, run, labels, images, limit)
    fitted = fit(labeled)
    spec = with_provenance(module.spec(), recipe, epoch, run)
    error = float(np.nanmean(fitted.errors)) * scale if np.isfinite(fitted.errors).any() else float("nan")
    kind = "3D" if labeled.targets.shape[2] == 3 else "2D"
    taught = TaughtKeypoints3D(target, names, len(np.unique(labeled.groups)), kind, error)
    stated = {"labels": str(labels), "labeled": taught.examples}
    spec = spec.model_copy(
        update={
            "name": name or recipe.name,
            "skeleton": Skeleton(name or recipe.name, names),
            "provenance": spec.provenance | stated,
            "metrics": {key: value for key, value in spec.metrics.items() if "calibration" in key} | taught.metrics,
        }
    )
    export_taught(module.graph(), fitted.weights, spec, target)
    return taught


Examples = tuple[tuple[str, ...], "Labeled", float]
"""Names, equations, and the unit of their errors."""


def _of_shapes(module: KeypointNetModule, labels: Path, limit: int | None) -> Examples | None:
    """Returns examples of landmark files; None where the labels are no such files."""
    import torch

    from cairn.methods.keypointnet.teaching import Labeled
    from cairn.pointclouds.io.landmarks import read_landmarks
    from cairn.pointclouds.shapes.names import find_landmarks

    if not labels.is_dir() and not labels.name.lower().endswith((".fcsv", ".csv", ".mrk.json")):
        return None
    files = find_landmarks(labels)
    if labels.is_dir() and not files:
        return None
    parts = [views for views in (module.data.train, module.data.val) if set(views.names) & set(files)]
    known = sorted({name for views in parts for name in views.names if name in files})[:limit]
    if not known:
        have = joined([*module.data.train.names, *module.data.val.names][:8])
        raise LabelError(
            f"{labels} has landmarks of {joined([*files][:4])}: expected the names of the objects of the run, {have}"
        )
    shapes = {each: read_landmarks(files[each]) for each in known}
    names = tuple(dict.fromkeys(name for shape in shapes.values() for name in shape.names))
    points, targets, groups = [], [], []
    for views in parts:
        chosen = views.of([name for name in views.names if name in shapes])
        with torch.no_grad():
            points.append(module.predict(chosen).points)
        for row in range(len(chosen)):
            shape = shapes[chosen.names[chosen.objects[row]]]
            world = np.full((len(names), 3), np.nan)
            world[[names.index(name) for name in shape.names]] = (shape.points - views.center) / views.radius
            targets.append(world @ chosen.rotations[row].T + chosen.translations[row])
            groups.append(known.index(chosen.names[chosen.objects[row]]))
    found = Labeled(np.concatenate(points), np.stack(targets), np.array(groups))
    return names, found, module.data.train.radius


def _of_images(module: KeypointNetModule, run: Path, labels: Path, images: Path | None, limit: int | None) -> Examples:
    """Returns examples of labeled images."""
    from cairn.api.reading import teaching_labels
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.reading import read_labels
    from cairn.evaluation.prediction import annotated_instances
    from cairn.inference.keypoints3d import Keypoints3D, half_sides, square
    from cairn.media.images import read_image
    from cairn.methods.keypointnet.sources import cameras_of
    from cairn.methods.keypointnet.teaching import Labeled

    given, _ = teaching_labels(read_labels(labels, ReadOptions(images)), labels)
    chosen = [image for image in given if len(annotated_instances(image)) == 1][:limit]
    if not chosen:
        raise LabelError(f"{labels}: no image has exactly one annotated instance")
    cameras = cameras_of(module.recipe.data)
    detector = Keypoints3D(run, threads=1)
    size, radius = detector.spec.size, detector.spec.unit
    points, targets, focal = [], [], []
    for image in chosen:
        pixels = read_image(image.path)
        camera: Camera | None = cameras.get(image.path.resolve())
        affine = square(pixels.shape[:2], size)
        intrinsics = np.array(detector.spec.intrinsics) if camera is None else half_sides(camera, affine, size)
        points.append(detector(pixels, camera).points.keypoints[0] / radius)
        annotation = annotated_instances(image)
        places = (2 * affine.apply(annotation.keypoints[0].astype(np.float64)) + 1) / size - 1
        known = np.isfinite(places).all(axis=1) & (annotation.visibility[0] > 0)
        targets.append(np.where(known[:, None], (places - intrinsics[2:]) / intrinsics[:2], np.nan))
        focal.append(intrinsics[0] * size / 2 / affine.scale)
    folders = [image.path.parent for image in chosen]
    keys = folders if len(set(folders)) > 1 else [image.path for image in chosen]
    groups = np.array([keys.index(key) for key in keys])
    found = Labeled(np.stack(points), np.stack(targets), groups)
    return tuple(given.skeleton.joints), found, float(np.median(focal))


def check_options(given: dict[str, Any]) -> None:
    """Raises RecipeError for the first option that does not apply to runs of views."""
    for option, value in given.items():
        if value is not None and value is not False:
            raise RecipeError(f"{option.replace('_', '-')} is not for a run of 3D keypoints: omit it")
