import json
from pathlib import Path, PurePath

import numpy as np
import pytest

from cairn.errors import OutputError
from cairn.media.names import ImageName
from cairn.multiview.results.json_file import read_tracks_and_up
from cairn.results.lifted import LiftedWriter, trajectories
from cairn.results.writer import Detections
from cairn.structures.poses import Poses
from cairn.structures.poses3d import Poses3D
from cairn.structures.skeleton import Skeleton

STICK = Skeleton("stick", ("top", "middle", "bottom"), ((0, 1), (1, 2)))


class Deep:
    """Stands for a lifting model: adds a depth of 2."""

    class spec:
        name, root = "deep", ("middle",)

    def __call__(self, poses, camera=None):
        depth = np.full((*poses.confidence.shape, 1), 2.0)
        points = np.concatenate([poses.keypoints, depth], axis=-1).astype(float)
        return Poses3D(points, poses.confidence, poses.skeleton, ids=poses.ids)


def detections(frame, ids, clip="clip"):
    count = len(ids)
    keypoints = np.arange(6 * count, dtype=np.float32).reshape(count, 3, 2) + (frame or 0)
    poses = Poses(keypoints, np.full((count, 3), 0.5, np.float32), np.ones(count, np.float32), STICK, np.array(ids))
    name = ImageName(Path("clip.mp4"), PurePath("clip"), clip and PurePath(clip), frame)
    return Detections(name, (100, 100), poses, rate=50.0)


def test_a_clip_is_one_file_with_tracks(tmp_path):
    with LiftedWriter(tmp_path, Deep()) as writer:
        for frame, ids in ((3, [7, 2]), (4, [2]), (6, [2, 7, -1])):
            writer.write(detections(frame, ids))
    tracks, up = read_tracks_and_up(tmp_path / "clip.cairn3d.json")
    assert (tracks.start, len(tracks), list(tracks.ids), tracks.rate, up) == (3, 4, [2, 7], 50.0, "-y")
    np.testing.assert_allclose(tracks.keypoints[1, 0], [[4, 5, 2], [6, 7, 2], [8, 9, 2]])
    assert not tracks.known[2].any()
    assert not tracks.known[1, 1].any()
    assert "2 instances of stick" in (tmp_path / "clip.cairn3d.html").read_text()


def test_images_have_files_of_their_own(tmp_path):
    with LiftedWriter(tmp_path, Deep()) as writer:
        writer.write(detections(None, [1], clip=None))
        assert (tmp_path / "clip.cairn3d.json").is_file()
        assert json.loads((tmp_path / "clip.cairn3d.json").read_text())["cameras"] == {}


def test_clips_that_follow_one_another_are_apart(tmp_path):
    with LiftedWriter(tmp_path, Deep()) as writer:
        writer.write(detections(0, [1], "a"))
        writer.write(detections(0, [5], "b"))
    assert [list(read_tracks_and_up(tmp_path / f"{name}.cairn3d.json")[0].ids) for name in "ab"] == [[1], [5]]


def test_nothing_is_written_after_an_error_nor_half(tmp_path):
    writer = LiftedWriter(tmp_path, Deep())
    writer.write(detections(0, [1]))
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not list(tmp_path.iterdir())
    (tmp_path / "clip.cairn3d.json").mkdir()
    writer = LiftedWriter(tmp_path, Deep())
    writer.write(detections(0, [1]))
    with pytest.raises(OutputError, match="a folder has that name"):
        writer.end_clip()


def test_frames_without_instances_are_kept():
    tracks = trajectories([(0, Poses3D.empty(STICK)), (5, Poses3D.empty(STICK))], 25.0)
    assert (len(tracks), len(tracks.ids)) == (6, 0)
