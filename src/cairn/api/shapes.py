"""Models of landmarks on shapes: what `cairn.teach` returns for labeled meshes, and how their errors are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.keypoints import SHAPE_MODEL
from cairn.api.progress import Progress, counter, output_folder
from cairn.errors import CairnError, OutputError, RecipeError
from cairn.extras import require
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.evaluation.landmarks import LandmarkErrors
    from cairn.pointclouds.shapes.model import ShapeModel
    from cairn.pointclouds.shapes.teaching import Row


@dataclass(frozen=True, eq=False, repr=False)
class TaughtShapes:
    """What `cairn.teach` returns for labeled shapes.

    Attributes:
        path: The model that was written.
        model: The model: `taught.model(cloud)` returns the landmarks of a cloud.
        rows: Error on held-out specimens against the number of templates.
    """

    path: Path
    model: ShapeModel
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        return f"TaughtShapes({self.path}: {self.model!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def metrics(self) -> dict[str, float]:
        """Mean error on held-out specimens in the unit of the model; empty for one specimen."""
        return {} if self.model.error is None else {"mean_error": self.model.error}


def require_clouds(purpose: str) -> None:
    """Checks that the packages for landmarks on shapes are installed."""
    require("scipy", extra="clouds", purpose=purpose)


def has_shapes(source: Any) -> bool:
    """Whether a path is a shape, or a folder with shapes and not a run."""
    from cairn.pointclouds.shapes.names import SHAPE_SUFFIXES

    path = Path(source)
    if path.is_dir():
        is_run = (path / "recipe.toml").exists()
        return not is_run and any(each.name.lower().endswith(SHAPE_SUFFIXES) for each in path.iterdir())
    return path.name.lower().endswith(SHAPE_SUFFIXES)


def has_landmarks(source: Any) -> bool:
    """Whether a path is a file of landmarks, or a folder that holds such files."""
    from cairn.pointclouds.shapes.names import LANDMARK_SUFFIXES

    if not isinstance(source, str | Path):
        return False
    path = Path(source)
    if path.is_dir():
        return any(each.name.lower().endswith(LANDMARK_SUFFIXES[:2]) for each in path.iterdir()) or has_shapes(path)
    return path.name.lower().endswith(LANDMARK_SUFFIXES[:3])


@dataclass(frozen=True)
class ShapeOptions:
    """How `cairn.teach` reads labeled shapes, and what it writes; None for what the files state."""

    out: Path
    name: str | None = None
    limit: int | None = None
    unit: str | None = None
    coordinate_system: str | None = None


def teach_shapes(
    shapes: Path, landmarks: Path | None, options: ShapeOptions, progress: Progress | None = None
) -> TaughtShapes:
    """Makes a model of labeled shapes and writes it.

    Args:
        shapes: Folder of meshes, or one mesh.
        landmarks: Folder of landmark files, or one. Default: beside the meshes.
        options: How to read them, and the file to write.
        progress: Called with the task, the number of specimens done, and their total.

    Raises:
        CloudError: The shapes or the landmarks cannot be used.
        OutputError: The file cannot be written.
    """
    require_clouds("landmarks on shapes")
    from cairn.pointclouds.shapes.files import write_shape_model
    from cairn.pointclouds.shapes.specimens import Frame, read_specimens
    from cairn.pointclouds.shapes.teaching import teach

    out = options.out
    if out.suffix != SHAPE_MODEL:
        raise OutputError(f"the file to write must end in {SHAPE_MODEL}, got {out}")
    specimens = read_specimens(shapes, landmarks, Frame(options.unit, options.coordinate_system))[: options.limit]
    model, rows = teach(specimens, options.name or out.stem, _tick(progress, "teach", len(specimens)))
    write_shape_model(out, model)
    return TaughtShapes(out, model, tuple(rows))


def check_shape_options(given: dict[str, Any]) -> None:
    """Checks that no option of images is given for shapes. Raises RecipeError for the first one."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise RecipeError(f"{name.replace('_', '-')} is for images: omit it for shapes")


@dataclass(frozen=True, eq=False, repr=False)
class LandmarkReport:
    """What `cairn.evaluate` returns for landmarks of shapes.

    Attributes:
        name: Name of the model, or of the folder of predictions.
        labels: The true landmarks, as given.
        errors: Errors by specimen and landmark.
        folder: Folder with the report's files; None before they are written.
        files: The files that were written.
    """

    name: str
    labels: str
    errors: LandmarkErrors
    folder: Path | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        mean = f"mean error {self.errors.mean:.3g} {self.errors.unit or 'units'}"
        return f"LandmarkReport({self.name} on {self.labels}: {mean}, {counted(len(self.errors.names), 'specimen')})"

    @property
    def metrics(self) -> dict[str, float]:
        """Mean, median, 95th percentile and largest error, in the unit of the shapes."""
        return self.errors.metrics()

    @property
    def per_keypoint(self) -> list[dict[str, Any]]:
        """A row for each landmark: its name, the number of specimens, its mean, median and largest error."""
        return self.errors.per_landmark()

    def save(self, folder: str | Path) -> LandmarkReport:
        """Writes metrics.json, errors.csv, errors.png and report.html, and returns the report with its folder.

        Raises:
            OutputError: The folder cannot be written to, or holds a report.
        """
        from dataclasses import replace

        from cairn.evaluation.reports.landmarks import write_landmark_report

        about = {"model": self.name, "landmarks": self.labels}
        return replace(self, folder=Path(folder), files=tuple(write_landmark_report(self.errors, Path(folder), about)))


def evaluate_landmarks(
    model: str | Path,
    landmarks: str | Path,
    shapes: str | Path | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> LandmarkReport:
    """Measures a model, or predicted landmarks, on true landmarks.

    Args:
        model: File of a model, or predicted landmarks: a folder or a file.
        landmarks: True landmarks: a folder or a file.
        shapes: Meshes. Default: beside the true landmarks.
        out: Folder to write the report into.
        progress: Called with the task, the number of specimens done, and their total.

    Raises:
        CloudError: Files cannot be used, or do not fit one another.
        OutputError: The folder cannot be written to, or holds a report.
    """
    require_clouds("landmarks on shapes")
    from cairn.evaluation.landmarks import errors_of_files, errors_of_model
    from cairn.evaluation.reports.landmarks import prepare_landmark_folder
    from cairn.pointclouds.shapes.files import read_shape_model
    from cairn.pointclouds.shapes.specimens import read_specimens

    def measured() -> LandmarkReport:
        truth = Path(landmarks)
        meshes = Path(shapes) if shapes is not None else truth
        if Path(model).suffix == SHAPE_MODEL:
            taught = read_shape_model(model)
            specimens = read_specimens(meshes, truth)
            errors = errors_of_model(taught, specimens, _tick(progress, taught.name, len(specimens)))
            return LandmarkReport(taught.name, str(landmarks), errors)
        errors = errors_of_files(Path(model), truth, meshes if has_shapes(meshes) else None)
        return LandmarkReport(Path(model).name, str(landmarks), errors)

    if out is None:
        return measured()
    with output_folder(Path(out), prepare_landmark_folder):
        return measured().save(out)


def landmark_pair(models: Sequence[Any], labels: Any) -> bool:
    """Whether `cairn.evaluate` was called for landmarks of shapes. Raises CairnError for several models."""
    shape_models = [each for each in models if isinstance(each, str | Path) and Path(each).suffix == SHAPE_MODEL]
    predicted = len(models) == 1 and has_landmarks(models[0]) and has_landmarks(labels)
    if not shape_models and not predicted:
        return False
    if len(models) > 1:
        raise CairnError("one model of landmarks on shapes is measured at a time: give one")
    return True


def _tick(progress: Progress | None, task: str, total: int) -> Any:
    count = counter(progress, task, total)
    return None if count is None else lambda done, _: count(done)
