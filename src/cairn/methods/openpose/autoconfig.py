"""Automatic configuration of openpose: sizes of images and crops, from the labels and the machine."""

from __future__ import annotations

from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine, choose_shared, multiple_near
from cairn.training.method import Autoconfig

INSTANCE, MIN_INFERENCE_SIZE = 128.0, 256
"""Longer side of an instance in the network's input, in pixels: 16 cells, enough to distinguish limbs; and minimum
inference size."""

REFINED_INSTANCE, MIN_REFINED_SIZE = 96.0, 192
"""The same where a refiner predicts the keypoints again: a third less finds as many instances, and trains twice as
fast."""

MAX_INFERENCE_SIZE = {False: 512, True: 768}
"""Maximum inference size without and with a GPU: an image should not take seconds on a CPU."""

CROP_FACTOR = 2.0
"""Side of the training crop, relative to that of the large instances in it."""

MAX_CROP = {False: 256, True: 384}
"""Maximum training crop without and with a GPU: on a CPU, twice as many crops train better than larger ones."""

BACKBONE_LR_FACTOR = 0.1
"""Learning rate of a pretrained backbone, relative to that of the other layers; docs/decisions has the measurements."""


def choose(facts: LabelFacts, machine: Machine, refined: bool = False) -> Choice:
    """Returns an inference size at which instances are large enough, and a crop size that contains them.

    Args:
        facts: Facts of the labels.
        machine: Facts of the machine.
        refined: Whether a refiner predicts the keypoints of each instance again.
    """
    instance, minimum = (REFINED_INSTANCE, MIN_REFINED_SIZE) if refined else (INSTANCE, MIN_INFERENCE_SIZE)
    wanted = facts.image_side * instance / facts.instance_side
    maximum = MAX_INFERENCE_SIZE[machine.gpu is not None]
    inference_size = multiple_near(wanted, 32, minimum, maximum)
    scale = inference_size / facts.image_side
    wanted_crop, max_crop = CROP_FACTOR * facts.large_instance_side * scale, MAX_CROP[machine.gpu is not None]
    if refined:
        max_crop = min(max_crop, inference_size)
    size = multiple_near(wanted_crop, 32, 192, max_crop)
    choice = choose_shared(facts, machine)
    slow = f"more would be slow{'' if machine.gpu is not None else ' without a GPU'}"
    reason = f"instances of {facts.instance_side:.0f} pixels in images of {facts.image_side:.0f} are resized to"
    reason += f" {facts.instance_side * scale:.0f}{f': {slow}' if wanted > maximum else ''}"
    choice = choice.with_value("input.inference_size", inference_size, reason)
    reason = f"large instances are resized to {facts.large_instance_side * scale:.0f} pixels"
    reason += f": {slow}" if wanted_crop > max_crop else ", and need context around them"
    choice = choice.with_value("input.size", size, reason)
    if refined:
        choice = choice.with_value("network.pointwise", True, "half as many images more in the same time")
    return choice


AUTOCONFIG = Autoconfig(choose, "person", BACKBONE_LR_FACTOR)
