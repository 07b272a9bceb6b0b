"""Protocols of PCK and NME: the reference length, the threshold and the joints that the mean ignores, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.poses import gathered
from cairn.structures.skeleton import Skeleton, load_skeleton

HEAD_SHARE = 0.6
"""Reference length of PCKh over the diagonal of the head box; MPII's evaluation script."""

EYES = ("left_eye", "right_eye")

DEFAULT_THRESHOLD = 0.1
"""Threshold of PCK for the distance between two joints, where no paper defines one."""

Length = Callable[[Annotation, Skeleton], NDArray[np.float64]]
"""Returns (N,) the reference length of N annotated instances in pixels; NaN for an instance without one."""


@dataclass(frozen=True)
class Protocol:
    """The definition of PCK and NME.

    Attributes:
        name: As `--metric` takes it.
        length: Returns the reference length, by which distances are divided.
        unit: The reference length in words.
        threshold: Default threshold of PCK, in reference lengths.
        ignored_joints: Joints that do not enter the mean of PCK.
        nme_protocol: The protocol of NME, where NME is published with another reference length; None: this one.
    """

    name: str
    length: Length
    unit: str
    threshold: float
    ignored_joints: tuple[str, ...] = ()
    nme_protocol: Protocol | None = None

    def lengths(self, annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
        """Returns (N,) reference lengths in pixels.

        Raises:
            LabelError: No instance has one.
        """
        lengths = self.length(annotation, skeleton)
        if not (lengths > 0).any():
            raise LabelError(
                f"protocol {self.name} divides distances by {self.unit}, which no labeled instance has: "
                "use another protocol"
            )
        return lengths


def between(first: str, second: str) -> Length:
    """Returns the length function of the distance between two annotated joints.

    The function raises LabelError for a skeleton without one of the joints.
    """

    def length(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
        for joint in (first, second):
            if joint not in skeleton.joints:
                raise LabelError(
                    f"the distance from {first} to {second} needs joint {joint}, which skeleton {skeleton.name} "
                    "does not have"
                )
        points = annotation.keypoints.astype(np.float64)
        distances: NDArray[np.float64] = np.linalg.norm(
            points[:, skeleton.index(first)] - points[:, skeleton.index(second)], axis=-1
        )
        return distances

    return length


def head(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    """Returns (N,) 0.6 of the diagonal of the head box. Raises LabelError for labels without head boxes."""
    if annotation.heads is None:
        raise LabelError("PCKh needs head boxes, which these labels do not have: use another protocol")
    return HEAD_SHARE * annotation.heads.astype(np.float64)


def eyes(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    """Returns (N,) distances between the eye centers; skeleton face5 defines which points of a face they average."""
    face = load_skeleton("face5")
    centers = [face.parts_in(skeleton)[face.index(joint)] for joint in EYES]
    if not all(centers):
        raise LabelError(
            f"the distance between the eye centers needs {' and '.join(EYES)}, or all points of both eyes as in "
            f"face68, which skeleton {skeleton.name} does not have"
        )
    left, right = gathered(annotation.keypoints.astype(np.float64), centers, np.mean).swapaxes(0, 1)
    distances: NDArray[np.float64] = np.linalg.norm(left - right, axis=-1)
    return distances


def box_diagonal(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    """Returns (N,) diagonals of the bounding boxes."""
    diagonals: NDArray[np.float64] = np.hypot(*annotation.boxes[:, 2:].T.astype(np.float64))
    return diagonals


def box_side(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    """Returns (N,) longer sides of the bounding boxes."""
    sides: NDArray[np.float64] = annotation.boxes[:, 2:].max(axis=1, initial=0).astype(np.float64)
    return sides


# Torso and head are reference lengths of PCK only; NME of bodies is in percent of the bounding box.
DIAGONAL = Protocol("diagonal", box_diagonal, "the diagonal of the bounding box", 0.05)

PROTOCOLS = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("mpii", head, "0.6 of the head box's diagonal (PCKh)", 0.5, ("pelvis", "thorax"), DIAGONAL),
            Protocol("lsp", between("left_shoulder", "right_hip"), "left shoulder to right hip", 0.2, (), DIAGONAL),
            Protocol("flic", between("right_shoulder", "left_hip"), "right shoulder to left hip", 0.2, (), DIAGONAL),
            # Interocular distance of MAFL and AFLW; the threshold is their failure threshold.
            Protocol("eyes", eyes, "eye center to eye center", DEFAULT_THRESHOLD),
            # Distance between the outer eye corners; the threshold is the failure threshold of 300-W.
            Protocol("face", between("right_eye_0", "left_eye_3"), "outer eye corner to outer eye corner", 0.08),
            Protocol("box", box_side, "the longer side of the bounding box", 0.1),
            DIAGONAL,
        )
    }
)
"""By name. The thresholds of mpii, lsp and flic are those of the papers."""


def protocol_of(name: str) -> Protocol:
    """Returns a protocol by name.

    Args:
        name: A key of `PROTOCOLS`, or `FROM:TO`, whose reference length is the distance between two annotated joints.

    Raises:
        LabelError: The name is neither.
    """
    first, _, second = name.partition(":")
    if first and second:
        return Protocol(name, between(first, second), f"{first} to {second}", DEFAULT_THRESHOLD)
    if name not in PROTOCOLS:
        raise LabelError(f"no protocol {name!r}; expected {', '.join(PROTOCOLS)}, or two joints as FROM:TO")
    return PROTOCOLS[name]


def default_protocol(annotation: Annotation, skeleton: Skeleton) -> Protocol:
    """Returns the protocol under which results on such labels are published: the first that the labels allow."""
    order = ["flic", "lsp"] if skeleton.name.startswith("flic") else ["mpii", "lsp"]
    if all(load_skeleton("face5").parts_in(skeleton)):  # bodies may have eyes too: a face has all five points
        order = ["eyes"]
    for name in order:
        try:
            PROTOCOLS[name].lengths(annotation, skeleton)
        except LabelError:
            continue
        return PROTOCOLS[name]
    return DIAGONAL
