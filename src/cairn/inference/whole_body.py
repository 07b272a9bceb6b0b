"""Whole-body prediction: hands and faces in crops that the keypoints of the body place.

Simon, Joo, Matthews, Sheikh: Hand Keypoint Detection in Single Images using Multiview Bootstrapping, CVPR 2017, and
OpenPose (TPAMI 2019, section 4). The constants are those of OpenPose's released code.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ModelError
from cairn.inference.base import BasePredictor
from cairn.inference.boxes import MIN_CROP, overlapping
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Network
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses, joined_visibility
from cairn.structures.skeleton import Skeleton, joined

if TYPE_CHECKING:
    from cairn.inference.predictor import Predictor

Side = Literal["left", "right"]

MIN_HAND_CONFIDENCE, MIN_FACE_CONFIDENCE = 0.03, 0.25
"""Minimum confidence (exclusive) of the keypoints that place a hand, or a face."""

MIN_FACE = 40.0  # side in pixels of the smallest square around a face

ARM = ("shoulder", "elbow", "wrist")

# The keypoints that place a face. A missing neck is the mean of the shoulders, a missing head is the top of the head.
HEAD = Skeleton(
    "head",
    ("head", "nose", "neck", "left_eye", "right_eye", "left_ear", "right_ear"),
    means=(("neck", ("left_shoulder", "right_shoulder")), ("head", ("head_top",))),
)


class WholeBodyPredictor(BasePredictor[Poses]):
    """Detects body, hands and face of every person as one skeleton.

    The keypoints of hands have the prefix left_hand_ or right_hand_, those of the face have the prefix face_. The
    crops of hands and faces follow from the keypoints of the body.

    Attributes:
        body: Detects the people; their scores are used.
        hand: Predicts the keypoints of a right hand in a crop; left hands are mirrored first.
        face: Predicts the keypoints of a face in a crop.
    """

    def __init__(self, body: Predictor, hand: Predictor | None = None, face: Predictor | None = None) -> None:
        """Creates a predictor.

        Args:
            body: A predictor of people.
            hand: A predictor of one right hand per crop.
            face: A predictor of one face per crop.

        Raises:
            ModelError: Neither `hand` nor `face` is given, one of them has another task, or the body lacks the
                keypoints that place the crops.
        """
        self.body = body
        self.hand = hand
        self.face = face
        parts = [("", body.skeleton)]
        if hand:
            _check_task(hand, "hands")
            _check_arms(body.spec)
            parts += [("left_hand_", hand.skeleton), ("right_hand_", hand.skeleton)]
        if face:
            _check_task(face, "faces")
            _check_head(body.spec)
            parts.append(("face_", face.skeleton))
        specs = [given.spec for given in (body, hand, face) if given]
        if len(specs) == 1:
            raise ModelError("a whole-body predictor needs a model of hands or of faces besides that of the body")
        name = "+".join(spec.skeleton.name for spec in specs)
        self._spec = body.spec.model_copy(
            update={"name": " + ".join(spec.name for spec in specs), "skeleton": joined(name, parts)}
        )

    @property
    def spec(self) -> ModelSpec:
        """The specification of the body's model, with the joined name and skeleton."""
        return self._spec

    @cached_property
    def plain(self) -> Predictor:
        """The same with the plain predictor of the body."""
        body = self.body.plain
        return self if body is self.body else WholeBodyPredictor(body, self.hand, self.face)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of all predictors."""
        return tuple(network for part in (self.body, self.hand, self.face) if part for network in part.networks)

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Poses:
        """Returns the poses. A hand or face that is too small or cannot be placed is not detected.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            boxes: Boxes of people, where the model of the body takes them.
        """
        body = self.body(pixels, boxes)
        parts = [body]
        if self.hand:
            mirror = Affine.mirror(pixels.shape[1])
            mirrored = np.ascontiguousarray(pixels[:, ::-1])
            left = _in_crops(self.hand, mirrored, _mirrored(hand_boxes(body, "left"), pixels.shape[1]), MIN_CROP)
            parts.append(left.transformed(mirror))
            parts.append(_in_crops(self.hand, pixels, hand_boxes(body, "right"), MIN_CROP))
        if self.face:
            parts.append(_in_crops(self.face, pixels, face_boxes(body), MIN_FACE))
        return Poses(
            np.concatenate([part.keypoints for part in parts], axis=1),
            np.concatenate([part.confidence for part in parts], axis=1),
            body.scores,
            self.skeleton,
            body.ids,
            classes=body.classes,
            class_names=body.class_names,
            visibility=joined_visibility(parts, axis=1),
        )

    def decode_raw(self, raw: Poses) -> Poses:
        """Returns the poses, which `infer` has decoded."""
        return raw


def hand_boxes(poses: Poses, side: Side) -> NDArray[np.float64]:
    """Returns (P, 4) squares x, y, width, height around one hand of each person; NaN where the arm is not detected.

    The center is a third of the forearm beyond the wrist. The side is 1.5 times the forearm, or 1.5 times 0.9 of the
    upper arm where that is longer, since a forearm may point at the camera.
    """
    joints = [poses.skeleton.index(f"{side}_{joint}") for joint in ARM]
    shoulder, elbow, wrist = poses.keypoints[:, joints].astype(np.float64).transpose(1, 0, 2)
    size = 1.5 * np.maximum(_distance(wrist, elbow), 0.9 * _distance(elbow, shoulder))
    detected = (poses.confidence[:, joints] > MIN_HAND_CONFIDENCE).all(axis=1)
    return _squares(wrist + 0.33 * (wrist - elbow), np.where(detected, size, np.nan))


def face_boxes(poses: Poses) -> NDArray[np.float64]:
    """Returns (P, 4) squares x, y, width, height around each face; NaN where too little of the head is detected.

    The mean of up to three estimates: from neck and nose, from the eyes, and from the ears. In profile, where one eye
    and the ear of its side are detected, the first estimate uses these. A skeleton with a head alone has one estimate.
    """
    head_poses = poses.mapped(HEAD)
    points = dict(zip(HEAD.joints, head_poses.keypoints.astype(np.float64).transpose(1, 0, 2), strict=True))
    detected = dict(zip(HEAD.joints, (head_poses.confidence > MIN_FACE_CONFIDENCE).T, strict=True))
    neck, nose = points["neck"], points["nose"]
    height = _distance(neck, nose)
    estimates = []  # where valid, center, size
    profile = (detected["left_eye"] == detected["left_ear"]) & (detected["right_eye"] == detected["right_ear"])
    profile &= detected["left_eye"] != detected["right_eye"]
    upright = detected["neck"] & detected["nose"]
    estimates.append((upright & ~profile, (neck + nose) / 2, 2 * height))
    for side in ("left", "right"):
        eye, ear = points[f"{side}_eye"], points[f"{side}_ear"]
        size = 0.85 * (_distance(nose, eye) + _distance(nose, ear) + height)
        estimates.append((upright & profile & detected[f"{side}_eye"], (nose + eye + ear) / 3, size))
    for joint, factor in (("eye", 3), ("ear", 2)):
        left, right = points[f"left_{joint}"], points[f"right_{joint}"]
        both = detected[f"left_{joint}"] & detected[f"right_{joint}"]
        estimates.append((both, (left + right) / 2, factor * _distance(left, right)))
    if "nose" not in poses.skeleton.joints:
        head = points["head"]
        estimates = [(detected["head"] & detected["neck"], head, 1.33 * _distance(neck, head))]
    valid = np.array([estimate[0] for estimate in estimates])  # (E, P)
    count = np.where(valid.any(axis=0), valid.sum(axis=0), np.nan)
    centers = np.where(valid[..., None], [estimate[1] for estimate in estimates], 0).sum(axis=0) / count[:, None]
    sizes = np.where(valid, [estimate[2] for estimate in estimates], 0).sum(axis=0) / count
    return _squares(centers, sizes)


def _in_crops(crops: Predictor, image: NDArray[np.uint8], boxes: NDArray[Any], min_side: float) -> Poses:
    """Returns one row per box: the prediction there, or nothing where the square is too small or outside."""
    size = boxes[:, 2]
    rows = np.flatnonzero((size >= min_side) & overlapping(boxes, image.shape[:2]))
    tight = np.concatenate([boxes[rows, :2], boxes[rows, 2:] / crops.spec.input.margin], axis=1)
    tight[:, :2] += (size[rows, None] - tight[:, 2:]) / 2  # the margin restores the square
    found = crops(image, tight)
    skeleton = crops.spec.skeleton
    keypoints = np.full((len(boxes), len(skeleton), 2), np.nan, np.float32)
    confidence = np.zeros((len(boxes), len(skeleton)), np.float32)
    keypoints[rows], confidence[rows] = found.keypoints, found.confidence
    visibility = None if found.visibility is None else np.full(confidence.shape, np.nan, np.float32)
    if visibility is not None:
        visibility[rows] = found.visibility
    return Poses(keypoints, confidence, np.zeros(len(boxes), np.float32), skeleton, visibility=visibility)


def _squares(centers: NDArray[Any], sizes: NDArray[Any]) -> NDArray[np.float64]:
    return np.concatenate([centers - sizes[:, None] / 2, sizes[:, None], sizes[:, None]], axis=1)


def _mirrored(boxes: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Returns boxes in the mirror image of an image of this width."""
    return np.concatenate([width - 1 - boxes[:, :1] - boxes[:, 2:3], boxes[:, 1:]], axis=1)


def _distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.linalg.norm(a - b, axis=-1)
    return distance


def _check_task(predictor: Predictor, what: str) -> None:
    if predictor.spec.task == "multi_instance":
        raise ModelError(
            f"{what} need a model of one instance per crop; {predictor.name} detects all instances of an image"
        )


def _check_arms(spec: ModelSpec) -> None:
    missing = [f"{side}_{joint}" for side in ("left", "right") for joint in ARM]
    missing = [joint for joint in missing if joint not in spec.skeleton.joints]
    if missing:
        raise ModelError(f"hands are placed by both arms: skeleton {spec.skeleton.name} has no {', '.join(missing)}")


def _check_head(spec: ModelSpec) -> None:
    there = {joint for joint, parts in zip(HEAD.joints, HEAD.parts_in(spec.skeleton), strict=True) if parts}
    if not ({"nose", "neck"} <= there or {"left_eye", "right_eye"} <= there or {"head", "neck"} <= there):
        raise ModelError(
            f"faces are placed by neck and nose, the eyes, or head and neck: "
            f"skeleton {spec.skeleton.name} has none of these"
        )
