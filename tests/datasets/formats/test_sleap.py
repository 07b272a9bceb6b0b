"""SLEAP files written by sleap-io: .slp -> COCO keeps names, points, visibility, flip pairs, limbs and track IDs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.media.images import read_image
from support.made_labels import draw_images

sio = pytest.importorskip("sleap_io", reason="SLEAP files need sleap-io, which is in the io extra")

POINTS = np.array([[[10.5, 20.25], [30, 4], [np.nan, np.nan]], [[1, 2], [3, 4.75], [5, 6]]])
IMAGES = ("img0.png", "img1.png", "img2.png")


def labels(folder: Path, video: Any = None, nodes: tuple[str, ...] = ("head", "armA", "armB")) -> Any:
    """Two animals in frame 1, one in frame 2, and a prediction in frame 0, which is not a label."""
    skeleton = sio.Skeleton(
        list(nodes), edges=[(nodes[0], nodes[1]), (nodes[0], nodes[2])], symmetries=[(nodes[1], nodes[2])], name="bug"
    )
    if video is None:
        draw_images(folder, IMAGES)
        video = sio.Video.from_filename([str(folder / name) for name in IMAGES])
    tracks = [sio.Track("one"), sio.Track("two")]
    placed = [
        sio.Instance.from_numpy(points, skeleton=skeleton, track=track)
        for points, track in zip(POINTS, tracks, strict=True)
    ]
    placed[1].points["visible"][2] = False
    guess = sio.PredictedInstance.from_numpy(POINTS[1], skeleton=skeleton, score=1.0, point_scores=np.ones(3))
    alone = sio.Instance.from_numpy(POINTS[1] + 7, skeleton=skeleton, track=tracks[0])
    frames = [
        sio.LabeledFrame(video=video, frame_idx=0, instances=[guess]),
        sio.LabeledFrame(video=video, frame_idx=2, instances=[alone]),
        sio.LabeledFrame(video=video, frame_idx=1, instances=[*placed, guess]),
    ]
    return sio.Labels(videos=[video], skeletons=[skeleton], labeled_frames=frames, tracks=tracks)


def check(result: Any) -> None:
    skeleton = result.skeleton
    assert skeleton.name == "bug"
    assert skeleton.joints == ("head", "armA", "armB")
    assert skeleton.limbs == ((0, 1), (0, 2))
    assert skeleton.flip_order == (0, 2, 1)
    first, second = result
    np.testing.assert_array_equal(first.annotation.keypoints, POINTS.astype(np.float32))
    assert first.annotation.visibility.tolist() == [[2, 2, 0], [2, 2, 1]]
    assert (first.annotation.tracks.tolist(), second.annotation.tracks.tolist()) == ([0, 1], [0])
    np.testing.assert_array_equal(second.annotation.keypoints[0], POINTS[1] + 7)
    assert (first.frame, second.frame) == (1, 2)
    assert len(first.groups) == 1
    assert first.groups == second.groups


def test_slp_to_coco_round_trips(tmp_path: Path) -> None:
    labels(tmp_path).save(str(tmp_path / "bugs.slp"))
    result = read_labels(tmp_path / "bugs.slp")
    check(result)
    assert [image.path.name for image in result] == ["img1.png", "img2.png"]
    write_coco(result, tmp_path / "bugs.json")
    check(read_coco(tmp_path / "bugs.json"))


def test_images_with_paths_of_another_machine_are_found(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    labels(tmp_path / "there").save(str(tmp_path / "bugs.slp"))
    (tmp_path / "there").rename(tmp_path / "here")
    (tmp_path / "images").mkdir()  # then only this folder is searched
    with pytest.raises(LabelError, match="2 of 2 images are missing"):
        read_labels(tmp_path / "bugs.slp")
    check(read_labels(tmp_path / "bugs.slp", ReadOptions(tmp_path / "here")))


def test_embedded_images_are_written(tmp_path: Path) -> None:
    labels(tmp_path).save(str(tmp_path / "bugs.pkg.slp"), embed="user", verbose=False)
    with pytest.raises(LabelError, match="its images are in the file itself: cairn convert"):
        read_labels(tmp_path / "bugs.pkg.slp")
    result = read_labels(tmp_path / "bugs.pkg.slp", ReadOptions(frames=tmp_path / "frames"))
    check(result)
    for image, name in zip(result, IMAGES[1:], strict=True):
        assert image.path.is_relative_to(tmp_path / "frames")
        np.testing.assert_array_equal(read_image(image.path), read_image(tmp_path / name))


def test_frames_of_a_video_are_written(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "clip one.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in (20, 120, 220):
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()
    labels(tmp_path, sio.Video.from_filename(str(path))).save(str(tmp_path / "bugs.slp"))
    with pytest.raises(LabelError, match=r"its images are in clip one\.avi: cairn convert"):
        read_labels(tmp_path / "bugs.slp")
    result = read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames"))
    check(result)
    assert result.images[0].groups == ("video clip one.avi",)
    for image, value in zip(result, (120, 220), strict=True):
        assert abs(float(read_image(image.path).mean()) - value) < 3
    path.unlink()
    with pytest.raises(LabelError, match="no video at"):
        read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames"))


def test_videos_with_the_same_name_have_separate_frames(tmp_path: Path) -> None:
    """Two folders of images with the same name, in one file."""
    content = labels(tmp_path / "one/cam")
    draw_images(tmp_path / "two/cam", ("x.png", *IMAGES))  # of other grays
    other = sio.Video.from_filename([str(tmp_path / "two/cam" / name) for name in IMAGES])
    placed = sio.Instance.from_numpy(POINTS[1], skeleton=content.skeletons[0])
    content.videos.append(other)
    content.labeled_frames.append(sio.LabeledFrame(video=other, frame_idx=1, instances=[placed]))
    content.save(str(tmp_path / "bugs.pkg.slp"), embed="user", verbose=False)
    result = read_labels(tmp_path / "bugs.pkg.slp", ReadOptions(frames=tmp_path / "frames"))
    assert [image.groups for image in result] == [("video cam-1",), ("video cam-1",), ("video cam-2",)]
    grays = [int(read_image(image.path)[0, 0, 0]) for image in result]
    assert grays == [30, 50, 50]


def test_predictions_are_not_labels(tmp_path: Path) -> None:
    content = labels(tmp_path)
    content.labeled_frames = content.labeled_frames[:1]
    content.save(str(tmp_path / "bugs.slp"))
    with pytest.raises(LabelError, match="no labeled frame"):
        read_labels(tmp_path / "bugs.slp")


def test_infinite_points_and_damaged_files_are_one_line_errors(tmp_path: Path) -> None:
    content = labels(tmp_path)
    content.labeled_frames[1].instances[0].points["xy"][0] = np.inf
    content.save(str(tmp_path / "bugs.slp"))
    with pytest.raises(LabelError, match=r"bugs\.slp: frame 2 of .*: joint 1 is at \[inf, inf\]"):
        read_labels(tmp_path / "bugs.slp")
    data = (tmp_path / "bugs.slp").read_bytes()
    (tmp_path / "cut.slp").write_bytes(data[: len(data) // 2])
    with pytest.raises(LabelError, match=r"cut\.slp is damaged"):
        read_labels(tmp_path / "cut.slp")


def write_video(path: Path, gray: int) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for step in range(3):
        video.write(np.full((48, 64, 3), gray + 20 * step, np.uint8))
    video.release()


def two_videos(folder: Path, first: str, second: str) -> Any:
    """One label in frame 1 of each of two videos, which need not exist."""
    content = labels(folder / "unused")
    placed = [sio.Instance.from_numpy(POINTS[1] + i, skeleton=content.skeletons[0]) for i in range(2)]
    videos = [sio.Video(filename=str(folder / name), open_backend=False) for name in (first, second)]
    for video in videos:
        video.backend_metadata = {"type": "MediaVideo", "shape": (3, 48, 64, 3), "filename": video.filename}
    frames = [
        sio.LabeledFrame(video=video, frame_idx=1, instances=[instance])
        for video, instance in zip(videos, placed, strict=True)
    ]
    return sio.Labels(videos=videos, skeletons=content.skeletons, labeled_frames=frames)


def test_the_videos_of_the_file_are_read(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 20)
    write_video(tmp_path / "sub/a.avi", 120)
    two_videos(tmp_path, "a.avi", "sub/a.avi").save(str(tmp_path / "bugs.slp"))
    result = read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames"))
    assert [image.groups for image in result] == [("video a.avi-1",), ("video a.avi-2",)]
    (tmp_path / "images").mkdir()
    result = read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "images"))
    assert [round(float(read_image(image.path).mean()) / 20) for image in result] == [2, 7]


def test_two_videos_are_not_found_as_one_file(tmp_path: Path) -> None:
    two_videos(tmp_path / "there", "one/a.avi", "two/a.avi").save(str(tmp_path / "bugs.slp"))
    write_video(tmp_path / "a.avi", 20)
    with pytest.raises(LabelError, match=r"the videos .*one/a\.avi and .*two/a\.avi are both found as"):
        read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames"))
    (tmp_path / "a.avi").unlink()
    write_video(tmp_path / "one/a.avi", 20)
    write_video(tmp_path / "two/a.avi", 120)
    result = read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames"))
    assert [round(float(read_image(image.path).mean()) / 20) for image in result] == [2, 7]


def test_a_missing_video_is_skipped_with_its_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 20)
    two_videos(tmp_path, "a.avi", "gone.avi").save(str(tmp_path / "bugs.slp"))
    with pytest.raises(LabelError, match=r"no video at .*gone\.avi: give its folder with --images"):
        read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames"))
    problems = Problems(skip=True)
    result = read_labels(tmp_path / "bugs.slp", ReadOptions(frames=tmp_path / "frames", problems=problems))
    assert [image.groups for image in result] == [("video a.avi",)]
    assert len(problems.skipped) == 1


def test_two_lists_of_images_are_not_found_as_one(tmp_path: Path) -> None:
    content = labels(tmp_path / "one")
    draw_images(tmp_path / "two", IMAGES)
    other = sio.Video.from_filename([str(tmp_path / "two" / name) for name in IMAGES])
    placed = sio.Instance.from_numpy(POINTS[1] + 9, skeleton=content.skeletons[0])
    content.videos.append(other)
    content.labeled_frames.append(sio.LabeledFrame(video=other, frame_idx=1, instances=[placed]))
    content.save(str(tmp_path / "bugs.slp"))
    assert len(read_labels(tmp_path / "bugs.slp")) == 3
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "two").rename(tmp_path / "images")
    with pytest.raises(LabelError, match="which is another frame already: list an image once"):
        read_labels(tmp_path / "bugs.slp")


@pytest.mark.parametrize("video", ["..", "a/..", ".", "C:\\data\\..\\..", "x" * 300])
def test_frames_stay_in_their_folder(tmp_path: Path, video: str) -> None:
    from cairn.datasets.formats.video_frames import folder_name

    assert ((tmp_path / folder_name(video)).resolve()).parent == tmp_path.resolve()
    (tmp_path / folder_name(video)).mkdir()


@pytest.mark.parametrize("embed", ["user", "user+suggestions", "all"])
def test_packages_of_several_videos(tmp_path: Path, embed: str) -> None:
    """Only some frames are embedded, and those of suggestions and predictions are not labels."""
    write_video(tmp_path / "a.avi", 20)
    write_video(tmp_path / "b.avi", 120)
    content = two_videos(tmp_path, "a.avi", "b.avi")
    content.save(str(tmp_path / "bugs.slp"))
    content = sio.load_slp(str(tmp_path / "bugs.slp"))
    content.suggestions.append(sio.SuggestionFrame(video=content.videos[0], frame_idx=2))
    guess = sio.PredictedInstance.from_numpy(POINTS[1], skeleton=content.skeletons[0], score=1.0)
    content.labeled_frames.append(sio.LabeledFrame(video=content.videos[1], frame_idx=0, instances=[guess]))
    content.save(str(tmp_path / "bugs.pkg.slp"), embed=embed, verbose=False)
    (tmp_path / "a.avi").unlink()
    (tmp_path / "b.avi").unlink()
    (tmp_path / "bugs.pkg.slp").rename(tmp_path / "renamed.pkg.slp")
    result = read_labels(tmp_path / "renamed.pkg.slp", ReadOptions(frames=tmp_path / "frames"))
    assert [image.frame for image in result] == [1, 1]
    assert [image.groups for image in result] == [("video a.avi",), ("video b.avi",)]
    assert [round(float(read_image(image.path).mean()) / 20) for image in result] == [2, 7]


def test_embedded_jpeg_images(tmp_path: Path) -> None:
    import cv2

    h5py = pytest.importorskip("h5py")
    labels(tmp_path).save(str(tmp_path / "bugs.pkg.slp"), embed="user", verbose=False)
    with h5py.File(tmp_path / "bugs.pkg.slp", "a") as file:
        attributes = dict(file["video0/video"].attrs) | {"format": "jpg"}
        images = [cv2.imencode(".jpg", np.full((40, 60, 3), gray, np.uint8))[1].ravel() for gray in (60, 200)]
        del file["video0/video"]
        file["video0"].create_dataset("video", (2,), h5py.special_dtype(vlen=np.dtype("int8")))
        for i, image in enumerate(images):
            file["video0/video"][i] = image.astype("int8")
        file["video0/video"].attrs.update(attributes)
    result = read_labels(tmp_path / "bugs.pkg.slp", ReadOptions(frames=tmp_path / "frames"))
    assert [round(float(read_image(image.path).mean())) for image in result] == [60, 200]


def test_a_frame_that_the_user_confirmed_as_empty_is_an_image(tmp_path: Path) -> None:
    content = labels(tmp_path)
    content.labeled_frames = content.labeled_frames[1:]
    content.labeled_frames.append(
        sio.LabeledFrame(video=content.videos[0], frame_idx=0, instances=[], is_negative=True)
    )
    content.save(str(tmp_path / "bugs.slp"))
    assert [len(image.annotation) for image in read_labels(tmp_path / "bugs.slp")] == [0, 2, 1]


def test_an_unused_skeleton_is_ignored(tmp_path: Path) -> None:
    content = labels(tmp_path)
    content.skeletons.insert(0, sio.Skeleton(["other"], name="unused"))
    content.save(str(tmp_path / "bugs.slp"))
    check(read_labels(tmp_path / "bugs.slp"))
