"""What the process of label projects computes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")

from cairn.errors import ImageError
from cairn.inference.zoo import path_of
from cairn.server.label_worker import LabelWorker, disagreement, unflipped, within
from cairn.server.protocol import AUTO, Message
from cairn.server.worker import Options
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton

COCO = load_skeleton("coco17")
SKELETON = Skeleton("face", ("nose", "left_eye", "right_eye"), ((0, 1), (0, 2)), flip_pairs=((1, 2),))


def poses(*points: list[tuple[float, float]]) -> Poses:
    keypoints = np.array(points, np.float32).reshape(-1, 3, 2)
    return Poses(keypoints, np.ones(keypoints.shape[:2], np.float32), np.ones(len(keypoints), np.float32), SKELETON)


def test_a_flip_twice_is_none() -> None:
    one = poses([(4, 5), (6, 3), (2, 3)])
    twice = unflipped(unflipped(one, 10), 10)
    np.testing.assert_array_equal(twice.keypoints, one.keypoints)
    assert unflipped(one, 10).keypoints[0].tolist() == [[5, 5], [7, 3], [3, 3]]


def test_equal_poses_agree_in_any_order() -> None:
    a, b = [(4, 5), (6, 3), (2, 3)], [(44, 5), (46, 3), (42, 3)]
    assert disagreement(poses(a, b), poses(b, a)) == pytest.approx(0)


def test_a_missing_instance_disagrees_by_its_keypoints() -> None:
    a, b = [(4, 5), (6, 3), (2, 3)], [(44, 5), (46, 3), (42, 3)]
    assert disagreement(poses(a, b), poses(a)) == pytest.approx(0.5)
    assert disagreement(poses(a), poses(a, b)) == pytest.approx(0.5)
    assert disagreement(Poses.empty(SKELETON), poses(a)) == 1
    assert disagreement(Poses.empty(SKELETON), Poses.empty(SKELETON)) == 0


def test_swapped_sides_disagree() -> None:
    a = [(40, 50), (60, 30), (20, 30)]
    assert disagreement(poses(a), poses([a[0], a[2], a[1]])) == pytest.approx(2 / 3)


def test_keypoints_outside_of_the_image_are_no_suggestions() -> None:
    found = within(poses([(-0.5, 3), (9.5, 7.5), (9.6, 3)], [(5, -1), (5, 8), (12, 3)]), (8, 10))
    assert len(found) == 1
    np.testing.assert_array_equal(found.detected, [[True, True, False]])
    np.testing.assert_array_equal(found.keypoints[0], [[-0.5, 3], [9.5, 7.5], [np.nan, np.nan]])


@pytest.fixture
def worker() -> LabelWorker:
    return LabelWorker(Options("cpu", 1, 10_000))


@pytest.mark.parametrize(("format", "suffix"), [(".png", ".png"), (".jpg", ".jpg"), (".tif", ".png"), (".bmp", ".bmp")])
def test_images_are_kept_as_browsers_show_them(worker: LabelWorker, format: str, suffix: str) -> None:
    data = cv2.imencode(format, np.full((20, 30, 3), 90, np.uint8))[1].tobytes()
    answer = worker.check(data)
    facts = answer.values["facts"]
    assert (facts["width"], facts["height"], answer.values["suffix"]) == (30, 20, suffix)
    kept = cv2.imdecode(np.frombuffer(answer.parts[0], np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(kept.astype(int) - 90).max() <= 2


@pytest.mark.parametrize("data", [b"", b"text", cv2.imencode(".png", np.zeros((200, 200, 3), np.uint8))[1].tobytes()])
def test_what_is_no_image_or_too_large_is_refused(worker: LabelWorker, data: bytes) -> None:
    with pytest.raises(ImageError):
        worker.answer(Message({"do": "check"}, [data]))


def test_suggestions_can_be_saved_as_labels() -> None:
    """The lower body of the person is outside: the refiner places some of it a little below the image."""
    portrait = cv2.imread(str(Path(__file__).parents[2] / "examples" / "portraits.jpg"))[:, 470:]
    image = cv2.resize(portrait, (130, round(130 * portrait.shape[0] / portrait.shape[1])))
    height, width = 240, 240
    canvas = np.full((height, width, 3), 40, np.uint8)
    canvas[-len(image) :, : image.shape[1]] = image
    values = {"do": "suggest", "file": str(path_of("person")), "refine": AUTO, "skeleton": COCO.to_dict()}
    answer = LabelWorker(Options("cpu", 1, 100_000)).answer(
        Message(values, [cv2.imencode(".png", canvas)[1].tobytes()])
    )
    assert answer.values["instances"]
    for instance in answer.values["instances"]:
        for x, y, confidence in instance:
            assert not confidence or (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5)
