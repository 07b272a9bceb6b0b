"""Training recipes: settings that are read from TOML, overridden from the command line, and checked."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cairn.errors import RecipeError
from cairn.inference.model_spec import TASK_OF_FIT
from cairn.inference.network import MAX_THREADS
from cairn.migration import notice, rename_keys
from cairn.training.backbones.migration import migrate_network
from cairn.training.data.augmentation import Augmentation
from cairn.training.toml import to_toml

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

RENAMED = {
    "licence": "license",
    "start": "pretrained",
    "optimiser": "optimizer",
    "data.train.unlabelled": "data.train.unlabeled",
    "data.val.unlabelled": "data.val.unlabeled",
    "augmentation.colour": "augmentation.color",
    "augmentation.grey": "augmentation.gray",
    "run.batch": "run.batch_size",
    "input.detect": "input.inference_size",
    "input.gap": "input.scale_gap",
    "network.trunk": "network.backbone",
    "network.trunk_rate": "network.backbone_lr_factor",
    "decode.least_parts": "decode.min_parts",
    "decode.least_score": "decode.min_score",
    "decode.most_peaks": "decode.max_peaks",
    "decode.uncounted": "decode.ignore_keypoints",
}
"""Keys of version 0.1 -> present keys."""

RENAMED_OF_METHOD = {"landmarks": {"network.trunk": "network.kind"}}
"""The same where a method differs."""

NOTHING = "none"
"""Value of `pretrained` for training from scratch."""

log = logging.getLogger(__name__)


class Section(BaseModel):
    """A table of a recipe; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LabelSource(Section):
    """One set of labeled images.

    Attributes:
        labels: The label file.
        images: The folder of its images; None for the default of the format.
        unlabeled: Meaning of a keypoint without a label: "absent" (COCO: it is not visible, its heatmap is empty) or
            "unknown" (it may be visible, so its heatmap adds no loss in that image).
        repeat: Number of times that an epoch contains each image.
        scale: Factor on the size of its images, relative to the recipe's scale. Images that one person fills need
            less than 1 beside photos of crowds.
    """

    labels: Path
    images: Path | None = None
    unlabeled: Literal["absent", "unknown"] = "absent"
    repeat: Count = 1
    scale: Positive = 1.0


class Data(Section):
    """Training and validation labels.

    Attributes:
        train: Sets to train on.
        val: Sets to validate on. Without them a share of the first training set is held out.
        holdout: That share.
    """

    train: tuple[LabelSource, ...] = ()
    val: tuple[LabelSource, ...] = ()
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Optimizer(Section):
    """Optimizer, learning rate schedule, moving average of weights.

    Attributes:
        name: The optimizer.
        learning_rate: Learning rate after warmup.
        weight_decay: Weight decay of weights; biases and scales of normalization have none.
        momentum: Momentum of "sgd".
        alpha: Smoothing constant of "rmsprop".
        schedule: "cosine": linear warmup, then half a cosine to 0. "steps": multiplied by `factor` at each of
            `milestones`. "constant".
        warmup: Share of all steps for warmup.
        milestones: Shares of all steps.
        factor: Factor at each milestone.
        ema: Decay of the moving average of weights that is validated and exported; 0 for none.
        clip: Maximum norm of the gradient; 0 for no limit.
    """

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.99
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    milestones: tuple[float, ...] = (0.7, 0.9)
    factor: Positive = 0.1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    clip: Annotated[float, Field(ge=0)] = 0.0


class Run(Section):
    """Length of the run, batches, and use of the machine.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Images per batch, over all processes.
        accumulate: Batches per step (gradient accumulation).
        precision: "auto" is bf16 on a GPU, and on a CPU with AMX; else fp32.
        threads: CPU threads of the network; 0 for all available cores.
        workers: Data loading processes; 0 loads in the training process.
        cache: Megabytes of decoded images to keep in memory.
        validate_every: Epochs between validations.
        patience: Validations in a row without improvement that end the run; 0 for no limit, because the last steps
            of a cosine schedule are its best.
    """

    epochs: Count = 100
    batch_size: Count = 16
    accumulate: Count = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0, le=MAX_THREADS)] = 0
    workers: Annotated[int, Field(ge=0)] = 1
    cache: Annotated[int, Field(ge=0)] = 4000
    validate_every: Count = 5
    patience: Annotated[int, Field(ge=0)] = 0


class Recipe(Section):
    """Settings that all methods share. Each method adds its own sections (network, targets, loss).

    Attributes:
        method: Name of the method.
        name: Name of the model.
        license: License of the training data, stated in the exported file.
        sources: Sources of the training data, stated in the exported file.
        draw_threshold: Minimum keypoint confidence to draw, stated in the exported file.
        skeleton: Name or file of the skeleton; None for that of the labels.
        pretrained: Weights to fine-tune: a bundled model, an .onnx file, the folder of a run, a checkpoint in it, or
            "imagenet" for the backbone. "none" or None trains from scratch.
        seed: Random seed for initialization, data order and augmentation.
        data: Training and validation labels.
        augmentation: Ranges of augmentation.
        optimizer: Optimizer and schedule.
        run: Length of the run, batches, and use of the machine.
    """

    method: str
    name: Annotated[str, Field(min_length=1)] = "model"
    license: str = ""
    sources: tuple[str, ...] = ()
    draw_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    skeleton: str | None = None
    pretrained: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer = Optimizer()
    run: Run = Run()

    def to_toml(self, reasons: Mapping[str, str] | None = None) -> str:
        """Returns the text of a recipe file with all values.

        Args:
            reasons: Comments behind values, by `name` or `section.name`.
        """
        return to_toml(self.model_dump(mode="json"), reasons)

    @property
    def backbone_lr_factor(self) -> float:
        """Learning rate of the backbone, relative to that of the rest of the network."""
        return 1.0

    @field_validator("pretrained")
    @classmethod
    def _from_scratch(cls, value: str | None) -> str | None:
        return None if value == NOTHING else value


R = TypeVar("R", bound=Recipe)


def read_recipe(path: str | Path) -> dict[str, Any]:
    """Reads the tables of a recipe file, and migrates old keys with one line of warning.

    Relative paths in it stay as they are: they are relative to the current folder.

    Raises:
        RecipeError: The file cannot be read, or is not TOML.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from None
    tables, renamed = migrate(tables)
    if renamed:
        log.warning(notice(str(path), renamed))
    return tables


def migrate(tables: Mapping[str, Any], method: str | None = None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Renames the keys of a recipe of version 0.1. A present recipe is returned as it is.

    Args:
        tables: The tables.
        method: The method, if `tables` are a part of a recipe that does not name it.

    Returns:
        The tables, and the renamed keys as `rename_keys` returns them.
    """
    result, renamed = rename_keys(tables, RENAMED | RENAMED_OF_METHOD.get(str(tables.get("method", method)), {}))
    shape = result.get("input")
    if isinstance(shape, dict) and (fit := shape.get("fit")) in TASK_OF_FIT:
        del shape["fit"]
        if not shape:
            del result["input"]
        result.setdefault("task", TASK_OF_FIT[fit])
        renamed = (*renamed, "input.fit -> task")
    if "network" in result:
        result["network"], changed = migrate_network(result.get("method", method), result["network"])
        renamed = (*renamed, *changed)
    return result, renamed


def override(tables: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Applies settings to the tables of a recipe. Old keys are migrated with one line of warning.

    Args:
        tables: The tables. Not changed.
        settings: `section.name=value`; the value is TOML, or a bare word for a string.

    Raises:
        RecipeError: A setting has no `=`, or its section is not a table.
    """
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tables.items()}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key, value = key.strip(), _parse(text.strip())
        if not equals or not key:
            raise RecipeError(f"a setting is section.name=value, got {setting!r}")
        given: dict[str, Any] = {}
        put(given, key, value)
        migrated, renamed = migrate(given, tables.get("method"))
        if renamed:
            log.warning("old name of a setting: %s", ", ".join(renamed))
            for new, value in _leaves(migrated):
                put(result, new, value)
        else:
            put(result, key, value)
    return result


def _leaves(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Values of nested tables by their dotted names."""
    leaves: list[tuple[str, Any]] = []
    for key, value in tables.items():
        leaves += _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return leaves


def put(tables: dict[str, Any], key: str, value: Any) -> None:
    """Sets `section.name` in tables, in place.

    Raises:
        RecipeError: The section is not a table.
    """
    *sections, name = key.split(".")
    table = tables
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"recipe: {section} must be a section, to set {key} in it; got {table!r}")
    table[name] = value


def check_recipe(kind: type[R], tables: Mapping[str, Any]) -> R:
    """Returns the recipe of tables.

    Args:
        kind: The class of the method's recipes.
        tables: The tables.

    Raises:
        RecipeError: A name is unknown or a value is impossible; the message names the first one.
    """
    try:
        return kind.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise RecipeError(_unknown(kind, first["loc"], first["input"])) from None
        # The words of TOML instead of pydantic's.
        reason = re.sub(" or instance of .*", "", first["msg"].removeprefix("Value error, "))
        reason = reason.replace("valid dictionary", "table").replace("valid tuple", "list")
        message = f"{where}: {reason}" if where else reason
        got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        raise RecipeError(f"recipe: {message}{got}") from None


def _unknown(kind: type[Recipe], location: tuple[int | str, ...], value: Any) -> str:
    """The message for an unknown section or setting: what is there instead."""
    table: type[BaseModel] = kind
    for name in location[:-1]:
        if isinstance(name, str):
            table = _table_in(table.model_fields[name].annotation) or table
    names = sorted(table.model_fields, key=lambda name: table is kind and name in Recipe.model_fields)  # its own first
    what = "section" if isinstance(value, Mapping) else "setting"
    where = ".".join(map(str, location))
    owner = ".".join(map(str, location[:-1])) or str(kind.model_fields["method"].default)
    return f"recipe: there is no {what} {where}; {owner} has {', '.join(names)}"


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """The table that a field holds, itself or in a list."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
