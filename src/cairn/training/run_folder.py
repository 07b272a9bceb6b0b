"""The folder of a training run: the names of its files, and how a run claims and releases a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cairn.errors import LabelError, ModelError, OutputError
from cairn.files import atomic_write, ensure_writable_folder
from cairn.inference.zoo import REFINER_MODEL, RUN_MODEL
from cairn.training.recipe import BasicRecipe
from cairn.training.toml import to_toml


@dataclass(frozen=True)
class RunFolder:
    """The files of a training run.

    A run that is interrupted resumes from this folder: `recipe`, `split` and `last` hold all of its state, and `data`
    tells whether the labels are still the same.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """All values of the recipe, with the reasons for those that Cairn selected."""
        return self.path / "recipe.toml"

    @property
    def skeleton(self) -> Path:
        """The skeleton that the model predicts."""
        return self.path / "skeleton.toml"

    @property
    def classes(self) -> Path:
        """The names of the classes that the model distinguishes, where there are several."""
        return self.path / "classes.toml"

    @property
    def split(self) -> Path:
        """IDs of the training and validation images, where the recipe names no validation set."""
        return self.path / "split.json"

    @property
    def data(self) -> Path:
        """Numbers of images and instances, and digests of the labels that the run began with."""
        return self.path / "data.json"

    @property
    def metrics(self) -> Path:
        """One row for each validation: losses, metrics, PCK of each keypoint."""
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        """Losses, metrics and images of predictions for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def validation(self) -> Path:
        """Images of the predictions of the latest validation."""
        return self.path / "validation"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint of the epoch with the best value of the method's main metric."""
        return self.checkpoint("best")

    @property
    def last(self) -> Path:
        """The checkpoint of the last finished epoch, with the state of the optimizer."""
        return self.checkpoint("last")

    @property
    def model(self) -> Path:
        """The exported model: the best weights, ready for inference."""
        return self.path / RUN_MODEL

    @property
    def refiner(self) -> Path:
        """The folder of the run that trains the refiner, where the recipe has one."""
        return self.path / "refiner"

    @property
    def refiner_model(self) -> Path:
        """The exported refiner, where it is better than the model alone; `cairn.load` uses it with the model."""
        return self.path / REFINER_MODEL

    @property
    def curves(self) -> Path:
        """A plot of losses and metrics over epochs."""
        return self.path / "curves.png"

    @property
    def report(self) -> Path:
        """The report of `cairn evaluate` for the exported model on the validation images."""
        return self.path / "report"

    def checkpoint(self, name: str) -> Path:
        """Returns the path of a checkpoint: "best" or "last"."""
        return self.checkpoints / f"{name}.ckpt"


def check_free(run: Path) -> None:
    """Checks that a new run can use a folder.

    Raises:
        OutputError: The folder is a file, or is not empty.
    """
    if run.exists() and not run.is_dir():
        raise OutputError(f"cannot write into the folder {run}: it is a file")
    if run.is_dir() and any(run.iterdir()):
        raise OutputError(f"{run} is not empty: use another --out, or --resume it")


def start_run(recipe: BasicRecipe, run: Path, resume: bool, reasons: Mapping[str, str] | None = None) -> None:
    """Creates the folder of a new run and writes the recipe into it; checks the folder of a run to resume.

    Raises:
        OutputError: The folder is in use, cannot be written to, or holds no run to resume.
    """
    if resume and not RunFolder(run).recipe.is_file():
        raise OutputError(f"there is no run to resume in {run}: it has no recipe.toml")
    ensure_writable_folder(run)
    if not resume:
        check_free(run)
        write_recipe(recipe, run, reasons)


def write_recipe(recipe: BasicRecipe, run: Path, reasons: Mapping[str, str] | None = None) -> None:
    """Writes the recipe of a run, with reasons as comments behind their values.

    Args:
        recipe: The recipe.
        run: The folder of the run.
        reasons: Reasons by `name` or `section.name`.
    """
    with atomic_write(RunFolder(run).recipe) as beside:
        beside.write_text(recipe.to_toml(reasons), encoding="utf-8")


def write_classes(classes: tuple[str, ...], run: Path) -> None:
    """Writes the names of the classes into the folder of a run; a run with one class has no such file."""
    if classes:
        with atomic_write(RunFolder(run).classes) as beside:
            beside.write_text(to_toml({"classes": classes}), encoding="utf-8")


def read_classes(run: Path) -> tuple[str, ...]:
    """Returns the names of the classes of a run; none where it has one.

    Raises:
        ModelError: The file is damaged.
    """
    path = RunFolder(run).classes
    if not path.is_file():
        return ()
    try:
        return tuple(str(name) for name in tomllib.loads(path.read_text(encoding="utf-8"))["classes"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{path} is damaged: expected the names of the classes of the run") from None


def check_classes(classes: tuple[str, ...], run: Path) -> None:
    """Checks that the labels of a run that is resumed have the classes that it was started with.

    Raises:
        LabelError: They have others, or in another order.
    """
    if classes != (before := read_classes(run)):
        then, now = (f"classes {', '.join(names)}" if names else "one class" for names in (before, classes))
        raise LabelError(
            f"{run} was started with {then}, and its labels now have {now}: restore the labels, or start a new run"
        )


@contextmanager
def removed_on_failure(run: Path, keep: bool, is_new: bool) -> Iterator[None]:
    """Removes the files of a new run that fails before its first step, so that the same command can run again.

    Args:
        run: The folder of the run.
        keep: Whether to leave the folder as it is, because the run is resumed or another process owns the folder.
        is_new: Whether the run created the folder, which then goes, too; an empty folder of the user stays.
    """
    try:
        yield
    except BaseException:
        if not keep:
            folder = RunFolder(run)
            for path in (folder.recipe, folder.skeleton, folder.classes, folder.split, folder.data):
                path.unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):  # the folder holds other files
                    run.rmdir()
        raise
