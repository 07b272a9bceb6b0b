"""Hands and faces: their crops follow from the body, and their keypoints are in image pixels."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Maps
from cairn.inference.predictor import TopDownPredictor
from cairn.inference.whole_body import WholeBodyPredictor, face_boxes, hand_boxes
from cairn.ops.heatmaps import argmax_keypoints
from cairn.results.openpose import to_openpose
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_network import FixedPredictor

BODY = load_skeleton("body25")
FINGERS = Skeleton("fingers", ("wrist", "tip"), limbs=((0, 1),))


def spec(name: str, skeleton: Skeleton, task: str = "crop", margin: float = 1.0) -> ModelSpec:
    shown = InputSpec.model_validate(
        {"resize": "letterbox" if task == "multi_instance" else "square", "size": 64, "multiple": 16, "margin": margin}
    )
    return ModelSpec(
        name=name, method="openpose", task=task, skeleton=skeleton, input=shown, stride=4, outputs=("heatmaps",)
    )


@dataclass
class DotNetwork:
    """Detects a red and a green dot, and keeps its inputs."""

    spec: ModelSpec
    inputs: list[NDArray[np.float32]] = field(default_factory=list)
    device: str = "cpu"
    threads: int = 0

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        self.inputs.append(images)
        blurred = [cv2.GaussianBlur(image, (0, 0), 3) for image in images[:, :2].transpose(0, 2, 3, 1)]
        cells = np.array(blurred).transpose(0, 3, 1, 2)[:, :, 2::4, 2::4] / 255
        return {"heatmaps": np.maximum(cells, 1e-6).astype(np.float32)}

    def predictor(self) -> TopDownPredictor:
        def decode(maps: Maps) -> Poses:
            keypoints, confidence = argmax_keypoints(maps["heatmaps"])
            return Poses(keypoints[None], confidence[None], np.ones(1, np.float32), self.spec.skeleton)

        return TopDownPredictor(self, decode)


def FixedBody(poses: Poses) -> FixedPredictor:
    """A predictor that detects the same people in every image."""
    return FixedPredictor(poses, spec("body", poses.skeleton, "multi_instance"))


def people(keypoints: NDArray, confidence: NDArray | float = 1.0, skeleton: Skeleton = BODY) -> Poses:
    confident = np.broadcast_to(np.asarray(confidence, np.float32), keypoints.shape[:2])
    points = np.where(confident[..., None] > 0, keypoints, np.nan).astype(np.float32)
    return Poses(points, confident.copy(), np.linspace(1, 0.5, len(keypoints), dtype=np.float32), skeleton)


def random_people(seed: int, count: int, skeleton: Skeleton = BODY) -> Poses:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0, 1, (count, len(skeleton))) * (rng.random((count, len(skeleton))) < 0.7)
    return people(rng.uniform(0, 400, (count, len(skeleton), 2)), confidence, skeleton)


def square(center: NDArray, size: float) -> list[float]:
    return [center[0] - size / 2, center[1] - size / 2, size, size]


def one_hand(poses: Poses, row: int, side: str) -> list[float] | None:
    """One person's hand, computed one number at a time."""
    at = {part: BODY.index(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")}
    if any(poses.confidence[row, joint] <= 0.03 for joint in at.values()):
        return None
    shoulder, elbow, wrist = (poses.keypoints[row, joint].astype(float) for joint in at.values())
    forearm, upper = np.hypot(*(wrist - elbow)), np.hypot(*(elbow - shoulder))
    return square(wrist + (wrist - elbow) * 0.33, 1.5 * max(forearm, 0.9 * upper))


def one_face(poses: Poses, row: int) -> list[float] | None:
    """One person's face, likewise."""
    at = {name: poses.keypoints[row, BODY.index(name)].astype(float) for name in BODY.joints}
    confident = {name: poses.confidence[row, BODY.index(name)] > 0.25 for name in BODY.joints}

    def far(a: str, b: str) -> float:
        return float(np.hypot(*(at[a] - at[b])))

    centers, sizes = [], []
    if confident["neck"] and confident["nose"]:
        sides = [side for side in ("left", "right") if confident[f"{side}_eye"] and confident[f"{side}_ear"]]
        halves = any(confident[f"{side}_eye"] != confident[f"{side}_ear"] for side in ("left", "right"))
        if len(sides) == 1 and not halves:
            eye, ear = f"{sides[0]}_eye", f"{sides[0]}_ear"
            centers.append((at["nose"] + at[eye] + at[ear]) / 3)
            sizes.append(0.85 * (far("nose", eye) + far("nose", ear) + far("neck", "nose")))
        else:
            centers.append((at["neck"] + at["nose"]) / 2)
            sizes.append(2 * far("neck", "nose"))
    for a, b, factor in (("left_eye", "right_eye", 3), ("left_ear", "right_ear", 2)):
        if confident[a] and confident[b]:
            centers.append((at[a] + at[b]) / 2)
            sizes.append(factor * far(a, b))
    return square(np.mean(centers, axis=0), float(np.mean(sizes))) if sizes else None


@given(st.integers(0, 10**6))
def test_crops_are_those_of_openpose(seed: int) -> None:
    poses = random_people(seed, 6)
    for boxes, expected in (
        (hand_boxes(poses, "left"), [one_hand(poses, row, "left") for row in range(6)]),
        (hand_boxes(poses, "right"), [one_hand(poses, row, "right") for row in range(6)]),
        (face_boxes(poses), [one_face(poses, row) for row in range(6)]),
    ):
        wanted = np.array([[np.nan] * 4 if box is None else box for box in expected])
        np.testing.assert_allclose(boxes, wanted, rtol=1e-6, atol=1e-4)


def test_missing_neck_is_the_mean_of_the_shoulders() -> None:
    coco17, coco18 = load_skeleton("coco17"), load_skeleton("coco18")
    poses = random_people(3, 20, coco17)
    np.testing.assert_allclose(face_boxes(poses), face_boxes(poses.mapped(coco18)))
    assert np.isfinite(face_boxes(poses)).any()


def test_a_face_is_placed_by_the_head_alone() -> None:
    poses = people(np.arange(30, dtype=float).reshape(1, 15, 2) * 7, skeleton=load_skeleton("mpii15"))
    head, neck = poses.keypoints[0, 0], poses.keypoints[0, 1]
    np.testing.assert_allclose(face_boxes(poses)[0], square(head, 1.33 * np.hypot(*(head - neck))), rtol=1e-5)


def scene() -> tuple[NDArray[np.uint8], Poses, dict[str, tuple[float, float]]]:
    """Returns an image with a red and a green dot at each hand and on the face, and the body."""
    points = np.zeros((1, len(BODY), 2))
    confidence = np.zeros((1, len(BODY)))
    for joint, place in {
        "left_shoulder": (220, 60),
        "left_elbow": (260, 100),
        "left_wrist": (270, 150),
        "right_shoulder": (120, 60),
        "right_elbow": (80, 100),
        "right_wrist": (70, 150),
        "left_eye": (182, 50),
        "right_eye": (158, 50),
    }.items():
        points[0, BODY.index(joint)], confidence[0, BODY.index(joint)] = place, 0.9
    dots = {
        "left_hand_wrist": (272, 160),
        "left_hand_tip": (285, 180),
        "right_hand_wrist": (67, 158),
        "right_hand_tip": (58, 179),
        "face_wrist": (160, 44),
        "face_tip": (180, 64),
    }
    image = np.zeros((240, 320, 3), np.uint8)
    for name, place in dots.items():
        cv2.circle(image, place, 3, (255, 0, 0) if name.endswith("wrist") else (0, 255, 0), cv2.FILLED)
    return image, people(points, confidence), dots


@pytest.mark.parametrize("margin", [1.0, 1.25])
def test_keypoints_of_crops_are_in_image_pixels(margin: float) -> None:
    image, body, dots = scene()
    hand, face = DotNetwork(spec("hand", FINGERS, margin=margin)), DotNetwork(spec("face", FINGERS, margin=margin))
    whole = WholeBodyPredictor(FixedBody(body), hand.predictor(), face.predictor())
    poses = whole(image)
    assert whole.spec.name == "body + hand + face"
    assert poses.skeleton == whole.spec.skeleton
    assert poses.skeleton.joints[25:] == tuple(dots)
    np.testing.assert_array_equal(poses.keypoints[:, :25], body.keypoints)
    np.testing.assert_array_equal(poses.scores, body.scores)
    np.testing.assert_allclose(poses.keypoints[0, 25:], list(dots.values()), atol=1.5)
    assert (poses.confidence[0, 25:] > 0.05).all()


def test_left_hand_is_mirrored_for_the_network() -> None:
    """The crop of a left hand equals the crop of the right hand in the mirrored image."""
    image, body, _ = scene()
    network, other = (DotNetwork(spec("hand", FINGERS)) for _ in range(2))
    poses = WholeBodyPredictor(FixedBody(body), network.predictor())(image)
    turned = body.keypoints.copy()
    turned[..., 0] = 319 - turned[..., 0]
    mirror = replace(body, keypoints=turned[:, BODY.flip_order], confidence=body.confidence[:, BODY.flip_order])
    back = WholeBodyPredictor(FixedBody(mirror), other.predictor())(image[:, ::-1].copy())
    for first, second in ((0, 1), (1, 0)):
        np.testing.assert_allclose(network.inputs[first], other.inputs[second], atol=1)
    order = list(poses.skeleton.flip_order)
    moved = back.keypoints[:, order]
    moved[..., 0] = 319 - moved[..., 0]
    np.testing.assert_allclose(poses.keypoints[:, 25:], moved[:, 25:], atol=0.05)


def test_crop_is_openpose_s_for_every_margin() -> None:
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    _, body, _ = scene()
    inputs = []
    for margin in (0.5, 1.0, 2.0):
        network = DotNetwork(spec("hand", FINGERS, margin=margin))
        WholeBodyPredictor(FixedBody(body), network.predictor())(image)
        inputs.append(network.inputs)
    for i in (0, 1):
        np.testing.assert_allclose(inputs[0][i], inputs[1][i], atol=1)
        np.testing.assert_allclose(inputs[2][i], inputs[1][i], atol=1)


def test_hands_and_faces_that_cannot_be_placed_are_not_detected() -> None:
    image, body, _ = scene()
    nothing = Poses.empty(BODY)
    far, small = (replace(body, keypoints=body.keypoints + 5000), replace(body, keypoints=body.keypoints / 20))
    hidden = replace(body, confidence=np.full_like(body.confidence, 0.02))
    network = DotNetwork(spec("hand", FINGERS))
    for poses in (nothing, far, small, hidden):
        found = WholeBodyPredictor(FixedBody(poses), network.predictor(), network.predictor())(image)
        assert len(found) == len(poses)
        assert not found.detected[:, 25:].any()
        assert np.isnan(found.keypoints[:, 25:]).all()
    assert not network.inputs


def test_openpose_json_separates_body_hands_and_face() -> None:
    image, body, _ = scene()
    hand, face = DotNetwork(spec("hand", FINGERS)), DotNetwork(spec("face", FINGERS))
    poses = WholeBodyPredictor(FixedBody(body), hand.predictor(), face.predictor())(image)
    (person,) = to_openpose(poses, (240, 320))["people"]
    assert len(person["pose_keypoints_2d"]) == 75
    for part, prefix in (("hand_left", "left_hand_"), ("hand_right", "right_hand_"), ("face", "face_")):
        wrist = poses.skeleton.index(f"{prefix}wrist")
        flat = person[f"{part}_keypoints_2d"]
        assert len(flat) == 6
        np.testing.assert_allclose(flat[:2], poses.keypoints[0, wrist], atol=1e-3)


def test_bodies_that_place_no_crop_raise() -> None:
    flies = people(np.zeros((1, 2, 2)), skeleton=FINGERS)
    network = DotNetwork(spec("hand", FINGERS))
    with pytest.raises(ModelError, match="skeleton fingers has no left_shoulder, left_elbow"):
        WholeBodyPredictor(FixedBody(flies), network.predictor())
    with pytest.raises(ModelError, match="faces are placed by neck and nose"):
        WholeBodyPredictor(FixedBody(flies), face=network.predictor())
    with pytest.raises(ModelError, match="needs a model of hands or of faces"):
        WholeBodyPredictor(FixedBody(flies))
