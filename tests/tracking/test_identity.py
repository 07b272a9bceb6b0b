"""Identities with images: camera pans, crossings, and people who leave and return."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from cairn.tracking.tracker import Tracker
from crowd import STANDING

PEOPLE = load_skeleton("coco17")
SIZE = (240, 320)
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 180, 30)
WORLD = cv2.resize(np.random.default_rng(0).integers(60, 200, (60, 300, 3)).astype(np.uint8), (1200, 240))


def scene(camera: float, people: dict[tuple[int, int, int], float], tall: float = 150) -> tuple[Poses, np.ndarray]:
    """The poses and image of people at some places of the world, each in a color, before a camera that has panned."""
    image, points = WORLD[:, int(camera) : int(camera) + SIZE[1]].copy(), []
    for color, place in people.items():
        x = place - camera
        cv2.rectangle(image, (int(x - 0.2 * tall), 20), (int(x + 0.2 * tall), int(20 + tall)), color, -1)
        points.append([(x + tall * STANDING[j][0], 20 + tall * STANDING[j][1]) for j in PEOPLE.joints])
    keypoints = np.array(points, np.float32).reshape(-1, len(PEOPLE), 2)
    inside = (keypoints[..., 0] >= 0) & (keypoints[..., 0] < SIZE[1])
    keypoints = np.where(inside[..., None], keypoints, np.nan).astype(np.float32)
    poses = Poses(keypoints, inside.astype(np.float32), np.ones(len(points), np.float32), PEOPLE)
    return poses[np.flatnonzero(inside.sum(axis=1) >= 5)], image


def test_a_camera_that_jerks_keeps_ids_where_motion_alone_does_not() -> None:
    with_images, without = Tracker(), Tracker()
    seen: dict[str, set[tuple[int, ...]]] = {"with": set(), "without": set()}
    for i in range(60):
        camera = 300 + (14 * i if i % 20 < 10 else 14 * (i - i % 20 + 20 - i % 20)) % 280
        poses, image = scene(camera, {RED: camera + 100 + (i % 7), BLUE: camera + 160})
        seen["with"].add(tuple(with_images(poses, i / 25, image).ids.tolist()))
        seen["without"].add(tuple(without(poses, i / 25).ids.tolist()))
    assert seen["with"] == {(1, 2)}


@pytest.mark.parametrize("seconds", [2.0, 6.0])
def test_people_who_return_after_seconds_get_their_ids_by_color(seconds: float) -> None:
    tracker, frame = Tracker(), 0
    for _ in range(15):
        poses, image = scene(300, {RED: 400, BLUE: 520})
        assert tracker(poses, frame / 25, image).ids.tolist() == [1, 2]
        frame += 1
    for _ in range(int(25 * seconds)):
        poses, image = scene(300, {})
        tracker(poses, frame / 25, image)
        frame += 1
    for i in range(10):  # they have changed places
        poses, image = scene(300, {RED: 520, BLUE: 400})
        ids = tracker(poses, frame / 25, image).ids.tolist()
        assert ids == ([-1, -1] if i == 0 else [1, 2])
        frame += 1


def test_another_person_at_the_place_of_a_lost_one_gets_a_new_id() -> None:
    tracker = Tracker()
    for i in range(15):
        poses, image = scene(300, {RED: 400, BLUE: 520})
        tracker(poses, i / 25, image)
    for i in range(15, 30):
        poses, image = scene(300, {BLUE: 520})
        tracker(poses, i / 25, image)
    for i in range(30, 36):
        poses, image = scene(300, {GREEN: 400, BLUE: 520})
        ids = tracker(poses, i / 25, image).ids.tolist()
    assert ids == [3, 2]


@pytest.mark.parametrize(("memory", "number"), [(0.0, 2), (2.0, 2), (10.0, 1)])
def test_memory_is_limited_and_can_be_turned_off(memory: float, number: int) -> None:
    tracker = Tracker(memory=memory)
    for i in range(120):
        poses, image = scene(300, {} if 15 <= i < 115 else {RED: 400})
        ids = tracker(poses, i / 25, image).ids.tolist()
    assert ids == [number]


def test_crossing_in_distinct_colors_keeps_ids_through_missed_detections() -> None:
    tracker = Tracker()
    for i in range(50):
        poses, image = scene(300, {RED: 340 + 4 * i, BLUE: 540 - 4 * i})
        if 17 <= i < 33:
            poses = poses[[1]]  # the nearer one
            assert tracker(poses, i / 25, image).ids.tolist() == [2]
        else:
            assert tracker(poses, i / 25, image).ids.tolist() == [1, 2]


def test_the_order_of_detections_changes_nothing() -> None:
    rng, one, other = np.random.default_rng(0), Tracker(), Tracker()
    same: dict[int, int] = {}
    for i in range(40):
        poses, image = scene(300, {RED: 340 + 4 * i, BLUE: 544.5 - 4 * i, GREEN: 451.25})
        order = rng.permutation(len(poses))
        expected = one(poses, i / 25, image).ids
        for number, twin in zip(other(poses[order], i / 25, image).ids.tolist(), expected[order].tolist(), strict=True):
            assert same.setdefault(number, twin) == twin


def test_the_image_of_the_poses_is_used() -> None:
    given, own = Tracker(), Tracker()
    for i in range(20):
        poses, image = scene(300 + 10 * i, {RED: 400 + 10 * i})
        first = given(poses, i / 25, image)
        second = own(replace(poses, image=image), i / 25)
        assert first.ids.tolist() == second.ids.tolist() == [1]


def test_a_low_confidence_instance_waits_longer_for_its_id_and_continues_a_track() -> None:
    def scored(*scores: float) -> Poses:
        poses = scene(300, {RED: 400, BLUE: 520})[0]
        return replace(poses, scores=np.array(scores, np.float32))

    tracker = Tracker()
    tracker(scored(0.8, 0.8)[[0]], 0.0)
    waited = [tracker(scored(0.8, 0.2), (i + 1) / 25).ids.tolist()[1] for i in range(8)]
    assert waited[:5] == [-1] * 5
    assert waited[-1] == 2
    assert tracker(scored(0.1, 0.8), 0.5).ids.tolist() == [1, 2]


def test_a_second_detection_of_one_instance_gets_no_id_at_once() -> None:
    tracker = Tracker()
    poses, _ = scene(300, {RED: 400})
    twice = poses[[0, 0]]
    tracker(poses, 0.0)
    assert sorted(tracker(twice, 1 / 25).ids.tolist()) == [-1, 1]
    assert sorted(tracker(twice, 2 / 25).ids.tolist()) == [-1, 1]
