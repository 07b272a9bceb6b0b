"""What a recipe of an hourglass should have for given labels."""

from __future__ import annotations

from cairn.training.autoconfig.choices import Choice, LabelFacts, Machine, choose_shared, multiple_near
from cairn.training.method import Autoconfig

OBJECT = 96.0
"""Pixels, the longer side of an object as the network is shown it: 24 cells."""

LARGEST = {False: 256, True: 384}
"""Side of the image as shown, without a GPU and with one."""

BACKBONE_LR_FACTOR = 0.3
"""Of a backbone that has learned before, over that of what stands on it (docs/decisions/0067-learning-rates.md)."""


def choose(facts: LabelFacts, machine: Machine) -> Choice:
    """The whole image, as it will be shown when there are no labels to say where the object is."""
    wanted = facts.image_side * OBJECT / facts.instance_side
    most = LARGEST[machine.gpu is not None]
    size = multiple_near(wanted, 64, 128, most)
    choice = choose_shared(facts, machine)
    choice = choice.with_value("task", "single_instance", "one object an image: no boxes are needed to find it")
    shown = f"objects of {facts.instance_side:.0f} pixels in images of {facts.image_side:.0f} are shown with"
    shown += f" {facts.instance_side * size / facts.image_side:.0f}"
    if wanted > most:
        shown += f": more would be slow{'' if machine.gpu is not None else ' without a GPU'}"
    return choice.with_value("input.size", size, shown)


AUTOCONFIG = Autoconfig(choose, "person-single", BACKBONE_LR_FACTOR)
