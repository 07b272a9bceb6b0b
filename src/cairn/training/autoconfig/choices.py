"""Which values a training run should have, from what its labels and the machine are like: nothing is looked up here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cairn.datasets.labels import Labels

MINUTES = 20.0
"""That a run on a few hundred images should take: a machine that slows down has half as much again."""

EPOCHS = (30, 400)
"""The fewest, however long they take, and the most, however fast they are."""

STARTED_EPOCHS, STARTED_STEPS = (5, 60), 500
"""The same of weights that have learned before, the most being at least so many steps: docs/accuracy.md."""

FROZEN = 3
"""Stages of a backbone that has learned before, to keep as they are: its stem and those of strides 2 and 4."""

VALIDATIONS = 20
"""In a run: each costs as much as it does, and the best of them is kept."""

TURNED = 0.5
"""Below this mean of directions objects lie any way round: 1 is all one way, 0 is none preferred."""


@dataclass(frozen=True)
class LabelFacts:
    """What labels are like.

    most     labeled objects in the fullest image
    pairs    joints that change places in a mirror, as pairs
    image  longer side of the median image, in pixels
    side     longer side of the median object's box; large: of that which one in ten exceeds
    aligned  how much objects point one way, from 0 to 1
    """

    images: int
    objects: int
    most: int
    joints: int
    limbs: int
    pairs: int
    image: float
    side: float
    large: float
    aligned: float


@dataclass(frozen=True)
class Machine:
    """cores free to this process; memory free in megabytes; gpu: a GPU's memory in megabytes, None without one."""

    cores: int
    memory: int
    gpu: int | None = None


@dataclass(frozen=True)
class Pace:
    """Seconds that one sample takes to learn from, and one image to validate on, as measured."""

    sample: float
    validation: float


@dataclass(frozen=True)
class Choice:
    """Tables of a recipe, and why a value is what it is, by `name` or `section.name`."""

    tables: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def with_value(self, key: str, value: Any, reason: str) -> Choice:
        *section, name = key.split(".")
        tables = {**self.tables}
        if section:
            tables[section[0]] = {**tables.get(section[0], {}), name: value}
        else:
            tables[name] = value
        return Choice(tables, {**self.reasons, key: reason})

    def under(self, tables: Mapping[str, Any]) -> Choice:
        """This choice where `tables` say nothing else; what they do say needs no reason."""
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
        """This choice, with what another has where it says nothing."""
        more = other.under(self.tables)
        return Choice(more.tables, self.reasons | more.reasons)


def measure_labels(labels: Labels) -> LabelFacts:
    """Of labels with at least one labeled object, as every reader gives them."""
    rows = [image.annotation[np.flatnonzero(image.annotation.labeled)] for image in labels]
    sides = np.concatenate([row.boxes[:, 2:].max(axis=1) for row in rows if len(row)])
    return LabelFacts(
        images=len(labels),
        objects=len(sides),
        most=max(len(row) for row in rows),
        joints=len(labels.skeleton),
        limbs=len(labels.skeleton.limbs),
        pairs=len(labels.skeleton.flip_pairs),
        image=float(np.median([max(image.size) for image in labels])),
        side=float(np.median(sides)),
        large=float(np.quantile(sides, 0.9)),
        aligned=_alignment(np.concatenate([row.keypoints for row in rows if len(row)])),
    )


def choose_shared(facts: LabelFacts, machine: Machine) -> Choice:
    """What does not depend on the method: augmentation, batch, and what of the machine is used."""
    choice = Choice()
    if facts.aligned < TURNED:
        choice = choice.with_value("augmentation.rotation", 180.0, "objects in the labels lie any way round")
    if facts.pairs == 0 and facts.joints > 1:
        choice = choice.with_value("augmentation.flip", 0.0, "no joints are left and right by their names")
    batch, reason = 16, "the largest that suits a small set too"
    if machine.gpu is not None:
        batch, reason = 32, "a GPU takes more at a time"
    if facts.images < 20 * batch:
        batch, reason = 8, f"{facts.images} images: smaller batches make more steps of an epoch"
    choice = choice.with_value("run.batch_size", batch, reason)
    workers = max(1, min(8, machine.cores - 1)) if machine.gpu is not None else 1
    choice = choice.with_value("run.workers", workers, f"{_count(machine.cores, 'core')} beside the network")
    return choice.with_value("run.cache", min(4000, machine.memory // 4), "a quarter of the free memory, at most 4 GB")


def choose_backbone(rate: float) -> Choice:
    """What an EfficientNet that has learned before keeps, and how fast the rest of it learns."""
    first = "what the first stages see is the same in all photographs, and it is where learning costs most"
    choice = Choice().with_value("network.frozen_stages", FROZEN, first)
    return choice.with_value(
        "network.backbone_lr_factor", rate, "its other stages have learned before, what stands on them is new"
    )


def choose_length(
    samples: int, validated: int, pace: Pace, minutes: float = MINUTES, epochs: tuple[int, int] = EPOCHS
) -> Choice:
    """Epochs, and how often to validate, so that a run takes `minutes`, if that is enough to learn anything.

    samples, validated  of an epoch, and of a validation
    epochs              the fewest and the most
    """
    least, most = epochs
    validations = VALIDATIONS * validated * pace.validation
    epoch = samples * pace.sample
    wanted = max(0.0, 60 * minutes - validations) / max(epoch, 1e-9)
    chosen = int(min(max(wanted, least), most))
    took = (chosen * epoch + validations) / 60
    reason = f"about {took:.0f} minutes here, at {1 / pace.sample:.0f} samples a second"
    if wanted < chosen:
        reason += ", and fewer epochs learn little"
    if wanted > most:
        reason += ", and more epochs learn little more"
    every = max(1, math.ceil(chosen / VALIDATIONS))
    choice = Choice().with_value("run.epochs", chosen, reason)
    return choice.with_value("run.validate_every", every, f"about {VALIDATIONS} validations")


def started_epochs(samples: int, batch: int) -> tuple[int, int]:
    """The fewest and the most epochs, of so many samples in such batches, for weights that have learned before."""
    least, most = STARTED_EPOCHS
    return least, min(max(most, math.ceil(STARTED_STEPS / math.ceil(samples / batch))), EPOCHS[1])


def multiple_near(value: float, multiple: int, least: int, most: int) -> int:
    """The multiple next to a value, between two others."""
    return int(min(max(multiple * round(value / multiple), least), most))


def _alignment(keypoints: np.ndarray) -> float:
    """Length of the mean direction from joint to joint, over the objects (N, K, 2): of the pair farthest apart.

    1 where there are too few to tell.
    """
    offsets = keypoints[:, None].astype(np.float64) - keypoints[:, :, None]  # (N, K, K, 2)
    lengths = np.linalg.norm(offsets, axis=-1)
    known = np.isfinite(lengths).sum(axis=0)
    means = np.nansum(lengths, axis=0) / np.maximum(known, 1)
    usable = np.where(known >= max(2, len(keypoints) / 4), means, 0.0)
    a, b = np.unravel_index(int(usable.argmax()), usable.shape)
    if usable[a, b] == 0:
        return 1.0
    chosen, length = offsets[:, a, b], lengths[:, a, b]
    directions = chosen[length > 0] / length[length > 0][:, None]
    return float(np.linalg.norm(directions.mean(axis=0)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
