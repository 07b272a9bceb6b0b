"""What a label format has no field for, counted for the messages of its writer."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.structures.annotation import AREA_PER_BOX

AREA_TOLERANCE = 0.01  # of an area, relative: rounding of the file


def losses(labels: Labels, title: str, held: Collection[str] = ()) -> tuple[str, ...]:
    """Returns a message for each kind of information that labels have and a format does not hold.

    Args:
        labels: The labels.
        title: Name of the format in the messages.
        held: Kinds that the format holds: `track IDs`, `crowd regions`, `frames` (also videos and subjects),
            `areas` and `joints` that are never labeled.
    """
    rows = [image.annotation for image in labels]
    counts = {
        "track IDs": sum(int((row.tracks >= 0).sum()) for row in rows if row.tracks is not None),
        "crowd regions": sum(int(row.crowd.sum()) for row in rows),
        "frames": sum(bool(image.groups) or image.frame is not None for image in labels),
        "areas": sum(_own_areas(image) for image in labels),
        "joints": int((~labels.labeled_joints).sum()),
    }
    names = {
        "frames": "images lose their video, subject and frame number",
        "joints": "joints without any label are skipped",
    }
    return tuple(
        f"{count} {names.get(kind, f'{kind} are skipped')}: {title} has no field for them"
        for kind, count in counts.items()
        if count and kind not in held
    )


def _own_areas(image: LabeledImage) -> int:
    """Number of instances whose area is not the default share of their box of keypoints."""
    rows = image.annotation
    count = 0
    for i in np.flatnonzero(rows.labeled):
        points = rows.keypoints[i][rows.visibility[i] > 0]
        default = AREA_PER_BOX * float(np.prod(np.ptp(points, axis=0)))
        count += not np.isclose(rows.areas[i], default, rtol=AREA_TOLERANCE)
    return count
