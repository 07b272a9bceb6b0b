"""Which pictures are meant, and that no two results meet."""

from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.cli.sources import _without_suffix, find_sources
from cairn.errors import ImageError


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


def test_a_folder_gives_its_pictures_at_any_depth_but_not_our_own_results(tree: Path) -> None:
    assert named("pics") == {
        "pics/a.jpg": "a",
        "pics/b.PNG": "b",
        "pics/one/a.jpg": "one/a.jpg",
        "pics/one/a.png": "one/a.png",
        "pics/one/c.jpg": "one/c.jpg",
        "pics/two/a.jpg": "two/a",
    }


def test_pictures_of_one_name_in_two_folders_keep_their_folders(tree: Path) -> None:
    assert named("pics/two/a.jpg", "pics/a.jpg") == {"pics/two/a.jpg": "two/a", "pics/a.jpg": "a"}
    assert named("pics/one", "pics/two")["pics/two/a.jpg"] == "two/a"
    assert named("pics/*/a.jpg") == {"pics/one/a.jpg": "one/a", "pics/two/a.jpg": "two/a"}


def test_paths_that_go_up_do_not_leave_the_output_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "pics" / "one")
    assert named("../two/a.jpg", "c.jpg") == {"../two/a.jpg": "two/a", "c.jpg": "one/c"}


def test_globs(tree: Path) -> None:
    assert list(named("pics/**/a.jpg")) == ["pics/a.jpg", "pics/one/a.jpg", "pics/two/a.jpg"]
    assert list(named(str(tree / "pics" / "*.jpg"))) == [(tree / "pics" / "a.jpg").as_posix()]
    odd = tree / "pics" / "odd[1].jpg"
    odd.touch()
    assert named("pics/odd[1].jpg") == {"pics/odd[1].jpg": "odd[1]"}


def test_a_picture_named_twice_is_one(tree: Path) -> None:
    assert list(named("pics/two/a.jpg", "pics/two", str(tree / "pics/two/a.jpg"))) == ["pics/two/a.jpg"]


def test_a_file_named_outright_is_taken_as_it_is(tree: Path) -> None:
    assert named("pics/a.cairn.jpg") == {"pics/a.cairn.jpg": "a.cairn"}
    assert named("pics/absent.jpg") == {"pics/absent.jpg": "absent"}


def test_folders_and_globs_without_pictures_are_said(tree: Path) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(ImageError, match=r"no picture or video in the folder empty \(looked for \.jpg"):
        find_sources(["pics", "empty"])
    with pytest.raises(ImageError, match=r"no picture or video matches pics/\*\.gif"):
        find_sources(["pics/*.gif"])


paths = st.builds(
    lambda folder, stem, suffix: f"{folder}{stem}{suffix}",
    st.sampled_from(["", "x/", "x/y/"]),
    st.sampled_from(["a", "A", "a.jpg", "b.v2", "b"]),
    st.sampled_from([".jpg", ".png", ".JPG", ""]),
)


@given(st.lists(paths, unique_by=str.lower, max_size=12))
def test_no_two_results_meet(names: list[str]) -> None:
    outputs = list(_without_suffix([PurePath(name) for name in names]))
    assert len({str(output).lower() for output in outputs}) == len(names)
    assert [output.parent for output in outputs] == [PurePath(name).parent for name in names]
