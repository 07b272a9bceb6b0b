"""Training recipes: the settings that all methods share, as validated classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cairn.datasets.formats.format import MIN_CONFIDENCE
from cairn.inference.session import MAX_THREADS
from cairn.training.data.augmentation import Augmentation
from cairn.training.toml import to_toml

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

SplitName = Literal["train", "val", "test"]
"""A split of a data set (`cairn.datasets.labels.SPLITS`)."""

PLATEAU_FACTOR = 0.2
"""Factor on the learning rate at a plateau: a fifth (Newell et al., ECCV 2016, section 3.4)."""

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
        split: Split of the labels to use. None trains on train and validates on val, where the labels have splits.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, where the labels are
            predictions.
        category: Name of the category to use, where the labels have several; None takes all.
        exclude: List of images, or labels, whose images are excluded.
        unlabeled: Meaning of a keypoint without a label: "absent" (COCO: it is not visible, its heatmap is empty) or
            "unknown" (it may be visible, so its heatmap adds no loss in that image).
        repeat: Number of times that an epoch contains each image.
        scale: Factor on the size of its images, relative to the recipe's scale. Images that one person fills need
            less than 1 beside photos of crowds.
    """

    labels: Path
    images: Path | None = None
    split: SplitName | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] = MIN_CONFIDENCE
    category: str | None = None
    exclude: Path | None = None
    unlabeled: Literal["absent", "unknown"] = "absent"
    repeat: Count = 1
    scale: Positive = 1.0


class Data(Section):
    """Training and validation labels.

    Attributes:
        train: Sets to train on.
        val: Sets to validate on. Without them it is the split val of the training sets; where they have none, a share
            of the first one is held out.
        holdout: Share of the first training set that is held out; None for a default, which is smaller for many images.
    """

    train: tuple[LabelSource, ...] = ()
    val: tuple[LabelSource, ...] = ()
    holdout: Annotated[float, Field(gt=0, lt=1)] | None = None


class Optimizer(Section):
    """Optimizer, learning rate schedule, moving average of weights.

    Attributes:
        name: The optimizer.
        learning_rate: Learning rate after warmup.
        weight_decay: Weight decay of weights; biases and scales of normalization have none.
        momentum: Momentum of "sgd".
        alpha: Smoothing constant of "rmsprop".
        schedule: "cosine": linear warmup, then half a cosine to 0. "steps": multiplied by `factor` at each of
            `milestones`. "plateau": multiplied by `factor` where validation does not improve. "constant".
        warmup: Share of all steps for warmup.
        milestones: Shares of all steps.
        factor: Factor at each milestone, by default 0.1; at a plateau by default 0.2, that of Stacked Hourglass.
        patience: Validations in a row without improvement that are a plateau.
        drops: Maximum number of drops at plateaus; Stacked Hourglass has one.
        ema: Decay of the moving average of weights that is validated and exported; 0 for none.
        clip: Maximum norm of the gradient; 0 for no limit.
    """

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.99
    schedule: Literal["cosine", "steps", "plateau", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    milestones: tuple[float, ...] = (0.7, 0.9)
    factor: Positive = 0.1
    patience: Count = 5
    drops: Count = 1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    clip: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _factor_of_a_plateau(cls, values: Any) -> Any:
        at_plateaus = isinstance(values, Mapping) and values.get("schedule") == "plateau"
        return {"factor": PLATEAU_FACTOR, **values} if at_plateaus else values

    @model_validator(mode="after")
    def _plateau_settings_apply(self) -> Optimizer:
        fields = type(self).model_fields
        changed = [name for name in ("patience", "drops") if getattr(self, name) != fields[name].default]
        if changed and self.schedule != "plateau":
            raise ValueError(f'{" and ".join(changed)} apply to schedule = "plateau" only, got {self.schedule!r}')
        if self.schedule == "plateau" and self.factor >= 1:
            raise ValueError(f"the factor at a plateau must be below 1, got {self.factor:g}")
        return self


class Run(Section):
    """Length of the run, batches, and use of the machine.

    Attributes:
        epochs: Number of passes through the training set.
        minutes: Target duration. With it, `epochs` is planned again where the pace of the machine changes, within the
            limits of automatic configuration; 0 keeps `epochs`.
        batch_size: Images per batch, over all processes.
        accumulate: Batches per step (gradient accumulation).
        precision: "auto" is bf16 on a GPU, and on a CPU with AMX or AVX512-BF16; else fp32.
        threads: CPU threads of the network; 0 for the fastest number, which timed steps select during the run.
        workers: Data loading processes; 0 loads in the training process. None selects them by the machine.
        cache: Megabytes of decoded images to keep in memory.
        validate_every: Epochs between validations.
        patience: Validations in a row without improvement that end the run; 0 for no limit, because the last steps
            of a cosine schedule are its best.
    """

    epochs: Count = 100
    minutes: Annotated[float, Field(ge=0)] = 0
    batch_size: Count = 16
    accumulate: Count = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0, le=MAX_THREADS)] = 0
    workers: Annotated[int, Field(ge=0)] | None = None
    cache: Annotated[int, Field(ge=0)] = 4000
    validate_every: Count = 5
    patience: Annotated[int, Field(ge=0)] = 0


class BasicRecipe(Section):
    """Settings that all methods share, whatever they train on. Each method adds its own sections.

    Attributes:
        method: Name of the method.
        name: Name of the model.
        license: License of the training data, stated in the exported file.
        sources: Sources of the training data, stated in the exported file.
        seed: Random seed for initialization, data order and augmentation.
        optimizer: Optimizer and schedule.
        run: Length of the run, batches, and use of the machine.
    """

    method: str
    name: Annotated[str, Field(min_length=1)] = "model"
    license: str = ""
    sources: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    optimizer: Optimizer = Optimizer()
    run: Run = Run()

    def to_toml(self, reasons: Mapping[str, str] | None = None) -> str:
        """Returns the text of a recipe file with all values.

        Args:
            reasons: Comments behind values, by `name` or `section.name`.
        """
        return to_toml(self.model_dump(mode="json"), reasons)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the run trains on, stated in the exported file."""
        return ()

    @model_validator(mode="after")
    def _plateau_can_be_seen(self) -> BasicRecipe:
        every, patience = self.run.validate_every, self.optimizer.patience
        validations = -(-self.run.epochs // every)  # the last epoch validates, too
        if self.optimizer.schedule == "plateau" and validations <= patience + 1:
            raise ValueError(
                f'optimizer.schedule = "plateau" needs more than {patience + 1} validations for its patience of '
                f"{patience}, and a run of {self.run.epochs} epochs with run.validate_every = {every} has "
                f"{validations}: lower run.validate_every or optimizer.patience"
            )
        return self


class Recipe(BasicRecipe):
    """Settings of all methods that train on labeled images, or on images alone.

    Attributes:
        draw_threshold: Minimum keypoint confidence to draw, stated in the exported file.
        skeleton: Name or file of the skeleton; None for the skeleton of the labels.
        pretrained: Weights to fine-tune: a bundled model, an .onnx file, the folder of a run, a checkpoint in it; for
            the backbone alone, a file of VGG-19, MobileNet v1 or MoveNet, "movenet" or "imagenet". "none" or None
            trains from scratch.
        pretrained_backbone: "imagenet": the backbone has its weights of ImageNet in place of those of the model that
            `pretrained` names; None for those of the model.
        data: Training and validation labels.
        augmentation: Ranges of augmentation.
    """

    draw_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    skeleton: str | None = None
    pretrained: str | None = None
    pretrained_backbone: Literal["imagenet"] | None = None
    data: Data = Data()
    augmentation: Augmentation = Augmentation()

    @property
    def files(self) -> tuple[Path, ...]:
        """The label files."""
        return tuple(source.labels for source in self.data.train)

    @property
    def backbone_lr_factor(self) -> float:
        """Learning rate of the backbone, relative to that of the rest of the network."""
        return 1.0

    @property
    def normalization(self) -> str | None:
        """Normalization of images that the recipe sets; None for the backbone's own."""
        return None

    @field_validator("pretrained")
    @classmethod
    def _from_scratch(cls, value: str | None) -> str | None:
        return None if value == NOTHING else value

    @model_validator(mode="after")
    def _backbone_replaces_that_of_a_model(self) -> Recipe:
        if self.pretrained_backbone and self.pretrained in (None, self.pretrained_backbone):
            raise ValueError(
                f'pretrained_backbone = "{self.pretrained_backbone}" replaces the backbone of a model: set pretrained '
                f"to a model, got {self.pretrained or NOTHING}"
            )
        return self


R = TypeVar("R", bound=BasicRecipe)
"""A class of recipes, as a type variable."""
