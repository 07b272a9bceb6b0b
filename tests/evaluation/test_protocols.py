"""Reference lengths of the protocols, worked by hand."""

import json
import math

import numpy as np
import pytest

from cairn.datasets.formats.coco import read_coco
from cairn.errors import LabelError
from cairn.evaluation.protocols import PROTOCOLS, default_protocol, protocol_of
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton, load_skeleton
from support import DATA

BODY = Skeleton("body", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"))


def instances(points: list, boxes: list, heads: list | None = None) -> Annotation:
    keypoints = np.array(points, np.float32)
    return Annotation(
        keypoints=keypoints,
        visibility=np.where(np.isnan(keypoints).any(axis=-1), 0, 2).astype(np.uint8),
        boxes=np.array(boxes, np.float32),
        areas=np.ones(len(points), np.float32),
        crowd=np.zeros(len(points), bool),
        heads=None if heads is None else np.array(heads, np.float32),
    )


ONE = instances([[[0, 0], [4, 0], [4, 3], [6, 8]]], [[0, 0, 3, 4]], [10])


@pytest.mark.parametrize(
    ("name", "length", "threshold"),
    [
        ("lsp", 10, 0.2),  # left shoulder (0, 0) to right hip (6, 8)
        ("flic", 3, 0.2),  # right shoulder (4, 0) to left hip (4, 3)
        ("mpii", 6, 0.5),  # 0.6 of 10
        ("box", 4, 0.1),
        ("diagonal", 5, 0.05),
        ("right_shoulder:right_hip", math.hypot(2, 8), 0.1),
    ],
)
def test_reference_lengths_by_hand(name: str, length: float, threshold: float) -> None:
    protocol = protocol_of(name)
    assert protocol.lengths(ONE, BODY) == pytest.approx([length])
    assert protocol.threshold == threshold


def test_protocol_face_uses_the_outer_eye_corners() -> None:
    face = load_skeleton("face68")
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 45] = [30, 40]  # 300-W counts from 1: its corners are points 37 and 46
    annotation = instances(points.tolist(), [[0, 0, 1, 1]])
    assert PROTOCOLS["face"].lengths(annotation, face) == pytest.approx([50])


def test_eye_centers_are_joints_or_the_mean_of_six_points() -> None:
    eyes = PROTOCOLS["eyes"]
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 36:42] = [[1, 0], [2, 3], [3, 3], [6, 0], [3, -3], [3, -3]]  # their mean is (3, 0)
    points[0, 42:48] = [33, 40]
    face = instances(points.tolist(), [[0, 0, 1, 1]])
    assert eyes.lengths(face, load_skeleton("face68")) == pytest.approx([50])
    points[0, 40] = math.nan
    with pytest.raises(LabelError, match="which no labeled instance has"):
        eyes.lengths(instances(points.tolist(), [[0, 0, 1, 1]]), load_skeleton("face68"))
    five = instances([[[33, 40], [3, 0], [0, 0], [0, 0], [0, 0]]], [[0, 0, 1, 1]])
    assert eyes.lengths(five, load_skeleton("face5")) == pytest.approx([50])


@pytest.mark.data
@pytest.mark.parametrize("split", ["train", "val"])
def test_interocular_distances_equal_those_of_the_label_file(split: str) -> None:
    path = DATA / "faces" / f"{split}.json"
    if not path.is_file():
        pytest.skip(f"no data set at {path}")
    stated = {row["image_id"]: row["interocular"] for row in json.loads(path.read_text())["annotations"]}
    for skeleton in (load_skeleton("face68"), load_skeleton("face5")):
        labels = read_coco(path, skeleton=skeleton)
        assert default_protocol(labels.images[0].annotation, skeleton) is PROTOCOLS["eyes"]
        lengths = [float(PROTOCOLS["eyes"].length(image.annotation, skeleton)[0]) for image in labels]
        # The file rounds keypoints to two digits, and separately the distance of the original keypoints.
        assert lengths == pytest.approx([stated[image.id] for image in labels], abs=0.013)


def test_joints_ignored_by_mpii_exist_in_its_skeleton() -> None:
    assert set(PROTOCOLS["mpii"].ignored_joints) < set(load_skeleton("mpii16").joints)


def test_the_default_protocol_is_the_first_that_the_labels_allow() -> None:
    plain = instances(ONE.keypoints.tolist(), [[0, 0, 3, 4]])
    assert default_protocol(ONE, BODY).name == "mpii"
    assert default_protocol(plain, BODY).name == "lsp"
    assert default_protocol(plain, Skeleton("flic11", BODY.joints)).name == "flic"
    assert default_protocol(plain, Skeleton("mouse", tuple("abcd"))).name == "diagonal"
    face = instances([[[3, 0], [0, 0], [0, 0], [0, 0], [0, 0]]], [[0, 0, 3, 4]])
    assert default_protocol(face, load_skeleton("face5")).name == "eyes"
    coco = load_skeleton("coco17")
    eyes_alone = np.full((1, 17, 2), math.nan)
    eyes_alone[0, [coco.index("left_eye"), coco.index("right_eye")]] = [[3, 0], [0, 0]]
    assert default_protocol(instances(eyes_alone.tolist(), [[0, 0, 3, 4]]), coco).name == "diagonal"
    partial = instances([[[math.nan, math.nan], [4, 0], [4, 3], [6, 8]]], [[0, 0, 3, 4]])
    assert default_protocol(partial, BODY).name == "diagonal"


def test_labels_without_the_reference_length_are_an_error() -> None:
    for name in ("x", ":", "a:", ":b"):
        with pytest.raises(LabelError, match=f"no protocol '{name}'; expected mpii, lsp.* or two joints as FROM:TO"):
            protocol_of(name)
    with pytest.raises(LabelError, match="needs joint left_shoulder, which skeleton mouse does not have"):
        PROTOCOLS["lsp"].lengths(ONE, Skeleton("mouse", tuple("abcd")))
    with pytest.raises(LabelError, match="needs head boxes"):
        PROTOCOLS["mpii"].lengths(instances(ONE.keypoints.tolist(), [[0, 0, 3, 4]]), BODY)
    with pytest.raises(LabelError, match="which no labeled instance has"):
        PROTOCOLS["diagonal"].lengths(instances(ONE.keypoints.tolist(), [[0, 0, 0, 0]]), BODY)
