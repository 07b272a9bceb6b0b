"""Boxes by motion for labels and folders of frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.crops import crops_of
from cairn.datasets.formats import ReadOptions
from cairn.datasets.frames import is_folder_of_images, listed_frames
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.motion import motion_boxes, with_motion_boxes
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from support.moving import frame, scene, write_frames

DOT = Skeleton("dot", ("a",))


def annotation(points: list[tuple[float, float]]) -> Annotation:
    count = len(points)
    return Annotation(
        np.array(points, np.float32).reshape(count, 1, 2),
        np.where(np.isnan(np.array(points).reshape(count, 2)).any(axis=1), 0, 2).astype(np.uint8).reshape(count, 1),
        np.zeros((count, 4), np.float32),
        np.ones(count, np.float32),
        np.zeros(count, bool),
    )


def test_each_image_has_the_box_of_the_disk(tmp_path: Path) -> None:
    centers = write_frames(tmp_path)
    labels = listed_frames(tmp_path, ReadOptions())
    crops = crops_of(labels, "motion", 1.25, Problems())
    assert [crop.image.path.name for crop in crops] == [f"{i:03d}.png" for i in range(12)]
    found = np.array([crop.box[:2] + crop.box[2:] / 2 for crop in crops])
    np.testing.assert_allclose(found, centers, atol=3)


def test_the_background_is_of_all_images_of_the_folder(tmp_path: Path) -> None:
    """Two listed images are too few for a background of their own."""
    centers = write_frames(tmp_path)
    paths = [tmp_path / "003.png", tmp_path / "007.png"]
    for box, center in zip(motion_boxes(paths), centers[[3, 7]], strict=True):
        assert box is not None
        np.testing.assert_allclose(box[:2] + box[2:] / 2, center, atol=3)


def test_folders_are_cameras_of_their_own(tmp_path: Path) -> None:
    first = write_frames(tmp_path / "a", size=(90, 120))
    second = write_frames(tmp_path / "b", size=(120, 90))
    crops = crops_of(listed_frames(tmp_path, ReadOptions()), "motion", 1.25, Problems())
    found = np.array([crop.box[:2] + crop.box[2:] / 2 for crop in crops])
    np.testing.assert_allclose(found, np.concatenate([first, second]), atol=3)


def test_labels_keep_their_keypoints_and_get_the_box(tmp_path: Path) -> None:
    centers = write_frames(tmp_path)
    nan = (float("nan"), float("nan"))
    rows = [[tuple(centers[0])], [], [tuple(centers[2]), nan], [tuple(centers[3]), (5.0, 5.0)]]
    images = [
        LabeledImage(i, tmp_path / f"{i:03d}.png", (90, 120), annotation(own))  # type: ignore[arg-type]
        for i, own in enumerate(rows)
    ]
    problems = Problems()
    labels = with_motion_boxes(Labels(DOT, tuple(images), np.ones(1, bool)), problems)
    assert [image.path.name for image in labels] == ["000.png", "001.png", "002.png"]
    assert [len(image.annotation) for image in labels] == [1, 1, 1]
    assert [bool(image.annotation.labeled[0]) for image in labels] == [True, False, True]
    for i, image in enumerate(labels):
        box = image.annotation.boxes[0]
        np.testing.assert_allclose(box[:2] + box[2:] / 2, centers[i], atol=3)
    (note,) = problems.notes
    assert "several instances" in note
    assert "003.png" in note


def test_images_where_nothing_moves_are_skipped_and_noted(tmp_path: Path) -> None:
    write_frames(tmp_path)
    write_image(tmp_path / "004.png", scene((90, 120)))
    problems = Problems()
    labels = with_motion_boxes(listed_frames(tmp_path, ReadOptions()), problems)
    assert len(labels) == 11
    assert problems.notes == ("images are skipped, because nothing moves in them: 004.png",)


def test_nothing_that_moves_at_all_is_an_error(tmp_path: Path) -> None:
    for i in range(8):
        write_image(tmp_path / f"{i}.png", scene((90, 120)))
    with pytest.raises(LabelError, match="nothing moves in any of 8 images"):
        with_motion_boxes(listed_frames(tmp_path, ReadOptions()), Problems())


@pytest.mark.parametrize("speed", [6, 40])
def test_a_moving_camera_is_one_error(tmp_path: Path, speed: int) -> None:
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (20, 200, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    for i in range(12):
        write_image(tmp_path / f"{i:02d}.png", np.ascontiguousarray(wide[:120, speed * i : speed * i + 160]))
    with pytest.raises(LabelError, match=r"% of the pixels change in half of the frames: motion needs a camera"):
        motion_boxes([tmp_path / "00.png"])


def test_a_noisy_camera_does_not_move(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    background = scene((120, 160))
    for i in range(12):
        write_image(tmp_path / f"{i:02d}.png", frame(background, (20 + 10 * i, 60), 10, noise=20, rng=rng))
    assert all(box is not None for box in motion_boxes(sorted(tmp_path.iterdir())))


def test_sizes_and_numbers_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    write_frames(tmp_path)
    write_image(tmp_path / "x.png", scene((60, 60)))
    with pytest.raises(LabelError, match=r"x\.png is 60x60, and other frames are 120x90"):
        motion_boxes(sorted(tmp_path.iterdir()))
    few = tmp_path / "few"
    few.mkdir()
    for i in range(4):
        shutil.copy(tmp_path / f"{i:03d}.png", few)
    with pytest.raises(LabelError, match=r"few has 4 frames of 120x90: motion needs at least 5"):
        motion_boxes(sorted(few.iterdir()))


def test_damaged_images_that_are_not_listed_do_no_harm(tmp_path: Path) -> None:
    write_frames(tmp_path)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    assert motion_boxes([tmp_path / "000.png"])[0] is not None


def test_a_folder_of_labels_is_no_folder_of_images(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    assert is_folder_of_images(tmp_path / "frames")
    assert not is_folder_of_images(tmp_path / "frames/000.png")
    (tmp_path / "none").mkdir()
    with pytest.raises(LabelError, match="no image in the folder"):
        listed_frames(tmp_path / "none", ReadOptions())
    with pytest.raises(LabelError, match="images, split and category need labels"):
        listed_frames(tmp_path / "frames", ReadOptions(split="train"))
