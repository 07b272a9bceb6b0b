"""Recipe values that follow from facts of the labels and of the machine. Pure functions: no files, no hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels

MINUTES = 20.0
"""Target duration of a run. A machine that slows down takes up to half as long again."""

WITH_REFINER = (5.0, 16.0)
"""The same where a refiner is trained too: of the model of all instances, and of its refiner, which learns faster."""

MANY_IMAGES = 400
"""Number of images from which a refiner is trained by default, and weights of ImageNet are the start: fewer are learned
well by one model in the same time, and better from a model of people, whose other layers are trained as well."""

EPOCHS = (30, 400)
"""Minimum and maximum number of epochs from scratch, whatever they take."""

FINE_TUNE_EPOCHS, FINE_TUNE_STEPS = (5, 60), 500
"""The same for fine-tuning; the maximum is at least that many steps (docs/accuracy.md)."""

FROZEN = 3
"""Frozen stages of a pretrained backbone: its stem and the stages of strides 2 and 4."""

VALIDATIONS = 10
"""Number of validations in a run; each takes time, and the best of them gives the model."""

WORKER_CORES = 6
"""Number of cores from which one of them loads data; fewer gain more from computing the network on all."""

CHANGE = 1.5
"""Factor by which the remaining epochs must change for a run to plan them again."""

MIN_ALIGNMENT = 0.5
"""Alignment below which instances count as randomly oriented."""


@dataclass(frozen=True)
class LabelFacts:
    """Facts of a set of labels.

    Attributes:
        images: Number of images.
        instances: Number of annotated instances.
        max_instances: Maximum number of instances in an image.
        keypoints: Number of keypoints of the skeleton.
        limbs: Number of limbs of the skeleton.
        flip_pairs: Number of left-right pairs of keypoints.
        image_side: Median of the longer sides of images, in pixels.
        instance_side: Median of the longer sides of bounding boxes, in pixels.
        large_instance_side: 0.9 quantile of the longer sides of bounding boxes, in pixels.
        alignment: Length of the mean direction of instances: 1 if all have the same orientation, 0 if none prevails.
        joints: Names of the keypoints.
        classes: Names of the classes; empty for one.
    """

    images: int
    instances: int
    max_instances: int
    keypoints: int
    limbs: int
    flip_pairs: int
    image_side: float
    instance_side: float
    large_instance_side: float
    alignment: float
    joints: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def all_orientations(self) -> bool:
        """Whether no orientation of instances prevails."""
        return self.alignment < MIN_ALIGNMENT


@dataclass(frozen=True)
class Machine:
    """Facts of the machine.

    Attributes:
        cores: Number of CPU cores available to this process.
        memory: Free memory in megabytes.
        gpu: Free memory of the GPU in megabytes; None without a GPU.
    """

    cores: int
    memory: int
    gpu: int | None = None


@dataclass(frozen=True)
class Pace:
    """Measured speed of a recipe on this machine.

    Attributes:
        sample: Seconds for a training sample.
        validation: Seconds for a validation image.
    """

    sample: float
    validation: float


@dataclass(frozen=True)
class Spent:
    """What a run has taken so far.

    Attributes:
        epochs: Number of epochs.
        seconds: Seconds of training and validation.
        epoch: Seconds that an epoch takes now, without validation.
        validation: Seconds that a validation takes now.
    """

    epochs: int
    seconds: float
    epoch: float
    validation: float


@dataclass(frozen=True)
class Choice:
    """Selected values of a recipe, with reasons.

    Attributes:
        tables: Tables of the recipe.
        reasons: Reasons by `name` or `section.name`.
    """

    tables: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def with_value(self, key: str, value: Any, reason: str) -> Choice:
        """Returns the choice with another value and its reason.

        Args:
            key: `name` or `section.name`.
            value: The value.
            reason: Why, in a few words.
        """
        *section, name = key.split(".")
        tables = {**self.tables}
        if section:
            tables[section[0]] = {**tables.get(section[0], {}), name: value}
        else:
            tables[name] = value
        return Choice(tables, {**self.reasons, key: reason})

    def under(self, tables: Mapping[str, Any]) -> Choice:
        """Returns this choice with the values of `tables`, set by the user, in it; these need no reason."""
        merged = dict(self.tables)
        reasons = dict(self.reasons)
        for key, value in tables.items():
            if isinstance(value, Mapping):
                merged[key] = {**merged.get(key, {}), **value}
                reasons = {where: why for where, why in reasons.items() if where not in {f"{key}.{n}" for n in value}}
            else:
                merged[key] = value
                reasons.pop(key, None)
        return Choice(merged, reasons)

    def filled_from(self, other: Choice) -> Choice:
        """Returns this choice, with the values of another one where this one has none."""
        more = other.under(self.tables)
        return Choice(more.tables, self.reasons | more.reasons)


def measure_labels(labels: Labels) -> LabelFacts:
    """Returns the facts of labels with at least one annotated instance, which every reader guarantees."""
    rows = [image.annotation[np.flatnonzero(image.annotation.labeled)] for image in labels]
    sides = np.concatenate([row.boxes[:, 2:].max(axis=1) for row in rows if len(row)])
    return LabelFacts(
        images=len(labels),
        instances=len(sides),
        max_instances=max(len(row) for row in rows),
        keypoints=len(labels.skeleton),
        limbs=len(labels.skeleton.limbs),
        flip_pairs=len(labels.skeleton.flip_pairs),
        image_side=float(np.median([max(image.size) for image in labels])),
        instance_side=float(np.median(sides)),
        large_instance_side=float(np.quantile(sides, 0.9)),
        alignment=_alignment(np.concatenate([row.keypoints for row in rows if len(row)])),
        joints=labels.skeleton.joints,
        classes=labels.classes,
    )


def choose_shared(facts: LabelFacts, machine: Machine) -> Choice:
    """Selects the values that do not depend on the method: augmentation, batch size, data loading."""
    choice = Choice()
    if facts.all_orientations:
        choice = choice.with_value("augmentation.rotation", 180.0, "instances in the labels have all orientations")
    if facts.flip_pairs == 0 and facts.keypoints > 1:
        choice = choice.with_value("augmentation.flip", 0.0, "the skeleton has no left-right pairs of keypoints")
    batch, reason = 16, "the default"
    if machine.gpu is not None:
        batch, reason = 32, "a GPU computes larger batches faster"
    if facts.images < 20 * batch:
        batch, reason = 8, f"smaller batches give more steps per epoch of {facts.images} images"
    choice = choice.with_value("run.batch_size", batch, reason)
    cores = f"{_count(machine.cores, 'core')} available"
    workers = choose_workers(machine.cores, machine.gpu is not None)
    if machine.gpu is None:
        cores += ": one loads data" if workers else ", all for the network"
    choice = choice.with_value("run.workers", workers, cores)
    return choice.with_value("run.cache", min(4000, machine.memory // 4), "a quarter of the free memory, 4 GB at most")


def choose_workers(cores: int, gpu: bool) -> int:
    """Returns the number of data loading processes.

    Args:
        cores: Number of CPU cores available to a training process.
        gpu: Whether the network is on a GPU.
    """
    return max(1, min(8, cores - 1)) if gpu else int(cores >= WORKER_CORES)


def choose_backbone(rate: float) -> Choice:
    """Selects frozen stages and learning rate of a pretrained backbone.

    Args:
        rate: Learning rate of the backbone divided by that of the rest of the network.
    """
    first = "the first stages of a pretrained backbone are general, and the most expensive to train"
    choice = Choice().with_value("network.frozen_stages", FROZEN, first)
    return choice.with_value(
        "network.backbone_lr_factor", rate, "the backbone is pretrained, the layers on top of it are new"
    )


def choose_length(
    samples: int, validated: int, pace: Pace, minutes: float = MINUTES, epochs: tuple[int, int] = EPOCHS
) -> Choice:
    """Selects epochs and the interval of validations so that a run takes a given time.

    Args:
        samples: Training samples per epoch.
        validated: Images per validation.
        pace: Measured speed.
        minutes: Target duration.
        epochs: Minimum and maximum number of epochs.
    """
    min_epochs, max_epochs = epochs
    validations = VALIDATIONS * validated * pace.validation
    epoch = samples * pace.sample
    wanted = max(0.0, 60 * minutes - validations) / max(epoch, 1e-9)
    selected = int(min(max(wanted, min_epochs), max_epochs))
    duration = (selected * epoch + validations) / 60
    reason = f"about {duration:.0f} minutes on this machine, at {1 / pace.sample:.0f} samples per second"
    if wanted < selected:
        reason += "; fewer epochs train too little"
    if wanted > max_epochs:
        reason += "; more epochs improve little"
    choice = Choice().with_value("run.epochs", selected, reason)
    choice = choice.with_value("run.minutes", minutes, "epochs change with the pace of the machine; 0 keeps them")
    return choice.with_value("run.validate_every", validation_interval(selected), f"about {VALIDATIONS} validations")


def validation_interval(epochs: int) -> int:
    """Returns the number of epochs between validations."""
    return max(1, math.ceil(epochs / VALIDATIONS))


def choose_length_again(spent: Spent, epochs: int, minutes: float, limits: tuple[int, int]) -> int:
    """Selects the number of epochs again, from what the run has taken so far.

    Args:
        spent: Epochs and time of the run so far, and its pace now.
        epochs: Number of epochs planned so far.
        minutes: Target duration.
        limits: Minimum and maximum number of epochs.

    Returns:
        The number of epochs of the whole run; `epochs` where the remaining ones change by less than `CHANGE`, or in the
        last tenth of the run.
    """
    left = epochs - spent.epochs
    if left < epochs / 10:
        return epochs
    validations = VALIDATIONS * left / epochs * spent.validation
    possible = max(0.0, 60 * minutes - spent.seconds - validations) / max(spent.epoch, 1e-9)
    least, most = max(limits[0], spent.epochs + 1), max(limits[1], spent.epochs + 1)
    selected = int(min(max(spent.epochs + possible, least), most))
    changed = max(left, selected - spent.epochs) / min(left, selected - spent.epochs)
    return selected if changed > CHANGE else epochs


def epoch_limits(samples: int, batch: int, pretrained: bool) -> tuple[int, int]:
    """Returns the minimum and maximum number of epochs.

    Args:
        samples: Training samples per epoch.
        batch: Images per step.
        pretrained: Whether the weights are pretrained.
    """
    return fine_tune_epochs(samples, batch) if pretrained else EPOCHS


def fine_tune_epochs(samples: int, batch: int) -> tuple[int, int]:
    """Returns the minimum and maximum number of epochs for fine-tuning.

    Args:
        samples: Training samples per epoch.
        batch: Images per step.
    """
    min_epochs, max_epochs = FINE_TUNE_EPOCHS
    return min_epochs, min(max(max_epochs, math.ceil(FINE_TUNE_STEPS / math.ceil(samples / batch))), EPOCHS[1])


def multiple_near(value: float, multiple: int, minimum: int, maximum: int) -> int:
    """Returns the nearest multiple of a value, clamped to a minimum and a maximum."""
    return int(min(max(multiple * round(value / multiple), minimum), maximum))


def _alignment(keypoints: NDArray[np.float32]) -> float:
    """Length of the mean direction between the two keypoints that lie farthest apart, over instances (P, K, 2).

    1 if too few instances have both.
    """
    offsets = keypoints[:, None].astype(np.float64) - keypoints[:, :, None]  # (P, K, K, 2)
    lengths = np.linalg.norm(offsets, axis=-1)
    known = np.isfinite(lengths).sum(axis=0)
    means = np.nansum(lengths, axis=0) / np.maximum(known, 1)
    usable = np.where(known >= max(2, len(keypoints) / 4), means, 0.0)
    a, b = np.unravel_index(int(usable.argmax()), usable.shape)
    if usable[a, b] == 0:
        return 1.0
    vectors, length = offsets[:, a, b], lengths[:, a, b]
    directions = vectors[length > 0] / length[length > 0][:, None]
    return float(np.linalg.norm(directions.mean(axis=0)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
