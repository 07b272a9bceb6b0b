"""Automatic configuration of hourglass: the size of images, from the labels and the machine."""

from __future__ import annotations

from typing import Any

from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine, choose_shared, multiple_near
from cairn.training.method import Autoconfig

INSTANCE = 96.0
"""Longer side of an instance in the network's input, in pixels: 24 cells."""

MAX_SIZE, SLOW_MAX_SIZE = 384, 256
"""Maximum side of the input, and that of many images on a CPU."""

FEW_IMAGES = 100
"""Number of images up to which a CPU trains the larger input to the end in the time of a run."""

MAX_TURNED = 192
"""Maximum side of the input at which the average over four turns of the image still takes little time."""

BACKBONE_LR_FACTOR = 0.3
"""Learning rate of a pretrained backbone, relative to that of the other layers; docs/decisions has the measurements."""


def choose(facts: LabelFacts, machine: Machine) -> Choice:
    """Returns settings for whole images, so that inference needs no bounding boxes."""
    wanted = facts.image_side * INSTANCE / facts.instance_side
    fast = machine.gpu is not None or facts.images <= FEW_IMAGES
    maximum = MAX_SIZE if fast else SLOW_MAX_SIZE
    size = multiple_near(wanted, 64, 128, maximum)
    choice = choose_shared(facts, machine)
    reason = "one instance per image: inference needs no bounding boxes"
    choice = choice.with_value("task", "single_instance", reason)
    reason = f"instances of {facts.instance_side:.0f} pixels in images of {facts.image_side:.0f} are resized to"
    reason += f" {facts.instance_side * size / facts.image_side:.0f}"
    if wanted > maximum:
        reason += f": more would be slow{'' if machine.gpu is not None else ' without a GPU'}"
    choice = choice.with_value("input.size", size, reason)
    if facts.all_orientations and size <= MAX_TURNED:
        return choice.with_value("turns", True, "the average over four turns of an image is more accurate, and slower")
    return choice


def choose_refiner(machine: Machine) -> dict[str, Any]:
    """Returns the recipe of a refiner. Boxes of detections vary, and so do the crops that it is trained on."""
    recipe: dict[str, Any] = {
        "task": "crop",
        "input": {"size": 224, "margin": 1.25},
        "augmentation": {"scale": [0.7, 1.4], "shift": 0.1},
    }
    if machine.gpu is not None:
        return recipe
    # Many small steps: docs/decisions/0131 and 0138 have what training fewer layers saves.
    return {**recipe, "network": {"pointwise": True, "frozen_stages": 5}, "run": {"batch_size": 8}}


AUTOCONFIG = Autoconfig(choose, "person-single", BACKBONE_LR_FACTOR, choose_refiner)
