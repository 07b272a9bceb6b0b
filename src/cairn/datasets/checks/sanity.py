"""The checks of labels that training, evaluation and conversion make before they use them.

They are those of `cairn check` that need no pixels: what an image has to be decoded for is left to it.
"""

from __future__ import annotations

from dataclasses import replace

from cairn.datasets.checks.image_sizes import check_sizes, read_sizes
from cairn.datasets.checks.instance_checks import check_instances
from cairn.datasets.labels import Labels
from cairn.errors import LabelError

WRONG_PLACE = "keypoints are in the wrong place; restore the images that were labeled, or export the labels again"
"""What follows from sizes that differ, and what to do."""


def check_before_use(name: str, labels: Labels) -> tuple[str, ...]:
    """Checks that labels fit their images and are consistent; reads the header of each image with instances.

    Args:
        name: Name of the labels in messages.
        labels: The labels.

    Returns:
        A line for each finding that makes metrics or models worse.

    Raises:
        LabelError: Images have another size than in the labels, so that keypoints are in the wrong place.
    """
    labels = replace(labels, images=tuple(image for image in labels if len(image.annotation)))
    findings = check_sizes(name, labels, read_sizes(labels))
    for finding in findings:
        if finding.level == "error":
            raise LabelError(f"{finding.line}: {WRONG_PLACE}")
    return tuple(finding.line for finding in [*findings, *check_instances(name, labels)])
