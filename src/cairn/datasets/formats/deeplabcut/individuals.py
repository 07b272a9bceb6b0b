"""Which individual each instance is, and which joints are unique body parts: the columns of a written project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cairn.datasets.labels import LabeledImage, Labels

MAX_INDIVIDUALS = 50
"""Number of track IDs up to which each is an individual; of more, each video numbers its own."""

Group = frozenset[int]


@dataclass(frozen=True)
class Layout:
    """The individuals and body parts of a project.

    Attributes:
        individuals: Number of individuals; 0 for a project with one animal.
        animal: Joints of an animal.
        unique: Joints that occur once in an image, apart from the animals.
        slots: (video, track ID) -> number of the individual; empty where individuals are no identities.
    """

    individuals: int
    animal: tuple[int, ...]
    unique: tuple[int, ...]
    slots: Mapping[tuple[str, int], int]

    def assigned(self, image: LabeledImage) -> list[tuple[int, int]]:
        """Returns (row, individual) of the labeled instances of an image; individual -1 is that of unique parts."""
        rows = image.annotation
        video = video_of(image)
        result: list[tuple[int, int]] = []
        waiting: list[int] = []
        for row in np.flatnonzero(rows.labeled).tolist():
            slot = None if rows.tracks is None else self.slots.get((video, int(rows.tracks[row])))
            if set(np.flatnonzero(rows.visibility[row]).tolist()) <= set(self.unique):
                result.append((row, -1))
            elif slot is not None and slot not in (used for _, used in result):
                result.append((row, slot))
            else:
                waiting.append(row)
        first_free = max(self.slots.values(), default=-1) + 1
        return sorted([*result, *((row, first_free + i) for i, row in enumerate(waiting))])


def layout_of(labels: Labels) -> Layout:
    """Returns the layout that holds all labeled instances.

    Joints are unique where no instance has them together with joints of an animal: with joints of which an image has
    several instances, or instances with a track ID.
    """
    every = tuple(range(len(labels.skeleton)))
    slots = _slots(labels)
    if not slots and all(image.annotation.labeled.sum() <= 1 for image in labels):
        return Layout(0, every, (), slots)
    groups = [group for group in _joint_groups(labels) if any(labels.labeled_joints[joint] for joint in group)]
    animals = [group for group in groups if any(_is_of_animal(image, group) for image in labels)] or groups[:1]
    unique = tuple(sorted(joint for group in groups if group not in animals for joint in group))
    draft = Layout(1, tuple(joint for joint in every if joint not in unique), unique, slots)
    highest = max((slot for image in labels for _, slot in draft.assigned(image)), default=0)
    return Layout(max(highest, *slots.values(), 0) + 1, draft.animal, unique, slots)


def video_of(image: LabeledImage) -> str:
    """Returns the name of the video that an image is from; empty where it is unknown."""
    prefix = "video "
    return next((group.removeprefix(prefix) for group in image.groups if group.startswith(prefix)), "")


def _slots(labels: Labels) -> dict[tuple[str, int], int]:
    pairs = {
        (video_of(image), track)
        for image in labels
        if image.annotation.tracks is not None
        for track in image.annotation.tracks[image.annotation.labeled].tolist()
        if track >= 0
    }
    ids = sorted({track for _, track in pairs})
    if len(ids) <= MAX_INDIVIDUALS:
        return {(video, track): ids.index(track) for video, track in pairs}
    own: dict[str, list[int]] = {}
    for video, track in sorted(pairs):
        own.setdefault(video, []).append(track)
    return {(video, track): i for video, tracks in own.items() for i, track in enumerate(tracks)}


def _joint_groups(labels: Labels) -> list[Group]:
    """Joints that an instance has together, directly or by way of others, in the order of the first of each."""
    group_of = [{joint} for joint in range(len(labels.skeleton))]
    for image in labels:
        for row in image.annotation.visibility[image.annotation.labeled]:
            present = np.flatnonzero(row).tolist()
            merged = set[int]().union(*(group_of[joint] for joint in present))
            if len(merged) > len(group_of[present[0]]):
                for joint in merged:
                    group_of[joint] = merged
    return list(dict.fromkeys(frozenset(group) for group in group_of))


def _is_of_animal(image: LabeledImage, group: Group) -> bool:
    """Whether an image has several instances with joints of a group, or one with a track ID."""
    rows = image.annotation
    has = rows.labeled & (rows.visibility[:, sorted(group)] > 0).any(axis=1)
    return bool(has.sum() > 1 or (rows.tracks is not None and (rows.tracks[has] >= 0).any()))
