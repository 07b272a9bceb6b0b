"""DeepLabCut files as pandas writes them, compared with the reader of sleap-io."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.made_labels import draw_images

pandas = pytest.importorskip("pandas", reason="writing DeepLabCut's files needs pandas, which comes with sleap-io")
sio = pytest.importorskip("sleap_io", reason="the independent reader is sleap-io, in the io extra")

PARTS = ("snout", "leftear", "rightear", "tail")
NAMES = ("img0007.png", "img0012.png", "img0100.png")
HEADER = "scorer,me,me\nbodyparts,snout,snout\ncoords,x,y\n"


def frame(several: bool = False, split: bool = True, video: str = "clip", seed: int = 1) -> Any:
    """Labels with NaN for keypoints that are not visible, and for all of the last image."""
    who = [("me", name, part, axis) for name in ("m1", "m2") for part in PARTS for axis in "xy"]
    who += [("me", "single", "food", axis) for axis in "xy"]
    one = [("me", part, axis) for part in PARTS for axis in "xy"]
    names = ["scorer", "individuals", "bodyparts", "coords"] if several else ["scorer", "bodyparts", "coords"]
    columns = pandas.MultiIndex.from_tuples(who if several else one, names=names)
    values = np.round(np.random.default_rng(seed).uniform(0, 39, (len(NAMES), len(columns))), 3)
    values[0, 2:4] = np.nan
    values[-1] = np.nan
    rows = [("labeled-data", video, name) for name in NAMES]
    index = pandas.MultiIndex.from_tuples(rows) if split else ["/".join(row) for row in rows]
    return pandas.DataFrame(values, index=index, columns=columns)


def project(root: Path, several: bool = False, split: bool = True) -> Path:
    for seed, video in enumerate(("clip", "other")):
        folder = root / "labeled-data" / video
        draw_images(folder, NAMES)
        frame(several, split, video, seed).to_csv(folder / "CollectedData_me.csv")
    parts = "MULTI!" if several else "[snout, leftear, rightear, tail]"
    (root / "config.yaml").write_text(
        f"Task: run\nscorer: me\nbodyparts: {parts}\nskeleton:\n- [snout, leftear]\n- [leftear, tail]\n- [tail, gone]\n"
    )
    return root


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_a_file_is_read_as_sleap_io_reads_it(tmp_path: Path, several: bool, split: bool) -> None:
    path = project(tmp_path, several, split) / "labeled-data/clip/CollectedData_me.csv"
    result = read_labels(path)
    expected = sio.load_dlc(str(path))
    joints = [node.name for node in expected.skeletons[0].nodes]
    assert sorted(result.skeleton.joints) == sorted(joints)
    order = [joints.index(joint) for joint in result.skeleton.joints]
    theirs = {Path(frame.video.filename[frame.frame_idx]).name: frame.instances for frame in expected}
    assert sum(len(image.annotation) for image in result) == (6 if several else 2)
    for image in result:
        mine = [row.tolist() for row in np.nan_to_num(image.annotation.keypoints)]
        others = [np.nan_to_num(one.numpy()[order]) for one in theirs.get(image.path.name, [])]
        assert sorted(mine) == sorted(row.astype(np.float32).tolist() for row in others)


def test_a_project_has_all_its_videos(tmp_path: Path) -> None:
    labels = read_labels(project(tmp_path))
    assert len(labels) == 6
    assert labels.skeleton.name == "run"
    assert labels.skeleton.joints == PARTS
    assert labels.skeleton.limbs == ((0, 1), (1, 3))
    assert labels.skeleton.flip_pairs == ((1, 2),)
    assert [image.groups for image in labels][2:4] == [("video clip",), ("video other",)]
    assert [image.frame for image in labels][:3] == [7, 12, 100]
    assert len(labels.images[2].annotation) == 0
    assert labels.images[0].annotation.visibility.tolist() == [[2, 0, 2, 2]]
    assert len(read_labels(tmp_path / "config.yaml")) == 6


def test_individuals_have_track_ids(tmp_path: Path) -> None:
    labels = read_labels(project(tmp_path, several=True))
    assert labels.skeleton.joints == (*PARTS, "food")
    first = labels.images[1].annotation
    assert first.tracks is not None
    assert first.tracks.tolist() == [0, 1, -1]
    assert first.visibility.tolist() == [[2] * 4 + [0]] * 2 + [[0] * 4 + [2]]


def test_csv_and_h5_have_the_same_content(tmp_path: Path) -> None:
    pytest.importorskip("tables", reason="pandas writes .h5 through tables")
    draw_images(tmp_path, NAMES)
    variants = ((False, True, "fixed"), (True, True, "fixed"), (False, False, "table"), (True, False, "fixed"))
    for several, split, layout in variants:
        frame(several, split).to_csv(tmp_path / "CollectedData_me.csv")
        frame(several, split).to_hdf(tmp_path / "CollectedData_me.h5", key="df_with_missing", format=layout, mode="w")
        one, other = read_labels(tmp_path / "CollectedData_me.csv"), read_labels(tmp_path / "CollectedData_me.h5")
        assert one.skeleton == other.skeleton
        for mine, theirs in zip(one, other, strict=True):
            assert mine.path == theirs.path
            np.testing.assert_allclose(mine.annotation.keypoints, theirs.annotation.keypoints)


def test_pickled_code_in_an_h5_is_not_executed(tmp_path: Path) -> None:
    pytest.importorskip("tables", reason="pandas writes .h5 through tables")
    h5py = pytest.importorskip("h5py")

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    draw_images(tmp_path, NAMES)
    path = tmp_path / "CollectedData_me.h5"
    frame(split=False).to_hdf(path, key="df_with_missing", format="table", mode="w")
    with h5py.File(path, "a") as file:
        file["df_with_missing"].attrs["non_index_axes"] = np.bytes_(pickle.dumps([(1, [Trap()])], protocol=0))
    with pytest.raises(
        LabelError, match=r"CollectedData_me\.h5 is damaged, or not a file of DeepLabCut \(UnpicklingError\)"
    ):
        read_labels(path)
    assert not (tmp_path / "executed").exists()


INVALID = [
    (HEADER + "img0007.png,inf,3\n", r"img0007\.png: joint 1 is at \[inf, 3"),
    (HEADER + "img0007.png,a,3\n", r"row 4: expected numbers or nothing, got a,3"),
    (HEADER + "img0007.png,1\n", r"row 4 has 2 cells, expected 3: is it truncated"),
    (HEADER + "img0007.png,1,2\nimg0007.png,1,2\n", r"img0007\.png occurs twice"),
    (HEADER + "../../x.png,1,2\n", r"1 of \d images are missing, the first is .*x\.png"),
    (HEADER + "img9.png,1,2\n", r"1 of 1 images are missing, the first is .*img9\.png"),
    (HEADER, "no image has a labeled joint"),
    (HEADER + "img0007.png,,\n", "no image has a labeled joint"),
    (HEADER.replace("bodyparts", "parts"), "not a file of DeepLabCut: expected the rows"),
    (HEADER.replace("x,y", "x,x") + "img0007.png,1,2\n", "a body part occurs twice"),
    (HEADER.replace("x,y", "x,z") + "0,1,2\n", "columns must be scorer"),
]


@pytest.mark.parametrize(("text", "message"), INVALID, ids=[message for _, message in INVALID])
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    draw_images(tmp_path, NAMES)
    (tmp_path / "CollectedData_me.csv").write_text(text)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "CollectedData_me.csv")
    assert "CollectedData_me.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_invalid_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    draw_images(tmp_path, NAMES)
    rows = "img0007.png,1,2\nimg0012.png,inf,2\nimg0100.png,x,2\nimg9.png,1,2\nimg0007.png,4,4\n"
    (tmp_path / "labels.csv").write_text(HEADER + rows)
    problems = Problems(skip=True)
    labels = read_labels(tmp_path / "labels.csv", ReadOptions(problems=problems))
    assert [image.path.name for image in labels] == ["img0007.png"]
    assert len(labels.images[0].annotation) == 1
    assert len(problems.skipped) == 4
