"""`cairn.teach`: a model of named keypoints from the landmarks of a run, or from shapes, and a few labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.progress import Progress
from cairn.api.reading import evaluation_labels, teaching_labels
from cairn.api.settings import optional_path
from cairn.api.shapes import ShapeOptions, TaughtShapes, check_shape_options, has_shapes, teach_shapes
from cairn.api.teach3d import TaughtKeypoints3D, check_options, is_run_of_views, teach_3d
from cairn.arguments import checked
from cairn.errors import OutputError, RecipeError
from cairn.extras import require_training
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.api.run import Run
    from cairn.evaluation.protocols import Protocol
    from cairn.inference.predictor import Predictor
    from cairn.methods.landmarks.regression import Kind
    from cairn.methods.landmarks.teaching import Examples, Row
    from cairn.structures.skeleton import Skeleton


@dataclass(frozen=True, repr=False)
class TaughtModel:
    """What `cairn.teach` returns.

    Attributes:
        path: The model that was written.
        skeleton: Skeleton of the keypoints.
        num_images: Number of labeled images that the regression is fitted to.
        rows: Error against the number of labeled images, by regression; the one that was written comes first.
        unit: Length that errors are divided by.
        cross_validated: Whether the errors are those of held-out images among the labels, not of validation labels.
    """

    path: Path
    skeleton: Skeleton
    num_images: int
    rows: Mapping[str, tuple[Row, ...]]
    unit: str
    cross_validated: bool

    def __repr__(self) -> str:
        nme = f", NME {self.metrics['NME']:.2f} %" if self.metrics else ""
        counts = f"{counted(len(self.skeleton), 'keypoint')} from {counted(self.num_images, 'image')}"
        return f"TaughtModel({self.path}: {counts}{nme})"

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def metrics(self) -> dict[str, float]:
        """NME in percent with all labeled images; empty where there are too few to measure it."""
        rows = next(iter(self.rows.values()))
        return {"NME": rows[-1].mean} if rows and rows[-1].count == self.num_images else {}

    @property
    def errors(self) -> list[dict[str, Any]]:
        """NME against the number of labeled images: a dict for each regression and number of images."""
        return [
            {"regression": kind, "images": row.count, "nme": row.mean, "deviation": row.deviation, "draws": row.draws}
            for kind, rows in self.rows.items()
            for row in rows
        ]

    def load(self, **options: Any) -> Predictor:
        """Returns a predictor of the keypoints.

        Args:
            options: Arguments of `cairn.load`.
        """
        from cairn.api.load import load

        return load(self.path, **options)


@checked
def teach(
    run: str | Path | Run,
    labels: str | Path | None = None,
    *,
    images: str | Path | None = None,
    val: str | Path | None = None,
    val_images: str | Path | None = None,
    exclude: str | Path | None = None,
    crop: str | None = None,
    crop_margin: float | None = None,
    skeleton: str | None = None,
    ridge: bool = False,
    mirror: bool = False,
    limit: int | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    seed: int = 0,
    unit: str | None = None,
    coordinate_system: str | None = None,
    progress: Progress | None = None,
) -> TaughtModel | TaughtShapes | TaughtKeypoints3D:
    """Fits a linear map from landmarks to labeled keypoints, and writes a model that detects these keypoints.

    For a run of 3D keypoints, the labels are landmark files with the names of some objects, in the world of the
    cameras, or labels of some images. For shapes, writes a model that places the landmarks of a few labeled meshes on
    others.

    Example:
        taught = cairn.teach("runs/faces", "few-labels.json", ridge=True)
        poses = taught.load()("face.jpg")
        taught = cairn.teach("skulls/", "landmarks/", out="skulls.cairn")
        landmarks = taught.model(cairn.read_cloud("new.ply")).landmarks

    Args:
        run: Run of `cairn.discover`; or shapes: a folder of meshes, or one mesh.
        labels: Labels of some images, with one instance each; of labels with splits, those of train. Of shapes, their
            landmarks (.mrk.json, .fcsv, .csv or .json), matched by the names of the files. Default for shapes: beside
            the meshes.
        images: Folder of the images of `labels`. Default: images/ beside the labels, or their own folder.
        val: Labels to measure the error on. Default: the split val of `labels`, or cross-validation on them.
        val_images: Folder of the images of `val`. Default: as `images`.
        exclude: List of image names, or other labels, whose images in `labels` are excluded.
        crop: What each image is cropped to: "boxes" or "landmarks" of the labels, "motion", or "none". Default: as the
            run.
        crop_margin: Side of a crop over the longer side of its box. Default: as the run.
        skeleton: Keypoints to detect: name of a skeleton, or a .toml file. Default: those labeled.
        ridge: Whether to use ridge regression toward nearby landmarks instead of the paper's least squares.
        mirror: Whether to add the landmarks of the mirrored image: more accurate, in twice the time.
        limit: Maximum number of labeled images to use.
        metric: Length that errors are divided by: eyes, face, box, diagonal, or FROM:TO. Default: as published.
        out: Model to write (.onnx). Default: taught.onnx in the run; for shapes taught.cairn.
        name: Name of the model. Default: the name of the run; for shapes that of the file to write.
        seed: Random seed for the draws of labeled images.
        unit: Unit of all meshes, such as mm, where their files do not state it.
        coordinate_system: LPS or RAS, likewise. Default: LPS where the landmarks state one, as in 3D Slicer.
        progress: Called for shapes with the task, the number of specimens done, and their total.

    Raises:
        MissingExtra: The extra `train` is not installed.
        RecipeError: The run is not one of `cairn.discover`, or the arguments contradict one another.
        LabelError: The labels cannot be used.
        CloudError: The shapes or their landmarks cannot be used.
        OutputError: The model cannot be written.
    """
    if has_shapes(run):
        images_only: dict[str, Any] = {
            "images": images,
            "val": val,
            "val_images": val_images,
            "exclude": exclude,
            "crop": crop,
        }
        images_only |= {"crop_margin": crop_margin, "skeleton": skeleton, "ridge": ridge, "mirror": mirror}
        check_shape_options(images_only | {"metric": metric, "seed": seed or None})
        target = Path(out) if out else Path("taught.cairn")
        how = ShapeOptions(target, name, limit, unit, coordinate_system)
        return teach_shapes(Path(run), optional_path(labels), how, progress)
    if unit is not None or coordinate_system is not None:
        raise RecipeError("unit and coordinate-system are for shapes: give a folder of meshes, or omit them")
    if labels is None:
        raise RecipeError("expected a run of cairn discover and labels of some images, or a folder of meshes")
    require_training()
    if is_run_of_views(Path(run)):
        flat = {"val": val, "val-images": val_images, "exclude": exclude, "crop": crop, "crop-margin": crop_margin}
        flat |= {"skeleton": skeleton, "ridge": ridge, "mirror": mirror, "metric": metric, "seed": seed or None}
        check_options(flat)
        return teach_3d(Path(run), Path(labels), optional_path(images), limit, optional_path(out), name)
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.reading import read_labels
    from cairn.evaluation.protocols import protocol_of
    from cairn.methods.landmarks import teaching
    from cairn.methods.landmarks.model import MirroredDetector
    from cairn.structures.skeleton import load_skeleton

    folder = Path(run)
    target = Path(out) if out else folder / "taught.onnx"
    if target.suffix != ".onnx":
        raise OutputError(f"the file to write must end in .onnx, got {target}")
    if val_images and not val:
        raise RecipeError("--val-images needs --val")
    recipe = _with_crop(_landmarks_recipe(folder), crop, crop_margin)
    module, spec = teaching.load_run(folder, recipe, name or recipe.name)

    joints = load_skeleton(skeleton) if skeleton else None
    given = read_labels(
        Path(labels), ReadOptions(optional_path(images), skeleton=joints, exclude=optional_path(exclude))
    )
    ground_truth, measured_on = teaching_labels(given, labels)
    if limit:
        ground_truth = replace(ground_truth, images=ground_truth.images[:limit])
    detector = MirroredDetector(module.detector) if mirror else module.detector
    predict = teaching.landmark_predictor(detector, spec)
    examples = teaching.examples_of(predict, ground_truth, recipe.crop)
    if val is not None:
        options = ReadOptions(optional_path(val_images or images), skeleton=ground_truth.skeleton)
        measured_on = evaluation_labels(read_labels(Path(val), options), val)
    held_out = None if measured_on is None else teaching.examples_of(predict, measured_on, recipe.crop)
    protocol = protocol_of(metric) if metric else teaching.default_length(examples if held_out is None else held_out)
    kind: Kind = "ridge" if ridge else "paper"
    regressor = teaching.fit(examples, kind)
    tables = _tables(examples, held_out, ("ridge", "paper") if ridge else ("paper", "ridge"), protocol, seed)
    taught = TaughtModel(target, ground_truth.skeleton, len(examples), tables, protocol.unit, held_out is None)
    stated: dict[str, str | int | float] = {
        "labels": str(labels),
        "labeled_images": len(examples),
        "regression": f"{kind}, mirrored" if mirror else kind,
    }
    written = spec.model_copy(update={"skeleton": ground_truth.skeleton, "metrics": taught.metrics})
    teaching.export_taught(detector, regressor, written, stated, target)
    return taught


def _landmarks_recipe(run: Path) -> Any:
    """Returns the recipe of a run of `cairn.discover`. Raises RecipeError where it is a run of another method."""
    from cairn.api.run import Run
    from cairn.methods.autoconfig import training_of
    from cairn.methods.landmarks import METHOD
    from cairn.training.recipe_tables import check_recipe

    tables = Run(run).recipe
    if tables.get("method") != METHOD.name:
        raise RecipeError(f"{run} is a run of {tables.get('method')}: cairn teach takes one of cairn discover")
    return check_recipe(training_of(tables).recipe, tables)


def _with_crop(recipe: Any, by: str | None, margin: float | None) -> Any:
    """Returns the recipe of a run with other views. Raises RecipeError where they do not exist."""
    from cairn.methods.landmarks.recipe import Recipe
    from cairn.training.recipe_tables import check_recipe

    values = {key: value for key, value in {"by": by, "margin": margin}.items() if value is not None}
    if not values:
        return recipe
    tables = recipe.model_dump(mode="json")
    changed = check_recipe(Recipe, tables | {"crop": tables["crop"] | values})
    if margin is not None and changed.crop.by == "none":
        raise RecipeError("--crop-margin needs --crop boxes, landmarks or motion: the run has whole images")
    return changed


def _tables(
    examples: Examples, held_out: Examples | None, kinds: tuple[Kind, Kind], protocol: Protocol, seed: int
) -> dict[str, tuple[Row, ...]]:
    from cairn.methods.landmarks import teaching

    return {kind: tuple(teaching.table(examples, held_out, kind, protocol, seed)) for kind in kinds}
