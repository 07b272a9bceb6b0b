"""Written .slp files: they read back the same, and sleap-io opens them with their images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.sleap import read_sleap
from cairn.datasets.formats.sleap.writing import write_slp
from cairn.datasets.labels import Labels
from cairn.media.images import read_image
from support.made_labels import assert_same, draw_images, make_labels

sio = pytest.importorskip("sleap_io", reason="SLEAP files need sleap-io, which is in the io extra")

COMPUTED = ("boxes", "areas", "crowd")  # not in SLEAP's files


def made(folder: Path, names: tuple[str, ...] = ("7.png", "8.png", "ü 9.png")) -> Labels:
    """Labels of one folder of frames, whose tracks are numbered from 0."""
    labels = make_labels(folder, names)
    images = tuple(
        replace(
            image,
            frame=7 + i,
            groups=(f"video {folder.name}",),
            annotation=replace(image.annotation, tracks=image.annotation.tracks % 2),
        )
        for i, image in enumerate(labels)
    )
    return replace(labels, images=images, skeleton=replace(labels.skeleton, sigmas=(0.05,) * 4 + (0.026,)))


def test_labels_round_trip(tmp_path: Path) -> None:
    labels = made(tmp_path / "clip.mp4")
    lost = write_slp(labels, tmp_path / "a.slp")
    result = read_sleap(tmp_path / "a.slp", ReadOptions())
    assert_same(labels, result, but=COMPUTED)
    for mine, theirs in zip(labels, result, strict=True):
        assert (mine.path, mine.frame, mine.groups) == (theirs.path, theirs.frame, theirs.groups)
    assert lost == ("4 areas are skipped: SLEAP has no field for them",)


def test_sleap_io_reads_the_same(tmp_path: Path) -> None:
    labels = made(tmp_path / "clip.mp4")
    write_slp(labels, tmp_path / "a.slp")
    content = sio.load_slp(str(tmp_path / "a.slp"))
    (video,) = content.videos
    assert [track.name for track in content.tracks] == ["track_0", "track_1"]
    assert content.skeleton.node_names == list(labels.skeleton.joints)
    assert [tuple(edge) for edge in content.skeleton.edge_inds] == list(labels.skeleton.limbs)
    first = content.labeled_frames[0]
    np.testing.assert_array_equal(np.asarray(video[0])[..., :3], read_image(labels.images[0].path))
    for mine, theirs in zip(labels.images[0].annotation.visibility, first.user_instances, strict=True):
        placed = np.isfinite(theirs.points["xy"]).all(axis=1)
        assert (placed * (1 + theirs.points["visible"])).tolist() == mine.tolist()


def test_images_of_several_folders_and_sizes(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one/cam"), made(tmp_path / "two/cam")
    (image, *others) = two.images
    draw_images(image.path.parent, (image.path.name,), (30, 50))
    labels = replace(one, images=(*one.images, replace(image, size=(30, 50)), *others))
    write_slp(labels, tmp_path / "a.slp")
    result = read_sleap(tmp_path / "a.slp", ReadOptions())
    by_path = {image.path: image for image in result}
    assert len(by_path) == 6
    for image in labels:
        again = by_path[image.path]
        assert again.size == image.size
        np.testing.assert_array_equal(again.annotation.keypoints, image.annotation.keypoints)
    groups = [by_path[image.path].groups for image in labels]
    assert len(set(groups[:3])) == len(set(groups[3:])) == 1
    assert groups[0] != groups[3]


def test_an_image_without_instances_stays(tmp_path: Path) -> None:
    labels = made(tmp_path / "clip")
    write_slp(labels, tmp_path / "a.slp")
    assert [len(image.annotation) for image in read_sleap(tmp_path / "a.slp", ReadOptions())] == [2, 2, 0]


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    labels = make_labels(tmp_path, crowds=True)
    images = tuple(replace(image, groups=(*image.groups, "subject 1"), split="val") for image in labels)
    annotation = images[0].annotation
    classes = replace(annotation, classes=np.zeros(len(annotation), np.int64))
    images = (replace(images[0], annotation=classes), *images[1:])
    lost = " | ".join(write_slp(replace(labels, images=images, classes=("a", "b")), tmp_path / "a.slp"))
    parts = ("crowd regions", "frame number", "name of their video", "subject", "class", "renumbered")
    assert not [part for part in parts if part.rstrip("s") not in lost]


def test_an_image_with_regions_to_ignore_alone_is_reported(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    image = labels.images[0]
    crowd = replace(image.annotation, crowd=np.ones(len(image.annotation), bool))
    labels = replace(labels, images=(replace(image, annotation=crowd), *labels.images[1:]))
    lost = write_slp(labels, tmp_path / "a.slp")
    assert "1 images whose instances have no keypoints are unlabeled in SLEAP, and not read back" in lost
    assert len(read_sleap(tmp_path / "a.slp", ReadOptions())) == len(labels) - 1
