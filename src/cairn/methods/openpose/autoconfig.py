"""Automatic configuration of openpose: sizes of images and crops, from the labels and the machine."""

from __future__ import annotations

from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine, choose_shared, multiple_near
from cairn.training.method import Autoconfig

OBJECT = 128.0
"""Longer side of an instance in the network's input, in pixels: 16 cells, enough to distinguish limbs."""

LARGEST_DETECT = {False: 512, True: 768}
"""Maximum inference size without and with a GPU: an image should not take seconds on a CPU."""

AROUND = 2.0
"""Side of the training crop, relative to that of the large instances in it."""

LARGEST_CROP = {False: 256, True: 384}
"""Maximum training crop without and with a GPU: on a CPU, twice as many crops train better than larger ones."""

BACKBONE_LR_FACTOR = 0.1
"""Learning rate of a pretrained backbone, relative to that of the other layers; docs/decisions has the measurements."""


def choose(facts: LabelFacts, machine: Machine) -> Choice:
    """Returns an inference size at which instances are large enough, and a crop size that contains them."""
    wanted = facts.image * OBJECT / facts.side
    most = LARGEST_DETECT[machine.gpu is not None]
    detect = multiple_near(wanted, 32, 256, most)
    scale = detect / facts.image
    around, largest = AROUND * facts.large * scale, LARGEST_CROP[machine.gpu is not None]
    size = multiple_near(around, 32, 192, largest)
    choice = choose_shared(facts, machine)
    slow = f"more would be slow{'' if machine.gpu is not None else ' without a GPU'}"
    shown = f"objects of {facts.side:.0f} pixels in images of {facts.image:.0f} are shown with"
    shown += f" {facts.side * scale:.0f}{f': {slow}' if wanted > most else ''}"
    choice = choice.with_value("input.inference_size", detect, shown)
    reason = f"the large objects are {facts.large * scale:.0f} pixels as shown"
    reason += f": {slow}" if around > largest else ", and this holds what is around them"
    return choice.with_value("input.size", size, reason)


AUTOCONFIG = Autoconfig(choose, "person", BACKBONE_LR_FACTOR)
