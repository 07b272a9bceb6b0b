"""What a recipe of openpose should have for given labels."""

from __future__ import annotations

from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine, choose_shared, multiple_near
from cairn.training.method import Autoconfig

OBJECT = 128.0
"""Pixels, the longer side of an object as the network is shown it: 16 cells, in which limbs can be told apart."""

LARGEST_DETECT = {False: 512, True: 768}
"""Without a GPU and with one: a CPU should not take seconds for an image."""

AROUND = 2.0
"""Side of the crop to learn from, over that of the large objects in it."""

LARGEST_CROP = {False: 256, True: 384}
"""Without a GPU and with one: on a CPU twice as many crops of 256 pixels are worth more than whole large objects."""

BACKBONE_LR_FACTOR = 0.1
"""Of a backbone that has learned before, over that of what stands on it (docs/decisions/0067-learning-rates.md)."""


def choose(facts: LabelFacts, machine: Machine) -> Choice:
    """Images large enough to show the objects, crops large enough to hold them."""
    wanted = facts.image_side * OBJECT / facts.instance_side
    most = LARGEST_DETECT[machine.gpu is not None]
    detect = multiple_near(wanted, 32, 256, most)
    scale = detect / facts.image_side
    around, largest = AROUND * facts.large_instance_side * scale, LARGEST_CROP[machine.gpu is not None]
    size = multiple_near(around, 32, 192, largest)
    choice = choose_shared(facts, machine)
    slow = f"more would be slow{'' if machine.gpu is not None else ' without a GPU'}"
    shown = f"objects of {facts.instance_side:.0f} pixels in images of {facts.image_side:.0f} are shown with"
    shown += f" {facts.instance_side * scale:.0f}{f': {slow}' if wanted > most else ''}"
    choice = choice.with_value("input.inference_size", detect, shown)
    reason = f"the large objects are {facts.large_instance_side * scale:.0f} pixels as shown"
    reason += f": {slow}" if around > largest else ", and this holds what is around them"
    return choice.with_value("input.size", size, reason)


AUTOCONFIG = Autoconfig(choose, "person", BACKBONE_LR_FACTOR)
