"""MPII's test images as the source of `cairn detect --write mpii`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.datasets.containers.matlab import elements, field, has_variable, number, read_mat
from cairn.datasets.formats.mpii.crops import crop_box
from cairn.datasets.image_files import locate_images
from cairn.datasets.problems import Problems
from cairn.errors import CairnError, LabelError
from cairn.results.mpii import JOINTS, TestImage, TestPerson
from cairn.structures.skeleton import Skeleton, load_skeleton

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cairn.media.reading import SourceFrame

GROUPS = "groups_v12.mat"
"""File of MPII's evaluation kit that has the groups of the multi-person benchmark."""


@dataclass(frozen=True, eq=False)
class MpiiTest:
    """The test images of MPII.

    Attributes:
        annotations: The .mat file.
        images: All test images, in its order; those that the benchmark evaluates have a path.
        multi: Whether the benchmark is that of several people.
    """

    annotations: Path
    images: tuple[TestImage, ...]
    multi: bool

    @property
    def paths(self) -> list[Path]:
        """The images that are evaluated."""
        return [image.path for image in self.images if image.path is not None]

    def boxes(self, frame: SourceFrame) -> NDArray[np.float64]:
        """Returns the (P, 4) boxes of the people of an image that the single-person benchmark evaluates."""
        image = self._by_path[frame.name.path]
        people = [image.people[i] for i in image.single]
        return np.array([crop_box(person.position, person.scale) for person in people if person.position], np.float64)

    @cached_property
    def _by_path(self) -> dict[Path, TestImage]:
        return {image.path: image for image in self.images if image.path is not None}


def is_mpii(path: Path) -> bool:
    """Whether a file has MPII's annotations.

    Raises:
        LabelError: It is a damaged MATLAB file.
        MissingExtra: scipy is not installed.
    """
    return path.suffix.lower() == ".mat" and path.is_file() and has_variable(path, "RELEASE")


def read_mpii_test(path: Path, multi: bool) -> MpiiTest:
    """Reads the test images.

    Args:
        path: mpii_human_pose_v1_u12_1.mat.
        multi: Whether the benchmark is that of several people, which needs `GROUPS` beside the file.

    Raises:
        LabelError: A file does not have the expected structure, or images are missing.
    """
    release = read_mat(path)["RELEASE"]
    entries, training = elements(field(release, "annolist")), elements(field(release, "img_train"))
    single = elements(field(release, "single_person"))
    if not len(entries) == len(training) == len(single):
        raise LabelError(
            f"{path}: RELEASE needs as many annolist ({len(entries)}) as img_train ({len(training)}) and single_person "
            f"({len(single)})"
        )
    groups = _groups(path.with_name(GROUPS), len(entries)) if multi else [()] * len(entries)
    test = [
        _image(entry, evaluated, own_groups, path)
        for entry, trained_on, evaluated, own_groups in zip(entries, training, single, groups, strict=True)
        if trained_on == 0
    ]
    if not any(image.multi if multi else image.single for image in test):
        raise LabelError(f"{path} has no test image with people to evaluate")
    wanted = [i for i, image in enumerate(test) if (image.multi if multi else image.single)]
    try:
        found = locate_images([test[i].name for i in wanted], path, None, Problems())
    except LabelError as error:
        hint = str(error).replace(": give their folder with --images", "")
        raise LabelError(f"{hint}; the images must be in images/ beside the file") from None
    for i, file in zip(wanted, found, strict=True):
        test[i] = replace(test[i], path=file)
    return MpiiTest(path, tuple(test), multi)


def missing_joints(skeleton: Skeleton) -> list[str]:
    """Returns the joints that the benchmark measures and a model does not predict.

    Raises:
        CairnError: It predicts none of them.
    """
    mpii = load_skeleton(JOINTS)
    parts = dict(zip(mpii.joints, mpii.parts_in(skeleton), strict=True))
    missing = [joint for joint, sources in parts.items() if not sources and joint not in ("pelvis", "thorax")]
    if not any(parts.values()):
        raise CairnError(f"the model predicts {', '.join(skeleton.joints[:3])} ..., none of which is a joint of MPII")
    return missing


def check_mpii(formats: Sequence[str], names: Sequence[Any]) -> Path | None:
    """Returns MPII's annotations among the sources of a run, whose test images they stand for; None without them.

    Raises:
        CairnError: The format mpii has another source, or the annotations are one of several.
    """
    given = [path for name in names if isinstance(name, str | Path) and is_mpii(path := Path(name))]
    if "mpii" in formats and not given:
        raise CairnError(
            "write mpii is for MPII's test images: give mpii_human_pose_v1_u12_1.mat as the source, with images/ "
            "beside it"
        )
    if given and len(names) > 1:
        raise CairnError(f"{given[0]} stands for MPII's test images: give no other source")
    return given[0] if given else None


def _image(entry: Any, single: Any, groups: tuple[tuple[int, ...], ...], path: Path) -> TestImage:
    name = field(field(entry, "image"), "name")
    if not isinstance(name, str):
        raise LabelError(f"{path}: a test image has no name")
    people = tuple(_person(rect) for rect in elements(field(entry, "annorect")) if rect is not None)
    evaluated = [i for i in _numbers(single) if i < len(people)]
    usable = [i for i in evaluated if people[i].position is not None and people[i].scale > 0]
    if any(i >= len(people) for group in groups for i in group):
        raise LabelError(f"{path}: {GROUPS} names people that {name} does not have: it is of another version")
    return TestImage(name, None, people, tuple(usable), groups)


def _person(rect: Any) -> TestPerson:
    place = field(rect, "objpos")
    x, y = number(place, "x"), number(place, "y")
    return TestPerson((x, y) if np.isfinite(x + y) else None, number(rect, "scale"))


def _groups(path: Path, count: int) -> list[tuple[tuple[int, ...], ...]]:
    """The groups of people of each image."""
    if not path.is_file():
        raise LabelError(
            f"the multi-person benchmark of MPII needs {path}, of its evaluation kit; models of one instance per crop "
            "are measured without it"
        )
    cells = np.ravel(read_mat(path, squeeze=False).get("groups", []))
    if len(cells) != count:
        raise LabelError(f"{path} has groups of {len(cells)} images, and the annotations have {count}")
    return [tuple(tuple(_numbers(group)) for group in np.ravel(cell)) for cell in cells]


def _numbers(value: Any) -> list[int]:
    """Numbers from 1 as indices from 0."""
    values = np.ravel(np.asarray(value)) if value is not None else np.zeros(0)
    return [int(each) - 1 for each in values if each >= 1]
