"""A training recipe: values only, read from TOML, overridden from the command line, written back as run."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cairn.errors import RecipeError
from cairn.inference.model_spec import TASK_OF_FIT
from cairn.inference.network import MAX_THREADS
from cairn.migration import notice, rename_keys
from cairn.training.backbones.migration import migrate_network
from cairn.training.data.augmentation import Augmentation

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
"""Keys of version 0.1 -> keys of today."""

NOTHING = "none"
"""What a recipe starts from that starts from no weights."""


log = logging.getLogger(__name__)


class Section(BaseModel):
    """A table of a recipe: frozen, and a misspelled name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LabelSource(Section):
    """One set of labeled images.

    unlabeled  what a joint without a label means: "absent" (COCO: it is not to be seen, its map is empty)
                or "unknown" (it may be there, so its maps give no loss in that image)
    repeat      how many times an epoch each image is drawn
    scale       how many times larger than the recipe's scale its images are shown (crops of one person
                fill their images, so beside photos of crowds they want less than 1)
    """

    labels: Path
    images: Path | None = None
    unlabeled: Literal["absent", "unknown"] = "absent"
    repeat: Count = 1
    scale: Positive = 1.0


class Data(Section):
    """Where the labels are. Without `val`, `holdout` of the training images is set aside, by seed."""

    train: tuple[LabelSource, ...] = ()
    val: tuple[LabelSource, ...] = ()
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Optimizer(Section):
    """How weights are changed.

    schedule  "cosine": warm up linearly over `warmup` of all steps, then a half cosine to 0;
              "steps": multiply by `factor` at each of `milestones` (shares of all steps); "constant"
    ema       decay of the moving average of weights that is validated and exported; 0 for none
    clip      largest norm of a gradient; 0 for none
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
    """How long, and on what.

    batch_size  images at a time, over all processes
    accumulate  batches that make a step
    patience    validations in a row without a better one that end the run; 0 for none: a cosine's last steps are
                its best
    precision  "auto" takes bf16 on a GPU, and on a CPU that multiplies matrices in it (AMX); else fp32
    threads    cores that the network may use; 0 for all that are free to this process
    workers    processes that prepare images; 0 for none beside this one
    cache      megabytes of decoded images to keep in memory
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
    """What every method's recipe has. Each method adds its own sections (network, targets, loss).

    license, sources  of what was learned from, as the exported file will state them
    draw_threshold    likewise: keypoints less sure than this are not drawn
    pretrained        weights to start from: an embedded model, an .onnx file, the folder of a run, a checkpoint in it,
                      or "imagenet"; "none" starts from nothing
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

    @property
    def backbone_lr_factor(self) -> float:
        """Learning rate of the backbone, relative to that of the rest of the network."""
        return 1.0

    @field_validator("pretrained")
    @classmethod
    def _nothing(cls, value: str | None) -> str | None:
        return None if value == NOTHING else value


R = TypeVar("R", bound=Recipe)


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The tables of a recipe file, its relative paths taken from the current folder, as typed there.

    Raises RecipeError where the file is missing or is not TOML.
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


def migrate(tables: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Tables of a recipe of version 0.1 as today's, and its renamed keys as `rename_keys` gives them.

    A recipe of today comes back as it is.
    """
    result, renamed = rename_keys(tables, RENAMED)
    shape = result.get("input")
    if isinstance(shape, dict) and (fit := shape.get("fit")) in TASK_OF_FIT:
        del shape["fit"]
        result.setdefault("task", TASK_OF_FIT[fit])
        renamed = (*renamed, "input.fit -> task")
    if "network" in result:
        result["network"], changed = migrate_network(result.get("method"), result["network"])
        renamed = (*renamed, *changed)
    return result, renamed


def override(tables: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Tables with `section.name=value` settings applied; a value is TOML, a bare word a string.

    Raises RecipeError for a setting without `=`.
    """
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tables.items()}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise RecipeError(f"a setting is section.name=value, got {setting!r}")
        put(result, key.strip(), _parse(text.strip()))
    return result


def put(tables: dict[str, Any], key: str, value: Any) -> None:
    """Sets `section.name` in tables. Raises RecipeError where the section is a value."""
    *sections, name = key.split(".")
    table = tables
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"recipe: {section} must be a section, to set {key} in it; got {table!r}")
    table[name] = value


def check_recipe(kind: type[R], tables: Mapping[str, Any]) -> R:
    """Raises RecipeError, one line, for the first unknown name or impossible value."""
    try:
        return kind.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        # As TOML names things, not as pydantic does.
        reason = re.sub(" or instance of .*", "", first["msg"].removeprefix("Value error, "))
        reason = reason.replace("valid dictionary", "table").replace("valid tuple", "list")
        message = f"{where}: {reason}" if where else reason
        if first["type"] == "extra_forbidden":
            message = f"there is no setting {where}"
        got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        raise RecipeError(f"recipe: {message}{got}") from None


def to_toml(values: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """Values, and tables of values, as TOML; None is left out.

    Every value of a recipe: `to_toml(recipe.model_dump(mode="json"))`.
    comments  what stands behind a value, by `name` or `section.name`
    """
    comments = comments or {}
    values = {key: value for key, value in values.items() if value is not None}
    lines = [
        f"{key} = {_toml(value)}{_comment(comments.get(key))}"
        for key, value in values.items()
        if not isinstance(value, dict)
    ]
    for section, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]"]
            lines += [
                f"{_key(key)} = {_toml(value)}{_comment(comments.get(f'{section}.{key}'))}"
                for key, value in table.items()
            ]
    return "\n".join(lines) + "\n"


def _comment(text: str | None) -> str:
    return f" # {' '.join(text.split())}" if text else ""


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _key(key: str) -> str:
    """A key as TOML takes it: names of joints may have anything in them."""
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's escapes are TOML's too
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items() if item is not None) + " }"
    return repr(value)
