"""Written projects of DeepLabCut: they read back the same, and pandas and sleap-io open them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats.deeplabcut import read_deeplabcut, write_deeplabcut
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.datasets.writing import form_by_name
from cairn.errors import OutputError
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from support.made_labels import SIZE, assert_same, draw_images, make_labels

yaml = pytest.importorskip("yaml", reason="reading config.yaml needs PyYAML, which is in the io extra")
pytest.importorskip("h5py")

COMPUTED = ("boxes", "areas", "crowd")  # not in DeepLabCut's files


def row(keypoints: Any, track: int = -1) -> tuple[list[list[float]], int]:
    return [[np.nan, np.nan] if point is None else list(point) for point in keypoints], track


def made(folder: Path, skeleton: Skeleton, images: list[list[Any]], tracked: bool, video: str = "clip") -> Labels:
    """Labels of images img0.png, img1.png, ... with visible keypoints."""
    names = tuple(f"img{i}.png" for i in range(len(images)))
    for name in names:
        draw_images(folder, (name,))
    result = []
    for i, (name, rows) in enumerate(zip(names, images, strict=True)):
        points = np.array([keypoints for keypoints, _ in rows], np.float32).reshape(-1, len(skeleton), 2)
        annotation = Annotation(
            keypoints=points,
            visibility=np.where(np.isfinite(points).all(axis=2), 2, 0).astype(np.uint8),
            boxes=np.zeros((len(rows), 4), np.float32),
            areas=np.ones(len(rows), np.float32),
            crowd=np.zeros(len(rows), bool),
            tracks=np.array([track for _, track in rows], np.int64) if tracked else None,
        )
        result.append(LabeledImage(i + 1, folder / name, SIZE, annotation, (f"video {video}",), i))
    known = np.any([np.any(image.annotation.visibility > 0, axis=0) for image in result], axis=0)
    return Labels(skeleton, tuple(result), known)


def again(labels: Labels, folder: Path) -> Labels:
    write_deeplabcut(labels, folder)
    return read_deeplabcut(folder, ReadOptions(problems=Problems(log_notes=False)))


def check(labels: Labels, folder: Path) -> Labels:
    result = again(labels, folder)
    assert_same(labels, result, but=COMPUTED)
    assert [image.path.name for image in result] == [image.path.name for image in labels]
    assert [image.frame for image in result] == [image.frame for image in labels]
    assert [image.groups for image in result] == [image.groups for image in labels]
    return result


MICE = Skeleton("mice", ("nose", "left ear", "right ear"), ((0, 1), (0, 2)), (), ((1, 2),), (0.026, 0.05, 0.05))
A, B, C = (1.5, 2), (0.1, 39.99), (-3.25, 1e4 / 3)


def test_one_animal(tmp_path: Path) -> None:
    labels = made(tmp_path, MICE, [[row([A, B, C])], [row([None, B, None])], []], tracked=False)
    check(labels, tmp_path / "p")
    config = yaml.safe_load((tmp_path / "p/config.yaml").read_text(encoding="utf-8"))
    assert config["multianimalproject"] is False
    assert config["bodyparts"] == list(MICE.joints)
    assert [Path(video).stem for video in config["video_sets"]] == ["clip"]


def test_one_joint_with_an_unusual_name(tmp_path: Path) -> None:
    skeleton = Skeleton('Rübe, "1"', ("Öhr: a,b",), (), (), ())
    check(made(tmp_path, skeleton, [[row([A])], []], tracked=False, video="Käfig 1"), tmp_path / "p")


def test_a_joint_without_labels_stays_in_the_skeleton(tmp_path: Path) -> None:
    labels = made(tmp_path, MICE, [[row([A, None, C])]], tracked=False)
    assert check(labels, tmp_path / "p").labeled_joints.tolist() == [True, False, True]


def test_several_animals_with_track_ids(tmp_path: Path) -> None:
    images = [[row([A, B, C], 0), row([B, None, None], 2)], [row([C, C, A], 1)], []]
    check(made(tmp_path, MICE, images, tracked=True), tmp_path / "p")


def test_several_animals_without_track_ids(tmp_path: Path) -> None:
    images = [[row([A, B, C]), row([B, None, None])], [row([C, C, A])]]
    result = check(made(tmp_path, MICE, images, tracked=False), tmp_path / "p")
    assert result.images[0].annotation.tracks is None


@pytest.mark.parametrize("tracked", [True, False])
def test_unique_body_parts(tmp_path: Path, tracked: bool) -> None:
    skeleton = Skeleton("mice", ("nose", "tail", "food", "door"), (), (), (), (0.026, 0.05, 0.05, 0.05))
    first = [row([A, B, None, None], 0), row([B, B, None, None], 1), row([None, None, C, A], -1)]
    images = [first, [row([A, A, None, None], 1), row([None, None, A, None], -1)]]
    check(made(tmp_path, skeleton, images, tracked), tmp_path / "p")
    config = yaml.safe_load((tmp_path / "p/config.yaml").read_text(encoding="utf-8"))
    assert config["uniquebodyparts"] == ["food", "door"]
    assert config["multianimalbodyparts"] == ["nose", "tail"]
    header = (tmp_path / "p/labeled-data/clip/CollectedData_cairn.csv").read_text().splitlines()
    assert header[1].endswith(",single,single,single,single")


def test_more_track_ids_than_individuals(tmp_path: Path) -> None:
    """Each video has track IDs of its own: they must not become hundreds of columns."""
    one = made(tmp_path / "a", MICE, [[row([A, B, C], i)] for i in range(40)], tracked=True, video="one")
    two = made(tmp_path / "b", MICE, [[row([A, B, C], 50 + i % 2)] for i in range(40)], tracked=True, video="two")
    result = again(replace(one, images=one.images + two.images), tmp_path / "p")
    config = yaml.safe_load((tmp_path / "p/config.yaml").read_text())
    assert len(config["individuals"]) == 42
    many = made(tmp_path / "c", MICE, [[row([A, B, C], 60 + i)] for i in range(30)], tracked=True, video="three")
    result = again(replace(one, images=one.images + two.images + many.images), tmp_path / "q")
    config = yaml.safe_load((tmp_path / "q/config.yaml").read_text())
    assert len(config["individuals"]) == 40
    tracks = {}
    for image in result:
        tracks.setdefault(image.groups[0], set()).update(image.annotation.tracks.tolist())
    assert tracks["video two"] == {0, 1}
    assert tracks["video three"] == set(range(30))


def test_pandas_and_sleap_io_read_the_same(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables", reason="pandas reads .h5 through tables")
    sio = pytest.importorskip("sleap_io")
    images = [[row([A, B, C], 0), row([B, None, None], 1)], [row([C, C, A], 1)]]
    write_deeplabcut(made(tmp_path, MICE, images, tracked=True, video="clip ü.mp4"), tmp_path / "p")
    path = tmp_path / "p/labeled-data/clip ü/CollectedData_cairn.csv"
    frame = pandas.read_hdf(path.with_suffix(".h5"))
    table = pandas.read_csv(path, index_col=[0, 1, 2], header=[0, 1, 2, 3])
    assert list(frame.columns.names) == ["scorer", "individuals", "bodyparts", "coords"]
    assert list(frame.index.names) == [None] * 3
    assert frame.columns.tolist() == table.columns.tolist()
    assert frame.index.tolist() == table.index.tolist()
    np.testing.assert_array_equal(frame.to_numpy(), table.to_numpy())
    np.testing.assert_array_equal(frame["cairn"]["individual2"]["nose"].to_numpy(), [[0.1, 39.99], [-3.25, 3333.3333]])
    content = sio.load_dlc_project(str(tmp_path / "p/config.yaml")) if hasattr(sio, "load_dlc_project") else None
    if content is not None:
        assert sum(len(frame.instances) for frame in content) == 3


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "images", crowds=True, seed=4)
    lost = " | ".join(write_deeplabcut(labels, tmp_path / "p"))
    for what in ("occluded keypoints are written as visible", "areas", "crowd regions", "lose their frame number"):
        assert what in lost
    result = read_deeplabcut(tmp_path / "p", ReadOptions())
    assert [len(image.annotation) for image in result] == [1, 1, 0]
    for mine, theirs in zip(labels, result, strict=True):
        np.testing.assert_array_equal(read_image(mine.path), read_image(theirs.path))


def test_images_that_deeplabcut_cannot_open_become_png(tmp_path: Path) -> None:
    labels = made(tmp_path, MICE, [[row([A, B, C])]], tracked=False)
    (image,) = labels
    write_image(tmp_path / "img0.bmp", read_image(image.path))
    result = again(replace(labels, images=(replace(image, path=tmp_path / "img0.bmp"),)), tmp_path / "p")
    assert result.images[0].path.name == "img0.png"
    np.testing.assert_array_equal(read_image(result.images[0].path), read_image(image.path))


def test_a_project_of_another_origin_is_not_changed(tmp_path: Path) -> None:
    labels = made(tmp_path, MICE, [[row([A, B, C])]], tracked=False)
    (tmp_path / "p").mkdir()
    (tmp_path / "p/config.yaml").write_text("Task: mine\nscorer: me\nbodyparts: [nose]\n")
    with pytest.raises(OutputError, match="is of another project: choose another folder"):
        write_deeplabcut(labels, tmp_path / "p")
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["config.yaml"]
    check(labels, tmp_path / "q")
    check(labels, tmp_path / "q")  # again


def test_a_failed_write_leaves_nothing_half(tmp_path: Path) -> None:
    labels = made(tmp_path, MICE, [[row([A, B, C])], [row([A, B, C])]], tracked=False)
    labels.images[1].path.unlink()
    with pytest.raises(OutputError, match="cannot write"):
        write_deeplabcut(labels, tmp_path / "p")
    assert not list((tmp_path / "p").rglob("*"))


def test_the_format_of_a_folder_is_known_by_its_suffix(tmp_path: Path) -> None:
    for name, form in (("p.dlc", "deeplabcut"), ("p", "yolo")):
        assert form_by_name(tmp_path / name) == form
        (tmp_path / name).mkdir()
        assert form_by_name(tmp_path / name) == form
