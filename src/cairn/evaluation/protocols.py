"""The lengths, thresholds and means under which papers publish PCK and NME, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.poses import gathered
from cairn.structures.skeleton import Skeleton
from cairn.structures.skeleton import load_skeleton as definition

HEAD_SHARE = 0.6  # of the head box's diagonal is the length of PCKh; MPII's evaluation script
EYES = ("left_eye", "right_eye")
ANY_TWO = 0.1  # of the distance of two joints: the threshold where no paper has another

Length = Callable[[Annotation, Skeleton], NDArray[np.float64]]
"""(N,) pixels of N labeled objects; NaN where an object does not have it."""


@dataclass(frozen=True)
class Protocol:
    """What figures called PCK and NME mean.

    length     what an error of 1 is
    unit       the same in words, for whoever reads the figure
    threshold  PCK's: errors below it are near enough
    left_out   joints that do not go into the mean of PCK
    for_nme    the protocol that measures NME, where that is published in another length; None: this one
    """

    name: str
    length: Length
    unit: str
    threshold: float
    left_out: tuple[str, ...] = ()
    for_nme: Protocol | None = None

    def lengths(self, annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
        """(N,) lengths. Raises LabelError where no object has one."""
        lengths = self.length(annotation, skeleton)
        if not (lengths > 0).any():
            raise LabelError(f"protocol {self.name} measures in {self.unit}, which no labeled object has")
        return lengths


def between(first: str, second: str) -> Length:
    """The distance between two true joints. Its LabelError names the joint that the skeleton does not have."""

    def length(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
        for joint in (first, second):
            if joint not in skeleton.joints:
                raise LabelError(f"the length {first} to {second} needs joint {joint}, which {skeleton.name} has not")
        points = annotation.keypoints.astype(np.float64)
        return np.linalg.norm(points[:, skeleton.index(first)] - points[:, skeleton.index(second)], axis=-1)

    return length


def head(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    if annotation.heads is None:
        raise LabelError("PCKh needs head boxes, which these labels have not: use another protocol")
    return HEAD_SHARE * annotation.heads.astype(np.float64)


def eyes(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    """From eye center to eye center; face5 says which points of a face those are the means of."""
    face = definition("face5")
    centers = [face.parts_in(skeleton)[face.index(joint)] for joint in EYES]
    if not all(centers):
        raise LabelError(
            f"the length from eye center to eye center needs {' and '.join(EYES)}, or all points of both as face68 has "
            f"them, which {skeleton.name} has not"
        )
    left, right = gathered(annotation.keypoints.astype(np.float64), centers, np.mean).swapaxes(0, 1)
    return np.linalg.norm(left - right, axis=-1)


def box_diagonal(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    return np.hypot(*annotation.boxes[:, 2:].T.astype(np.float64))


def box_side(annotation: Annotation, skeleton: Skeleton) -> NDArray[np.float64]:
    return annotation.boxes[:, 2:].max(axis=1, initial=0).astype(np.float64)


# Torso and head are lengths for PCK; errors of bodies are shares of the box.
DIAGONAL = Protocol("diagonal", box_diagonal, "the diagonal of the object's box", 0.05)

PROTOCOLS = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("mpii", head, "0.6 of the head box's diagonal (PCKh)", 0.5, ("pelvis", "thorax"), DIAGONAL),
            Protocol("lsp", between("left_shoulder", "right_hip"), "left shoulder to right hip", 0.2, (), DIAGONAL),
            Protocol("flic", between("right_shoulder", "left_hip"), "right shoulder to left hip", 0.2, (), DIAGONAL),
            # MAFL's and AFLW's inter-ocular distance, and the error from which papers call a face failed.
            Protocol("eyes", eyes, "eye center to eye center", ANY_TWO),
            # The outer corners of the eyes, and the error from which on 300-W calls a face failed.
            Protocol("face", between("right_eye_0", "left_eye_3"), "outer eye corner to outer eye corner", 0.08),
            Protocol("box", box_side, "the longer side of the object's box", 0.1),
            DIAGONAL,
        )
    }
)
"""By name. Thresholds of mpii, lsp and flic are the papers'; any other may be asked for."""


def protocol_of(name: str) -> Protocol:
    """A protocol of `PROTOCOLS`, or `FROM:TO`, which measures from one true joint to another.

    Raises LabelError for what is neither.
    """
    first, _, second = name.partition(":")
    if first and second:
        return Protocol(name, between(first, second), f"{first} to {second}", ANY_TWO)
    if name not in PROTOCOLS:
        raise LabelError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}, or two joints as FROM:TO")
    return PROTOCOLS[name]


def usual_protocol(annotation: Annotation, skeleton: Skeleton) -> Protocol:
    """The one that this kind of labels is published with: the first that these labels allow."""
    order = ["flic", "lsp"] if skeleton.name.startswith("flic") else ["mpii", "lsp"]
    if all(definition("face5").parts_in(skeleton)):  # many a body has eyes too: a face has all five points
        order = ["eyes"]
    for name in order:
        try:
            PROTOCOLS[name].lengths(annotation, skeleton)
        except LabelError:
            continue
        return PROTOCOLS[name]
    return DIAGONAL
