"""Points and outlines that a tool places one by one, collected into instances: LabelMe, VIA, Label Studio, CVAT points.

The points and the outline of one instance have a common group. Without groups, a point belongs to the only outline
that contains it; without outlines, all points of an image are one instance.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Box, Instance, ListedImage, checked_points, collect
from cairn.datasets.labels import MAX_NAMES, Labels
from cairn.errors import LabelError, SkeletonError
from cairn.structures.skeleton import Limb, Skeleton, load_skeleton, skeleton_names

NUMBERED = re.compile(r"(\D*)(\d+)")


@dataclass(frozen=True)
class Mark:
    """A point, or the outline of an instance.

    Attributes:
        label: Joint of a point; category of an outline, where it has one.
        points: (N, 2) (x, y) in pixels: one point, or the corners of an outline.
        is_point: Whether it is a point.
        group: What the marks of one instance have in common; None where the tool states nothing.
        occluded: Whether the point is occluded.
        category: Category that a point states itself.
        track: Track ID; -1 where unknown.
    """

    label: str | None
    points: NDArray[np.float64]
    is_point: bool
    group: Hashable = None
    occluded: bool = False
    category: str | None = None
    track: int = -1

    @property
    def box(self) -> Box:
        """x, y, width and height of the bounding box."""
        (x, y), (width, height) = self.points.min(axis=0).tolist(), np.ptp(self.points, axis=0).tolist()
        return x, y, width, height


@dataclass(frozen=True)
class MarkedImage:
    """An image with its marks.

    Attributes:
        entry: The image.
        marks: Its marks, in order.
        record: Name of the image in messages.
    """

    entry: ListedImage
    marks: tuple[Mark, ...]
    record: str


@dataclass
class Marked:
    """One instance: its points by joint, and its outline.

    Attributes:
        image: Name of the image.
        record: Name of the image in messages.
        points: Joint -> point.
        outline: Outline; None where it has none.
        category: Category; None where unknown.
    """

    image: str
    record: str
    points: dict[str, Mark] = field(default_factory=dict)
    outline: Mark | None = None
    category: str | None = None


def collect_marks(
    images: Iterable[MarkedImage],
    source: Path,
    options: ReadOptions,
    tie: str,
    joints: Sequence[str] = (),
    limbs: Iterable[tuple[str, str]] = (),
) -> Labels:
    """Returns the labels of marks.

    The joints have the order of the tool's own list, of a given or built-in skeleton that has them, of their numbers,
    or of their first appearance.

    Args:
        images: The images.
        source: The label file or folder.
        options: Options of the reader.
        tie: How the tool ties the marks of one instance, for messages: `group_id`.
        joints: The tool's own list of joints, where it has one.
        limbs: Pairs of joints.

    Raises:
        LabelError: Marks cannot be assigned to instances, or categories have different keypoints.
    """
    listed: dict[str, ListedImage] = {}
    everything: list[Marked] = []
    for image in images:
        with options.problems:
            if image.entry.name in listed:
                raise LabelError(f"{image.record}: the image {image.entry.name} is annotated twice: keep one of them")
            everything += _instances(image, tie)
            listed[image.entry.name] = image.entry
    names = _categories(everything, source, options)
    kept = _of_categories(everything, names, options)
    own = {joint: None for instance in kept for joint in instance.points}
    if not own:
        raise LabelError(f"{source}: no instance has a labeled joint")
    try:
        skeleton = _skeleton(names, list(own), joints, limbs, options.skeleton)
    except SkeletonError as error:
        raise LabelError(f"{source}: {error}") from None
    instances = []
    for instance in kept:
        with options.problems:
            instances.append(_instance(instance, skeleton, names))
    problems, classes = options.problems, names if len(names) > 1 else ()
    return collect(instances, skeleton, source, options.images, listed.values(), problems=problems, classes=classes)


def _instances(image: MarkedImage, tie: str) -> list[Marked]:
    """The instances of an image: those of groups, and those without."""
    groups: dict[Hashable, Marked] = {}
    loose: list[Mark] = []
    for mark in image.marks:
        if mark.is_point and not mark.label:
            raise LabelError(f"{image.record}: a point at {mark.points[0].tolist()} has no label: name its joint")
        if mark.group is None:
            loose.append(mark)
        else:
            group = groups.setdefault(mark.group, Marked(image.entry.name, image.record))
            _add(group, mark, f"{image.record}: {tie} {mark.group}")
    outlines = [
        Marked(image.entry.name, image.record, outline=mark, category=mark.label) for mark in loose if not mark.is_point
    ]
    points = [mark for mark in loose if mark.is_point]
    if not outlines:
        outlines = [Marked(image.entry.name, image.record)] if points else []
    for mark in points:
        where = f"{image.record}: the point {mark.label!r:.60}"
        if len(outlines) == 1:
            owner = outlines[0]
        else:
            inside = [outline for outline in outlines if outline.outline and _contains(outline.outline, mark)]
            if len(inside) != 1:
                raise LabelError(f"{where} is inside {len(inside)} boxes: tie it to one with {tie}")
            owner = inside[0]
        if mark.label in owner.points:
            raise LabelError(f"{where} occurs twice without {tie}: tie the points of each instance with {tie}")
        _add(owner, mark, where)
    return [*groups.values(), *outlines]


def _add(instance: Marked, mark: Mark, record: str) -> None:
    """Adds a mark to an instance."""
    category = mark.category if mark.is_point else mark.label
    if category is not None:
        if instance.category not in (None, category):
            raise LabelError(f"{record} has the categories {instance.category!r:.60} and {category!r:.60}: keep one")
        instance.category = category
    if not mark.is_point:
        if instance.outline is not None:
            raise LabelError(f"{record} has several boxes: keep one in each group")
        instance.outline = mark
    elif mark.label is not None:
        if mark.label in instance.points:
            raise LabelError(f"{record} has the point {mark.label!r:.60} twice: keep one")
        instance.points[mark.label] = mark


def _contains(outline: Mark, point: Mark) -> bool:
    low, high = outline.points.min(axis=0), outline.points.max(axis=0)
    return bool(((low <= point.points[0]) & (point.points[0] <= high)).all())


def _categories(instances: list[Marked], source: Path, options: ReadOptions) -> tuple[str, ...]:
    """Names of the categories that have keypoints, which must share some; the given one alone.

    They are sorted, so that files of one project agree although their first instances differ.
    """
    joints: dict[str, dict[str, None]] = {}
    for instance in instances:
        if instance.category is not None and instance.points:
            joints.setdefault(instance.category, {}).update(dict.fromkeys(instance.points))
    if options.category is not None:
        if options.category not in joints:
            known = ", ".join(list(joints)[:MAX_NAMES]) or "no categories with keypoints"
            raise LabelError(f"{source} has no category {options.category!r:.60}: it has {known}")
        return (options.category,)
    names = sorted(joints)
    related, rest = set(joints[names[0]]) if names else set(), names[1:]
    while near := [name for name in rest if not related.isdisjoint(joints[name])]:
        related.update(*(joints[name] for name in near))
        rest = [name for name in rest if name not in near]
    if rest:
        raise LabelError(
            f"{source}: categories have different keypoints ({names[0]} has {', '.join(list(joints[names[0]])[:3])}, "
            f"{rest[0]} has {', '.join(list(joints[rest[0]])[:3])}): choose one with --category"
        )
    return tuple(names)


def _of_categories(instances: list[Marked], names: tuple[str, ...], options: ReadOptions) -> list[Marked]:
    """The instances of the categories; one without a category belongs to the only one."""
    kept = []
    for instance in instances:
        with options.problems:
            if instance.category is None and instance.points and len(names) > 1:
                raise LabelError(
                    f"{instance.record}: an instance with {next(iter(instance.points))!r:.60} has no category: give it "
                    f"a box with the label {' or '.join(names[:MAX_NAMES])}"
                )
            if instance.category is None or instance.category in names:
                kept.append(instance)
            elif options.category is None:
                options.problems.note(
                    "boxes whose label has no keypoints are ignored", f"{instance.record}, {instance.category:.60}"
                )
    return kept


def _instance(instance: Marked, skeleton: Skeleton, names: tuple[str, ...]) -> Instance:
    points = np.full((len(skeleton), 2), np.nan)
    occluded = np.zeros(len(skeleton), bool)
    for joint, mark in instance.points.items():
        index = skeleton.index(joint)
        points[index], occluded[index] = mark.points[0], mark.occluded
    outline = instance.outline
    marks = [*instance.points.values(), *([outline] if outline else [])]
    return Instance(
        instance.image,
        checked_points(points, instance.record),
        occluded,
        None if outline is None else outline.box,
        track=max((mark.track for mark in marks), default=-1),
        category=names.index(instance.category) if instance.category in names else 0,
    )


def _skeleton(
    names: Sequence[str],
    joints: list[str],
    listed: Sequence[str],
    limbs: Iterable[tuple[str, str]],
    given: Skeleton | None,
) -> Skeleton:
    """The given skeleton where it has all joints; else theirs, in a sensible order."""
    if given is not None and set(joints) <= set(given.joints):
        return given
    joints = [*listed, *(joint for joint in joints if joint not in listed)] if listed else ordered_joints(joints)
    pairs: list[Limb] = [(joints.index(a), joints.index(b)) for a, b in limbs if a in joints and b in joints]
    return make_skeleton(names[0] if len(names) == 1 else "object", joints, pairs)


def ordered_joints(joints: Sequence[str]) -> list[str]:
    """Returns joints in the order of a built-in skeleton that has the same, else by number, else as they are."""
    for known in map(load_skeleton, skeleton_names()):
        if set(known.joints) == set(joints):
            return list(known.joints)
    numbers = [NUMBERED.fullmatch(joint) for joint in joints]
    if all(numbers) and len({number[1] for number in numbers if number}) == 1:
        return sorted(joints, key=lambda joint: (len(joint), joint))  # by number
    return list(joints)
