"""A project's config.yaml decides whose labels are read, of which videos, and which joints there are."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.dlc_projects import NAMES, add_folder, sheet, write_config

pytest.importorskip("yaml", reason="config.yaml needs PyYAML, which is in the io extra")

CONFIG = "Task: mice\nscorer: me\nbodyparts: [nose, tail]\nskeleton: [[nose, tail]]\n"


def read(root: Path) -> tuple:
    problems = Problems(log_notes=False)
    return read_labels(root, ReadOptions(problems=problems)), problems.notes


def corners(labels) -> list[float]:
    return [float(image.annotation.keypoints[0, 0, 0]) for image in labels]


@pytest.mark.parametrize("header", ["me", "you"])
def test_the_scorer_of_the_project_labels_each_image_once(tmp_path: Path, header: str) -> None:
    add_folder(tmp_path)
    add_folder(tmp_path, text=sheet(header, at=20), scorer="you")
    write_config(tmp_path, CONFIG)
    labels, notes = read(tmp_path)
    assert [len(image.annotation) for image in labels] == [1, 1, 1]
    assert corners(labels) == [5, 6, 7]
    assert notes == ("labels of other scorers than me of config.yaml are skipped: you",)
    write_config(tmp_path, CONFIG.replace("scorer: me", "scorer: you"))
    if header == "you":
        assert corners(read(tmp_path)[0]) == [20, 21, 22]


def test_a_folder_of_another_scorer_alone_is_left_out(tmp_path: Path) -> None:
    add_folder(tmp_path)
    add_folder(tmp_path, "vid2", sheet("you", "vid2"), scorer="you")
    write_config(tmp_path, CONFIG)
    labels, notes = read(tmp_path)
    assert {image.groups for image in labels} == {("video vid1",)}
    assert "folders without labels of me are skipped: vid2" in notes


def test_two_scorers_of_the_same_images_without_config_are_an_error(tmp_path: Path) -> None:
    add_folder(tmp_path)
    add_folder(tmp_path, scorer="you")
    with pytest.raises(LabelError, match=r"CollectedData_you\.csv labels .*img00\.png, which CollectedData_me\.csv"):
        read(tmp_path)
    write_config(tmp_path, CONFIG.replace("scorer: me\n", ""))
    with pytest.raises(LabelError, match="give one file"):
        read(tmp_path)


def test_two_scorers_of_other_images_without_config_are_read(tmp_path: Path) -> None:
    add_folder(tmp_path)
    add_folder(tmp_path, "vid2", scorer="you")
    assert len(read(tmp_path)[0]) == 6


@pytest.mark.parametrize(
    ("scorer", "in_yaml"),
    [("NO", "NO"), ("7", "7"), ("Zoë", "Zoe\u0308"), ("a b", "a b"), ("on", "'on'")],
)
def test_a_scorer_is_text(tmp_path: Path, scorer: str, in_yaml: str) -> None:
    add_folder(tmp_path, text=sheet(scorer), scorer=scorer)
    add_folder(tmp_path, scorer="you")
    write_config(tmp_path, CONFIG.replace("me", in_yaml))
    assert [len(image.annotation) for image in read(tmp_path)[0]] == [1, 1, 1]


def test_a_scorer_without_labels_is_an_error(tmp_path: Path) -> None:
    add_folder(tmp_path)
    write_config(tmp_path, CONFIG.replace("scorer: me", "scorer: Ann"))
    with pytest.raises(LabelError, match=r"config\.yaml has the scorer Ann, but the labels are of me"):
        read(tmp_path)
    assert len(read_labels(tmp_path / "labeled-data/vid1/CollectedData_me.csv")) == 3  # given by name


def test_labels_of_another_scorer_under_the_name_of_the_scorer_are_left_out(tmp_path: Path) -> None:
    add_folder(tmp_path, text=sheet("you"))
    write_config(tmp_path, CONFIG)
    with pytest.raises(LabelError, match=r"CollectedData_me\.csv \(you\) has another scorer in its header"):
        read(tmp_path)
    add_folder(tmp_path, "vid2")
    labels, notes = read(tmp_path)
    assert {image.groups for image in labels} == {("video vid2",)}
    assert any("vid1/CollectedData_me.csv (you)" in note for note in notes)


def test_columns_of_several_scorers_in_one_file(tmp_path: Path) -> None:
    mine, theirs = sheet("me").splitlines(), sheet("you", at=20).splitlines()
    both = "\n".join(f"{a},{b.split(',', 3)[3]}" for a, b in zip(mine, theirs, strict=True)) + "\n"
    path = add_folder(tmp_path, text=both)
    write_config(tmp_path, CONFIG)
    assert corners(read(tmp_path)[0]) == [5, 6, 7]
    (tmp_path / "config.yaml").unlink()
    path = path.rename(path.with_name("labels.csv"))
    with pytest.raises(LabelError, match="columns of the scorers me, you: keep those of one"):
        read(path)


@pytest.mark.parametrize(
    "video", ["/data/videos/vid1.mp4", r"C:\Users\me\videos\vid1.avi", "videos/vid1.MOV", r"'\\server\share\vid1.mp4'"]
)
def test_the_videos_of_the_project_are_read(tmp_path: Path, video: str) -> None:
    add_folder(tmp_path)
    add_folder(tmp_path, "old")
    write_config(tmp_path, f"{CONFIG}video_sets:\n  {video}:\n    crop: 0, 640, 0, 480\n")
    labels, notes = read(tmp_path)
    assert {image.groups for image in labels} == {("video vid1",)}
    assert notes == ("folders of labeled-data that are not in video_sets of config.yaml are skipped: old",)


@pytest.mark.parametrize("videos", ["{}", "", "{/data/gone.mp4: {crop: 1}}"])
def test_without_videos_of_the_project_all_are_read(tmp_path: Path, videos: str) -> None:
    add_folder(tmp_path)
    add_folder(tmp_path, "other")
    write_config(tmp_path, f"{CONFIG}video_sets: {videos}\n")
    labels, notes = read(tmp_path)
    assert len(labels) == 6
    assert len(notes) == ("gone" in videos)


def test_the_joints_are_those_of_the_project_in_its_order(tmp_path: Path) -> None:
    path = add_folder(tmp_path, text=sheet(parts=("tail", "old", "nose")))
    write_config(
        tmp_path, "Task: mice\nscorer: me\nbodyparts: [nose, ear, tail]\nskeleton: [[nose, ear, tail], [x, y]]"
    )
    for source in (tmp_path, tmp_path / "config.yaml", path):
        labels, notes = read(source)
        assert labels.skeleton.joints == ("nose", "ear", "tail")
        assert labels.skeleton.limbs == ((0, 1), (1, 2))
        assert labels.labeled_joints.tolist() == [True, False, True]
        np.testing.assert_array_equal(labels.images[0].annotation.keypoints[0, [0, 2]], [[5, 7], [5, 5]])
        assert notes == ("body parts that config.yaml does not list are skipped: old",)


def test_joints_of_another_project_are_an_error(tmp_path: Path) -> None:
    add_folder(tmp_path)
    write_config(tmp_path, "scorer: me\nbodyparts: [paw, wing]\n")
    with pytest.raises(LabelError, match=r"body parts nose, tail are none of those of .*config\.yaml: paw, wing"):
        read(tmp_path)


SEVERAL = """\
Task: mice
scorer: me
multianimalproject: true
bodyparts: MULTI!
multianimalbodyparts: [nose, tail]
uniquebodyparts: [food]
individuals: [m1, m2, m3]
"""
ANIMALS = """\
scorer,,,me,me,me,me,me,me
individuals,,,m3,m3,m1,m1,single,single
bodyparts,,,tail,tail,nose,nose,food,food
coords,,,x,y,x,y,x,y
labeled-data,vid1,img00.png,1,2,3,4,5,6
labeled-data,vid1,img01.png,1,2,,,,
labeled-data,vid1,img02.png,,,,,,
"""


@pytest.mark.parametrize("identity", ["", "identity:\n", "identity: true\n", "identity: false\n"])
def test_individuals_are_numbered_as_in_the_project(tmp_path: Path, identity: str) -> None:
    add_folder(tmp_path, text=ANIMALS)
    write_config(tmp_path, SEVERAL + identity)
    labels, notes = read(tmp_path)
    assert labels.skeleton.joints == ("nose", "tail", "food")
    first, second, third = (image.annotation for image in labels)
    assert first.visibility.tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    assert (len(second), len(third)) == (1, 0)
    if identity == "identity: false\n":
        assert first.tracks is None
        assert any("identity is false" in note for note in notes)
    else:
        assert first.tracks.tolist() == [0, 2, -1]
        assert second.tracks.tolist() == [2]


def test_labels_from_before_the_project_had_several_animals(tmp_path: Path) -> None:
    add_folder(tmp_path, text=sheet(parts=("nose", "tail", "food")))
    write_config(tmp_path, SEVERAL)
    first = read(tmp_path)[0].images[0].annotation
    assert first.visibility.tolist() == [[2, 2, 0], [0, 0, 2]]
    assert first.tracks.tolist() == [0, -1]


def test_where_csv_and_h5_differ_the_h5_is_read(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    from cairn.datasets.formats.deeplabcut.data_frame import write_data_frame

    path = add_folder(tmp_path)
    columns = [("me", part, axis) for part in ("nose", "tail") for axis in "xy"]
    names = [("labeled-data", "vid1", name) for name in NAMES]
    values = np.array([[5.0 + i, 5, 5 + i, 6] for i in range(3)])
    levels = ("scorer", "bodyparts", "coords")
    write_data_frame(path.with_suffix(".h5"), columns, levels, names, values)
    labels, notes = read(tmp_path)
    assert corners(labels) == [5, 6, 7]
    assert not notes
    write_data_frame(path.with_suffix(".h5"), columns, levels, names, values + 10)
    labels, notes = read(tmp_path)
    assert corners(labels) == [15, 16, 17]
    assert len(notes) == 1
    assert "differ from their .h5" in notes[0]
    path.with_suffix(".h5").write_bytes(b"\x89HDF\r\n\x1a\n damaged")
    labels, notes = read(tmp_path)
    assert corners(labels) == [5, 6, 7]
    assert "damaged .h5 files are ignored" in notes[0]


VARIANTS = {
    "windows paths": ("labeled-data,vid1,img", r",labeled-data\vid1\img"),
    "one column": ("labeled-data,vid1,img", ",labeled-data/vid1/img"),
    "absolute": ("labeled-data,vid1,img", ",/home/me/mice/labeled-data/vid1/img"),
    "renamed folder": ("labeled-data,vid1,img", "labeled-data,before,img"),
    "byte order mark": ("scorer", "\ufeffscorer"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_name_the_images_of_their_folder(tmp_path: Path, name: str) -> None:
    old, new = VARIANTS[name]
    text = sheet().replace(old, new)
    if new.startswith(","):
        text = "\n".join(line.replace(",,,", ",", 1).removeprefix(",") for line in text.splitlines())
    add_folder(tmp_path, "other", sheet(video="other"))
    add_folder(tmp_path, text=text)
    write_config(tmp_path, CONFIG)
    labels = read(tmp_path)[0]
    assert [image.path.parent.name for image in labels] == ["other"] * 3 + ["vid1"] * 3
    assert [image.frame for image in labels] == [0, 1, 2] * 2


@pytest.mark.parametrize(("comma", "point"), [(";", ","), ("\t", "."), (";", ".")])
def test_a_table_saved_by_a_spreadsheet_program(tmp_path: Path, comma: str, point: str) -> None:
    text = sheet().replace(",5,", ",5.25,").replace(",", comma).replace(".25", f"{point}25").replace("\n", "\r\n")
    path = add_folder(tmp_path, text=text)
    assert float(read(path)[0].images[0].annotation.keypoints[0, 0, 0]) == 5.25


def test_header_cells_that_pandas_invented_are_not_columns(tmp_path: Path) -> None:
    text = sheet().replace("bodyparts,,", "bodyparts,Unnamed: 1_level_1,Unnamed: 2_level_1")
    text = text.replace("coords,,", "coords,Unnamed: 1_level_2,Unnamed: 2_level_2")
    assert len(read(add_folder(tmp_path, text=text))[0]) == 3


def test_a_config_that_is_no_yaml_is_one_line(tmp_path: Path) -> None:
    add_folder(tmp_path)
    write_config(tmp_path, "scorer: [me\nbodyparts: {")
    with pytest.raises(LabelError, match=r"config\.yaml is not valid YAML") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
