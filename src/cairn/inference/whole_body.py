"""Hands and faces of the people in an image, looked at in crops that the body's joints place.

Simon, Joo, Matthews, Sheikh: Hand Keypoint Detection in Single Images using Multiview Bootstrapping, CVPR 2017, and
OpenPose (TPAMI 2019, section 4). The numbers below are those of OpenPose's released code.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ModelError
from cairn.inference.model_spec import ModelSpec
from cairn.inference.predictor import MIN_CROP, TopDownPredictor, overlapping
from cairn.media.images import ImageLike, as_image
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, joined

Side = Literal["left", "right"]

HAND_SURE, FACE_SURE = 0.03, 0.25
"""Only joints surer than this place a hand, or a face."""

MIN_FACE = 40.0  # pixels of the square around a face; smaller ones are not looked at

ARM = ("shoulder", "elbow", "wrist")

# What places a face; the neck of a body that has none is the middle of its shoulders, and the head may be its top.
HEAD = Skeleton(
    "head",
    ("head", "nose", "neck", "left_eye", "right_eye", "left_ear", "right_ear"),
    means=(("neck", ("left_shoulder", "right_shoulder")), ("head", ("head_top",))),
)


class Body(Protocol):
    """Anything that finds people: `BottomUpPredictor`, `RefinedPredictor`, or `TopDownPredictor` with boxes."""

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, image: ImageLike) -> Poses: ...


class WholeBodyPredictor:
    """Body, hands and face of everybody, as one skeleton: a hand's joints begin with left_hand_ or right_hand_, a
    face's with face_.

    body  finds the people; their scores are its scores
    hand  finds the joints of a right hand in a crop; a left hand is shown to it mirrored
    face  finds the points of a face in a crop

    Raises ModelError where neither is given, or the body has no joints to place them by.
    """

    def __init__(self, body: Body, hand: TopDownPredictor | None = None, face: TopDownPredictor | None = None) -> None:
        self.body = body
        self.hand = hand
        self.face = face
        parts = [("", body.spec.skeleton)]
        if hand:
            _check_arms(body.spec)
            parts += [("left_hand_", hand.spec.skeleton), ("right_hand_", hand.spec.skeleton)]
        if face:
            _check_head(body.spec)
            parts.append(("face_", face.spec.skeleton))
        specs = [given.spec for given in (body, hand, face) if given]
        if len(specs) == 1:
            raise ModelError("a whole body needs a model of hands, or of faces, besides the body's")
        name = "+".join(spec.skeleton.name for spec in specs)
        self.spec = body.spec.model_copy(
            update={"name": " + ".join(spec.name for spec in specs), "skeleton": joined(name, parts)}
        )

    def __call__(self, image: ImageLike, boxes: ArrayLike | None = None) -> Poses:
        """As the body's predictor. What stands too small, or has no joints to place it by, is not found."""
        pixels = as_image(image)
        body = self.body(pixels) if boxes is None else self.body(pixels, boxes=boxes)  # type: ignore[call-arg]
        parts = [body]
        if self.hand:
            mirror = Affine.mirror(pixels.shape[1])
            mirrored = np.ascontiguousarray(pixels[:, ::-1])
            left = _look(self.hand, mirrored, _mirrored(hand_boxes(body, "left"), pixels.shape[1]), MIN_CROP)
            parts.append(left.transformed(mirror))
            parts.append(_look(self.hand, pixels, hand_boxes(body, "right"), MIN_CROP))
        if self.face:
            parts.append(_look(self.face, pixels, face_boxes(body), MIN_FACE))
        return Poses(
            np.concatenate([part.keypoints for part in parts], axis=1),
            np.concatenate([part.confidence for part in parts], axis=1),
            body.scores,
            self.spec.skeleton,
            body.ids,
        )


def hand_boxes(poses: Poses, side: Side) -> NDArray[np.float64]:
    """(P, 4) squares x, y, width, height around one hand of each person; NaN where the arm was not found.

    The hand lies a third of the forearm beyond the wrist; the square is half again as wide as the forearm, or as
    0.9 of the upper arm where that is longer: a forearm may point at the camera.
    """
    joints = [poses.skeleton.index(f"{side}_{joint}") for joint in ARM]
    shoulder, elbow, wrist = poses.keypoints[:, joints].astype(np.float64).transpose(1, 0, 2)
    size = 1.5 * np.maximum(_distance(wrist, elbow), 0.9 * _distance(elbow, shoulder))
    sure = (poses.confidence[:, joints] > HAND_SURE).all(axis=1)
    return _squares(wrist + 0.33 * (wrist - elbow), np.where(sure, size, np.nan))


def face_boxes(poses: Poses) -> NDArray[np.float64]:
    """(P, 4) squares x, y, width, height around each face; NaN where too little of the head was found.

    The mean of up to three guesses: from neck and nose, from the eyes, and from the ears. Of a face in profile,
    whose one eye and ear were found, the first goes by these. A body with a head alone has one guess.
    """
    head_poses = poses.mapped(HEAD)
    points = dict(zip(HEAD.joints, head_poses.keypoints.astype(np.float64).transpose(1, 0, 2), strict=True))
    sure = dict(zip(HEAD.joints, (head_poses.confidence > FACE_SURE).T, strict=True))
    neck, nose = points["neck"], points["nose"]
    height = _distance(neck, nose)
    guesses = []  # where it holds, center, size
    profile = (sure["left_eye"] == sure["left_ear"]) & (sure["right_eye"] == sure["right_ear"])
    profile &= sure["left_eye"] != sure["right_eye"]
    upright = sure["neck"] & sure["nose"]
    guesses.append((upright & ~profile, (neck + nose) / 2, 2 * height))
    for side in ("left", "right"):
        eye, ear = points[f"{side}_eye"], points[f"{side}_ear"]
        size = 0.85 * (_distance(nose, eye) + _distance(nose, ear) + height)
        guesses.append((upright & profile & sure[f"{side}_eye"], (nose + eye + ear) / 3, size))
    for joint, factor in (("eye", 3), ("ear", 2)):
        left, right = points[f"left_{joint}"], points[f"right_{joint}"]
        both = sure[f"left_{joint}"] & sure[f"right_{joint}"]
        guesses.append((both, (left + right) / 2, factor * _distance(left, right)))
    if "nose" not in poses.skeleton.joints:
        head = points["head"]
        guesses = [(sure["head"] & sure["neck"], head, 1.33 * _distance(neck, head))]
    holds = np.array([guess[0] for guess in guesses])  # (guesses, P)
    count = np.where(holds.any(axis=0), holds.sum(axis=0), np.nan)
    centers = np.where(holds[..., None], [guess[1] for guess in guesses], 0).sum(axis=0) / count[:, None]
    sizes = np.where(holds, [guess[2] for guess in guesses], 0).sum(axis=0) / count
    return _squares(centers, sizes)


def _look(crops: TopDownPredictor, image: NDArray[np.uint8], boxes: NDArray, least: float) -> Poses:
    """A row for each box: what the network finds there, or nothing where the square is too small or outside."""
    size = boxes[:, 2]
    rows = np.flatnonzero((size >= least) & overlapping(boxes, image.shape[:2]))
    tight = np.concatenate([boxes[rows, :2], boxes[rows, 2:] / crops.spec.input.margin], axis=1)
    tight[:, :2] += (size[rows, None] - tight[:, 2:]) / 2  # the margin makes the square whole again
    found = crops(image, tight)
    skeleton = crops.spec.skeleton
    keypoints = np.full((len(boxes), len(skeleton), 2), np.nan, np.float32)
    confidence = np.zeros((len(boxes), len(skeleton)), np.float32)
    keypoints[rows], confidence[rows] = found.keypoints, found.confidence
    return Poses(keypoints, confidence, np.zeros(len(boxes), np.float32), skeleton)


def _squares(centers: NDArray, sizes: NDArray) -> NDArray[np.float64]:
    return np.concatenate([centers - sizes[:, None] / 2, sizes[:, None], sizes[:, None]], axis=1)


def _mirrored(boxes: NDArray, width: int) -> NDArray[np.float64]:
    """Boxes in the mirror of an image of this width."""
    return np.concatenate([width - 1 - boxes[:, :1] - boxes[:, 2:3], boxes[:, 1:]], axis=1)


def _distance(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    return np.linalg.norm(a - b, axis=-1)


def _check_arms(spec: ModelSpec) -> None:
    missing = [f"{side}_{joint}" for side in ("left", "right") for joint in ARM]
    missing = [joint for joint in missing if joint not in spec.skeleton.joints]
    if missing:
        raise ModelError(f"hands are placed by both arms; skeleton {spec.skeleton.name} has no {', '.join(missing)}")


def _check_head(spec: ModelSpec) -> None:
    there = {joint for joint, parts in zip(HEAD.joints, HEAD.parts_in(spec.skeleton), strict=True) if parts}
    if not ({"nose", "neck"} <= there or {"left_eye", "right_eye"} <= there or {"head", "neck"} <= there):
        raise ModelError(
            f"faces are placed by neck and nose, the eyes, or head and neck; skeleton {spec.skeleton.name} has none"
        )
