"""Automatic configuration of openpose: sizes of images and crops, from the labels and the machine."""

from __future__ import annotations

from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine, choose_shared, multiple_near
from cairn.training.method import Autoconfig

INSTANCE = 128.0
"""Longer side of an instance in the network's input, in pixels: 16 cells, enough to distinguish limbs."""

MAX_INFERENCE_SIZE = {False: 512, True: 768}
"""Maximum inference size without and with a GPU: an image should not take seconds on a CPU."""

CROP_FACTOR = 2.0
"""Side of the training crop, relative to that of the large instances in it."""

MAX_CROP = {False: 256, True: 384}
"""Maximum training crop without and with a GPU: on a CPU, twice as many crops train better than larger ones."""

BACKBONE_LR_FACTOR = 0.1
"""Learning rate of a pretrained backbone, relative to that of the other layers; docs/decisions has the measurements."""


def choose(facts: LabelFacts, machine: Machine) -> Choice:
    """Returns an inference size at which instances are large enough, and a crop size that contains them."""
    wanted = facts.image_side * INSTANCE / facts.instance_side
    maximum = MAX_INFERENCE_SIZE[machine.gpu is not None]
    inference_size = multiple_near(wanted, 32, 256, maximum)
    scale = inference_size / facts.image_side
    wanted_crop, max_crop = CROP_FACTOR * facts.large_instance_side * scale, MAX_CROP[machine.gpu is not None]
    size = multiple_near(wanted_crop, 32, 192, max_crop)
    choice = choose_shared(facts, machine)
    slow = f"more would be slow{'' if machine.gpu is not None else ' without a GPU'}"
    reason = f"instances of {facts.instance_side:.0f} pixels in images of {facts.image_side:.0f} are resized to"
    reason += f" {facts.instance_side * scale:.0f}{f': {slow}' if wanted > maximum else ''}"
    choice = choice.with_value("input.inference_size", inference_size, reason)
    reason = f"large instances are resized to {facts.large_instance_side * scale:.0f} pixels"
    reason += f": {slow}" if wanted_crop > max_crop else ", and need context around them"
    return choice.with_value("input.size", size, reason)


AUTOCONFIG = Autoconfig(choose, "person", BACKBONE_LR_FACTOR)
