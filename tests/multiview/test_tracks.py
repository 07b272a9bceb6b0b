"""Association across views and over time: stable track IDs, whatever the order of the detections."""

import numpy as np
import pytest

from cairn.multiview.association import NEVER, clusters, detection_affinity
from cairn.multiview.detections import DetectionTable
from cairn.multiview.tracks import Observations, observe
from cairn.multiview.triangulation import triangulate_points
from cairn.structures.camera import Rig
from cairn.structures.poses import Poses
from support.made_rigs import detected, poses_of, ring, walking


def associated(
    rig: Rig, recordings: dict[str, list[Poses]], people: int | None = None, gap: int = 10
) -> tuple[Observations, np.ndarray]:
    """The observations, and the triangulated keypoints (F, P, K, 3)."""
    frames = list(recordings.values())
    table = DetectionTable.of(rig, frames, 0.1)
    found = observe(rig, table, len(frames[0]), gap, people)
    shape = found.confidence.shape
    points = triangulate_points(rig, found.pixels.reshape(len(rig), -1, 2), found.confidence.reshape(len(rig), -1))
    return found, points.positions.reshape(*shape[1:], 3)


def owners(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(F, P): the true person that each track is nearest to; -1 where the track is not there."""
    distance = np.linalg.norm(points[:, :, None] - truth[:, None], axis=-1).mean(axis=-1)  # NaN where incomplete
    return np.where(np.isnan(distance).all(axis=-1), -1, np.nan_to_num(distance, nan=np.inf).argmin(axis=-1))


@pytest.mark.parametrize(("cameras", "people"), [(2, 1), (3, 2), (4, 3), (5, 4)])
def test_each_person_is_one_track(cameras: int, people: int) -> None:
    rig = ring(4)[["cam1", "cam2"]] if cameras == 2 else ring(cameras)  # two that face each other tell no depth
    truth = walking(30, people)
    found, points = associated(rig, detected(rig, truth, noise=2))
    assert len(found.ids) == people
    who = owners(points, truth)
    assert sorted(who[0].tolist()) == list(range(people))
    assert (who == who[0]).all()
    errors = np.linalg.norm(points - truth[:, who[0]], axis=-1)
    assert np.median(errors) < 0.02
    assert errors.max() < 0.15


def test_any_unit_of_length() -> None:
    truth = walking(15, 3) * 0.002  # a fly
    rig = ring(4).moved(np.eye(3), np.zeros(3), 0.002)
    found, points = associated(rig, detected(rig, truth, noise=2))
    assert len(found.ids) == 3
    assert np.isfinite(points).all()


def test_people_who_come_and_go_keep_their_ids() -> None:
    rig, truth = ring(4), walking(60, 2)
    recordings = detected(rig, truth[:, :1], noise=1)
    second = detected(rig, truth[:, 1:], noise=1)
    for name, frames in recordings.items():
        for i in [*range(15, 30), *range(34, 60)]:
            frames[i] = poses_of(np.concatenate([frames[i].keypoints, second[name][i].keypoints]))
    found, points = associated(rig, recordings)
    assert found.ids.tolist() == [1, 2]
    present = np.isfinite(points[..., 0]).all(axis=-1)
    assert present[:, 0].all()
    assert present[:, 1].tolist() == [15 <= i < 30 or i >= 34 for i in range(60)]


def test_after_a_longer_gap_an_instance_is_new() -> None:
    rig, truth = ring(3), walking(40)
    recordings = detected(rig, truth)
    for frames in recordings.values():
        frames[12:28] = [Poses.empty(frames[0].skeleton)] * 16
    found, _ = associated(rig, recordings, gap=5)
    assert len(found.ids) == 2


def test_a_person_in_two_pieces_and_with_another_persons_arm() -> None:
    rig, truth = ring(5), walking(20, 2)
    recordings = detected(rig, truth, noise=1)
    pixels = rig.project(truth)
    upper = np.isin(np.arange(17), range(11))
    for frame in range(20):
        pieces = np.stack([np.where(part[:, None], pixels[0, frame, 0], np.nan) for part in (upper, ~upper)])
        recordings["cam1"][frame] = poses_of(np.concatenate([pieces, pixels[0, frame, 1:]]))
        mixed = pixels[2, frame].copy()
        mixed[:, [7, 9]] = mixed[::-1, [7, 9]]  # the left arms exchanged
        recordings["cam3"][frame] = poses_of(mixed)
    found, points = associated(rig, recordings)
    assert len(found.ids) == 2
    who = owners(points, truth)[0]
    assert np.linalg.norm(points - truth[:, who], axis=-1).max() < 0.05
    assert (found.confidence[0] > 0).mean() > 0.95  # both pieces are used
    assert (found.confidence[2][:, :, [7, 9]] > 0).mean() > 0.95  # so are the arms, by their owners


def test_a_person_seen_by_one_camera_has_no_track() -> None:
    rig, truth = ring(4), walking(20, 2)
    recordings = detected(rig, truth[:, :1])
    alone = rig.project(truth)[1]
    recordings["cam2"] = [poses_of(own) for own in alone]
    found, points = associated(rig, recordings)
    assert len(found.ids) == 1
    assert np.abs(points[:, 0] - truth[:, 0]).max() < 1e-3


def test_false_positives_of_a_few_frames_are_no_tracks() -> None:
    rig, truth = ring(3), walking(60, 2)
    recordings = detected(rig, truth[:, :1])
    ghost = detected(rig, truth[:, 1:])
    for name, frames in recordings.items():
        for i in (20, 21):
            frames[i] = poses_of(np.concatenate([frames[i].keypoints, ghost[name][i].keypoints]))
    found, _ = associated(rig, recordings, gap=25)
    assert len(found.ids) == 1


def test_the_number_of_people_keeps_those_with_the_most_keypoints() -> None:
    rig, truth = ring(3), walking(30, 3)
    recordings = detected(rig, truth[:, [1]])
    more = detected(rig, truth[:, [0, 2]])
    for name, frames in recordings.items():
        for i in range(10, 30):
            frames[i] = poses_of(np.concatenate([more[name][i].keypoints, frames[i].keypoints]))
    found, points = associated(rig, recordings, people=1)
    assert found.ids.tolist() == [1]
    assert (owners(points, truth) == 1).all()


def test_two_detections_of_one_camera_are_never_one() -> None:
    affinity = np.array([[NEVER, NEVER, 0.9], [NEVER, NEVER, 0.8], [0.9, 0.8, NEVER]])
    assert sorted(map(sorted, clusters(affinity))) == [[0, 2], [1]]


def test_evidence_of_all_pairs_adds_up() -> None:
    """0 and 1 agree a little, but each disagrees with the partner of the other."""
    affinity = np.full((4, 4), NEVER)
    for a, b, value in [(0, 1, 0.2), (0, 2, 0.9), (1, 3, 0.9), (0, 3, -0.5), (1, 2, -0.5), (2, 3, -0.1)]:
        affinity[a, b] = affinity[b, a] = value
    assert sorted(map(sorted, clusters(affinity))) == [[0, 2], [1, 3]]


def test_affinity_tells_people_apart_and_needs_three_keypoints() -> None:
    rig, truth = ring(3), walking(1, 3)
    pixels = rig.project(truth)[:, 0]
    table = DetectionTable.of(rig, [[poses_of(own)] for own in pixels], 0.1)
    centers = np.stack([camera.center for camera in rig])
    affinity = detection_affinity(table, centers, np.zeros(len(table), bool))
    person = np.tile(np.arange(3), 3)
    same = (person[:, None] == person) & (table.views[:, None] != table.views)
    other = (person[:, None] != person) & (table.views[:, None] != table.views)
    assert affinity[same].min() > 0.99
    assert affinity[other].max() < affinity[same].min() - 0.1
    assert np.median(affinity[other]) < 0
    assert (affinity == affinity.T).all()
    pixels[0, :, 2:] = np.nan
    few = DetectionTable.of(rig, [[poses_of(own)] for own in pixels], 0.1)
    assert not detection_affinity(few, centers, np.zeros(len(few), bool))[:3, 3:].any()
