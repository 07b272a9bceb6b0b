"""Which categories of a COCO file are read, and the skeleton that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cairn.datasets.formats.category import make_skeleton, skeleton_from_category
from cairn.datasets.formats.coco.ids import Id, id_of
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.labels import MAX_NAMES
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, SkeletonError
from cairn.structures.skeleton import Skeleton

MakeError = Callable[[str], LabelError]


@dataclass(frozen=True)
class Category:
    """One category.

    Attributes:
        key: Its id; None where it has none and is the only category, to which then all annotations belong.
        name: Its name.
        joints: Joint names; empty where it has none.
        record: The record in the file.
    """

    key: Id | None
    name: str
    joints: tuple[str, ...]
    record: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The categories that are read.

    Attributes:
        skeleton: Their skeleton.
        classes: Their names; empty where there is one.
        class_of: Position of a category in the file -> index of its class.
    """

    skeleton: Skeleton
    classes: tuple[str, ...]
    class_of: dict[int, int]


def read_categories(records: list[Any], error: MakeError) -> list[Category]:
    """Returns the categories.

    Raises:
        LabelError: A record is invalid. Names the file and the record.
    """
    categories: list[Category] = []
    keys: set[Id] = set()
    for i, record in enumerate(records):
        key = id_of(record.get("id")) if isinstance(record, dict) else None
        if not isinstance(record, dict) or (key is None and (len(records) > 1 or record.get("id") is not None)):
            raise error(f"categories[{i}] needs an id")
        if key in keys:
            raise error(f"category id {key} occurs twice")
        if key is not None:
            keys.add(key)
        # CVAT writes a list for each category, coco-annotator only where it is not empty.
        names = record.get("keypoints") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise error(f"category {key}: keypoints must be a list of joint names, got {names!r:.80}")
        name = record.get("name")
        categories.append(Category(key, "object" if name is None else str(name), tuple(names), record))
    return categories


def choose(categories: Sequence[Category], labeled: Sequence[int], options: ReadOptions, error: MakeError) -> Choice:
    """Returns the categories to read: those of one name, or those that share the keypoints of the labeled ones.

    Args:
        categories: The categories of the file.
        labeled: Number of annotations with labeled keypoints of each.
        options: Their `category` is read; their `skeleton` replaces that of the file, which then needs no notes.
        error: Makes an error that names the file.

    Raises:
        LabelError: No category has keypoints, several with different keypoints are used, or none has the name.
    """
    named = {i: category for i, category in enumerate(categories) if category.joints}
    if not named:
        raise error("no category has keypoints: expected a list of joint names under categories[0].keypoints")
    if (wanted := options.category) is not None:
        chosen = [i for i, category in named.items() if category.name == wanted]
        if not chosen:
            expected = ", ".join(category.name for category in list(named.values())[:MAX_NAMES])
            raise error(f"no category {wanted!r} has keypoints: expected one of {expected}")
    else:
        chosen = list(named)
    used = [i for i in chosen if labeled[i]] or chosen[:1]
    joints = named[used[0]].joints
    if any(named[i].joints != joints for i in used):
        found = ", ".join(
            f"{named[i].name} with {len(named[i].joints)} keypoints in {labeled[i]} annotations"
            for i in used[:MAX_NAMES]
        )
        raise error(f"categories have different keypoints ({found}): choose one with --category NAME")
    chosen = [i for i in chosen if named[i].joints == joints]
    names = tuple(dict.fromkeys(named[i].name for i in chosen))
    class_of = {i: names.index(named[i].name) for i in chosen}
    skeleton = _skeleton([named[i] for i in chosen], names, error, None if options.skeleton else options.problems)
    return Choice(skeleton, names if len(names) > 1 else (), class_of)


def _skeleton(
    categories: list[Category], names: Sequence[str], error: MakeError, problems: Problems | None
) -> Skeleton:
    """The skeleton of the first category with limbs, with the name of what the categories have in common."""
    source = next((category for category in categories if category.record.get("skeleton")), categories[0])
    name = source.name
    if len(names) > 1:
        above = {str(category.record.get("supercategory") or "") for category in categories}
        name = (above.pop() if len(above) == 1 else "") or categories[0].name
    try:
        return skeleton_from_category({**source.record, "name": name}, problems)
    except SkeletonError as reason:
        raise error(f"category {source.key}: {reason}") from None


def numbered_joints(count: int, given: Skeleton | None) -> Skeleton:
    """Returns the skeleton of keypoints without names: the given one where it has as many, else with numbers."""
    return (
        given
        if given is not None and len(given) == count
        else make_skeleton("object", [str(i) for i in range(1, count + 1)])
    )
