"""Which images and clips sources name, and that no two results have one name."""

import re
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import ImageError
from cairn.media.reading import ReadOptions, read_frames
from cairn.media.sources import _without_suffix, find_sources


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    names = "a.jpg b.PNG note.txt a.cairn.jpg .hidden.jpg one/a.jpg one/a.png one/c.jpg two/a.jpg .secret/s.jpg"
    for name in names.split():
        path = tmp_path / "pics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def named(*sources: str) -> dict[str, str]:
    return {each.name.path.as_posix(): each.name.output.as_posix() for each in find_sources(sources)}


def test_folder_is_read_recursively_without_results_of_earlier_runs(tree: Path) -> None:
    assert named("pics") == {
        "pics/a.jpg": "a",
        "pics/b.PNG": "b",
        "pics/one/a.jpg": "one/a.jpg",
        "pics/one/a.png": "one/a.png",
        "pics/one/c.jpg": "one/c.jpg",
        "pics/two/a.jpg": "two/a",
    }


def test_equal_names_in_two_folders_keep_their_folders(tree: Path) -> None:
    assert named("pics/two/a.jpg", "pics/a.jpg") == {"pics/two/a.jpg": "two/a", "pics/a.jpg": "a"}
    assert named("pics/one", "pics/two")["pics/two/a.jpg"] == "two/a"
    assert named("pics/*/a.jpg") == {"pics/one/a.jpg": "one/a", "pics/two/a.jpg": "two/a"}


def test_paths_with_dots_stay_in_the_output_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "pics" / "one")
    assert named("../two/a.jpg", "c.jpg") == {"../two/a.jpg": "two/a", "c.jpg": "one/c"}


def test_globs(tree: Path) -> None:
    assert list(named("pics/**/a.jpg")) == ["pics/a.jpg", "pics/one/a.jpg", "pics/two/a.jpg"]
    assert list(named(str(tree / "pics" / "*.jpg"))) == [(tree / "pics" / "a.jpg").as_posix()]
    odd = tree / "pics" / "odd[1].jpg"
    odd.touch()
    assert named("pics/odd[1].jpg") == {"pics/odd[1].jpg": "odd[1]"}


def test_image_named_twice_is_returned_once(tree: Path) -> None:
    assert list(named("pics/two/a.jpg", "pics/two", str(tree / "pics/two/a.jpg"))) == ["pics/two/a.jpg"]


def test_explicit_file_is_returned_whether_or_not_it_exists(tree: Path) -> None:
    assert named("pics/a.cairn.jpg") == {"pics/a.cairn.jpg": "a.cairn"}
    assert named("pics/absent.jpg") == {"pics/absent.jpg": "absent"}


def test_folders_and_globs_without_images_raise(tree: Path) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(ImageError, match=r"no image or video in the folder empty$"):
        find_sources(["pics", "empty"])
    with pytest.raises(ImageError, match=r"no image or video matches pics/\*\.gif"):
        find_sources(["pics/*.gif"])
    with pytest.raises(ImageError, match="a source is empty"):  # and not the current folder
        find_sources([""])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://bucket/a.jpg", "s3://bucket/a.jpg has a scheme that is not read"),
        ("-", "- is stdin, which is not read"),
        ("/dev/stdin", "/dev/stdin is stdin, which is not read"),
        ("a\0b.jpg", "contains a null character"),
    ],
)
def test_sources_that_are_not_read_state_what_to_pass(source: str, message: str) -> None:
    with pytest.raises(ImageError, match=re.escape(message)):
        find_sources([source])


paths = st.builds(
    lambda folder, stem, suffix: f"{folder}{stem}{suffix}",
    st.sampled_from(["", "x/", "x/y/"]),
    st.sampled_from(["a", "A", "a.jpg", "b.v2", "b"]),
    st.sampled_from([".jpg", ".png", ".JPG", ""]),
)


@given(st.lists(paths, unique_by=str.lower, max_size=12))
def test_output_names_are_unique(names: list[str]) -> None:
    outputs = list(_without_suffix([PurePath(name) for name in names]))
    assert len({str(output).lower() for output in outputs}) == len(names)
    assert [output.parent for output in outputs] == [PurePath(name).parent for name in names]


def kinds(*sources: str) -> dict[str, tuple[str, str]]:
    return {each.name.path.as_posix(): (each.kind, each.name.output.as_posix()) for each in find_sources(sources)}


def test_clips_are_recognized_by_their_names(tree: Path) -> None:
    for name in ("clip.mp4", "clip.MOV", "a.mp4", "shot_0001.png", "shot_0002.png", "5"):
        (tree / "pics" / name).touch()
    assert kinds("pics/clip.mp4", "pics/absent.webm") == {
        "pics/clip.mp4": ("video", "clip"),
        "pics/absent.webm": ("video", "absent"),
    }
    assert kinds("pics/shot_%04d.png") == {"pics/shot_%04d.png": ("sequence", "shot")}
    assert kinds("0", "12") == {"0": ("camera", "camera0"), "12": ("camera", "camera12")}
    assert kinds("pics/5") == {"pics/5": ("image", "5")}
    in_folder = kinds("pics")
    assert in_folder["pics/clip.mp4"] == ("video", "clip.mp4")  # there is a clip.MOV, and an a.jpg beside a.mp4
    assert in_folder["pics/a.mp4"] == ("video", "a.mp4")
    assert in_folder["pics/a.jpg"] == ("image", "a.jpg")


def test_paths_of_a_list_are_relative_to_its_folder(tree: Path) -> None:
    (tree / "pics" / "one" / "list.txt").write_text("\ufeffa.jpg\r\n\n  ../two/a.jpg \n/elsewhere/x.jpg\n")
    assert [path.rsplit("pics/", 1)[-1] for path in named("pics/one/list.txt")] == [
        "one/a.jpg",
        "one/../two/a.jpg",
        "/elsewhere/x.jpg",
    ]


def test_frames_of_a_sequence_are_sorted_by_number(tree: Path) -> None:
    for number in (2, 10, 1):
        (tree / f"{number}.png").write_text("no image")
    (tree / "03.png").touch()  # which %d never writes
    (source,) = find_sources(["%d.png"])
    numbered = list(read_frames(source, ReadOptions(rate=10)))
    assert [(each.name.frame, each.name.seconds, each.name.output.as_posix()) for each in numbered] == [
        (1, 0.0, "1"),
        (2, 0.1, "2"),
        (10, 0.9, "10"),
    ]
    assert all(each.error is not None and each.image is None and each.count == 3 for each in numbered)
