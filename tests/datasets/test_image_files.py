"""Names of images as other machines and tools write them are found below the folder, and never outside it."""

import os
import sys
import unicodedata
from pathlib import Path

import pytest

from cairn.datasets.image_files import image_folders, locate_images
from cairn.datasets.problems import Problems
from cairn.errors import LabelError


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, *names: str, problems: Problems | None = None, images: bool = True) -> list[str | None]:
    """Paths below `p`, which is the given folder of images."""
    root = folder / "p"
    paths = locate_images(list(names), folder / "labels.json", root if images else None, problems or Problems())
    return [None if path is None else path.relative_to(root).as_posix() for path in paths]


NFC, NFD = (unicodedata.normalize(form, "café/Ü.png") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.png", "a.png"),
        ("./a.png", "a.png"),
        (".//s/./a.png", "s/a.png"),
        ("/data/mine/s/a.png", "s/a.png"),
        ("C:\\mine\\s\\a.png", "s/a.png"),
        ("c:/mine/a.png", "a.png"),
        ("\\\\server\\share\\s\\a.png", "s/a.png"),
        ("//server/share/a.png", "a.png"),
        ("s\\a.png", "s/a.png"),
        ("file:///home/me/s/a.png", "s/a.png"),
        ("file:///C:/me/s/a%20b.png", "s/a b.png"),
        ("file://localhost/me/a.png", "a.png"),
        ("FILE:///me/a.png", "a.png"),
        ("https://example.org/data/s/a.png?token=1", "s/a.png"),
        ("s3://bucket/s/a.png", "s/a.png"),
        ("/data/local-files/?d=mine/s/a.png", "s/a.png"),
        ("../a.png", "a.png"),
        ("..\\..\\s\\a.png", "s/a.png"),
        ("x/../../../s/a.png", "s/a.png"),
        ("%2e%2e/s/a.png", "s/a.png"),
        ("s/../a.png", "a.png"),
        ("a%20b.png", "a b.png"),
        ("s%2Fa.png", "s/a.png"),
        ("a b.png", "a b.png"),
        ("100%.png", "100%.png"),
        (NFC, NFC),
        (NFC, NFD),
        (NFD, NFC),
        ("A.PNG", "a.png"),
        ("a.png", "A.Png"),
        ("S/A.png", "s/a.PNG"),
        ("a.png", "deep/er/a.png"),
        ("x/y/a.png", "deep/x/y/a.png"),
        ("x/y/a.png", "y/a.png"),
    ],
)
def test_names_of_other_tools_and_machines(tmp_path: Path, name: str, file: str) -> None:
    put(tmp_path / "p", file, "other.png")
    put(tmp_path, "a.png", "s/a.png", "a b.png")  # outside
    assert found(tmp_path, name) == [file]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("a%20b.png", ("a%20b.png", "a b.png")),
        ("a.png", ("a.png", "A.PNG", "s/a.png")),
        ("A.PNG", ("A.PNG", "a.png", "a.PNG")),
        ("/x/s/a.png", ("s/a.png", "a.png", "t/a.png")),
        ("/x/a.png", ("a.png", "s/a.png")),
        ("x/s/A.png", ("s/a.png", "A.png")),
        ("x/A.png", ("u/A.png", "v/a.png")),
        (NFC, (NFC, NFD)),
        ("u\\a.png", ("u\\a.png", "u/a.png")),
    ],
)
def test_the_nearest_of_several_files_is_found(tmp_path: Path, name: str, files: tuple[str, ...]) -> None:
    put(tmp_path / "p", *files)
    assert found(tmp_path, name) == [files[0]]


@pytest.mark.parametrize(
    "name", ["../a.png", "..\\a.png", "%2e%2e/a.png", "file://../a.png", "p/../../a.png", "x/a.png"]
)
def test_nothing_outside_the_folder_is_found(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.png", "p/b.png")
    with pytest.raises(LabelError, match=r"1 of 1 images are missing, the first is .*/p/.*a\.png"):
        found(tmp_path, name)
    (path,) = locate_images([name], tmp_path / "l.json", tmp_path / "p", Problems(), missing_ok=True)
    assert path is not None
    assert path.is_relative_to(tmp_path / "p")
    assert ".." not in path.parts


def test_an_absolute_path_that_exists_is_taken(tmp_path: Path) -> None:
    put(tmp_path, "q/a b.png", "p/a b.png")
    for name in (str(tmp_path / "q/a b.png"), (tmp_path / "q/a b.png").as_uri(), f"{tmp_path}/p/../q/a b.png"):
        assert locate_images([name], tmp_path / "l.json", tmp_path / "p", Problems()) == [tmp_path / "q/a b.png"]


def test_ambiguous_names_are_one_line_with_the_candidates(tmp_path: Path) -> None:
    put(tmp_path / "p", "s/a.png", "t/a.png", "s/b.png", "t/b.png", "c.png")
    message = (
        r"2 names are ambiguous, the first is image 1, a\.png, which may be .*s/a\.png, .*t/a\.png: give the folder"
    )
    with pytest.raises(LabelError, match=message):
        found(tmp_path, "a.png", "x/b.png", "c.png")
    problems = Problems(skip=True)
    assert found(tmp_path, "a.png", "x/b.png", "c.png", "s/a.png", problems=problems) == [
        None,
        None,
        "c.png",
        "s/a.png",
    ]
    assert len(problems.skipped) == 2


def test_a_file_belongs_to_the_name_that_it_is(tmp_path: Path) -> None:
    """cam1 is absent: its image is not that of cam2, although the names end alike."""
    put(tmp_path / "p", "cam2/0.png", "x/1.png")
    with pytest.raises(LabelError, match=r"image 1 is .*cam2/0\.png, which is image 2 already"):
        found(tmp_path, "cam1/0.png", "cam2/0.png")
    problems = Problems(skip=True)
    names = ("cam1/0.png", "cam2/0.png", "y/1.png", "z/1.png")
    assert found(tmp_path, *names, problems=problems) == [None, "cam2/0.png", None, None]
    assert found(tmp_path, "x/1.png", "./x/1.png", problems=problems) == ["x/1.png", None]


def test_another_folder_than_the_name_states_is_noted(tmp_path: Path) -> None:
    put(tmp_path / "p", "s/a.png", "t/b.png", "c.png")
    problems = Problems()
    found(tmp_path, "s/a.png", "u/b.png", "/x/c.png", problems=problems)
    (note,) = problems.notes
    assert "images are in other folders than their names state: image 2, u/b.png, is" in note


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    put(tmp_path, "q/s/a.png", "p/b.png")
    try:
        (tmp_path / "p/link").symlink_to(tmp_path / "q", target_is_directory=True)
        (tmp_path / "q/s/loop").symlink_to(tmp_path / "p", target_is_directory=True)
        (tmp_path / "p/self").symlink_to(tmp_path / "p/self")
        (tmp_path / "p/c.png").symlink_to(tmp_path / "p/b.png")
    except OSError:  # Windows, without the privilege
        pytest.skip("cannot make links")
    assert found(tmp_path, "/x/a.png", "c.png") == ["link/s/a.png", "c.png"]
    with pytest.raises(LabelError, match="missing"):
        found(tmp_path, "self")


@pytest.mark.skipif(sys.platform == "win32", reason="names of Windows have fewer characters")
def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{i:03}.png" for i in range(300)]
    put(tmp_path / "p", *(f"s/{name}" for name in names))
    listed: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> object:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert found(tmp_path, *(f"C:\\x\\{name}" for name in names)) == [f"s/{name}" for name in names]
    assert len(listed) <= 6


@pytest.mark.parametrize(
    "name", ["a" * 5000, "a\0.png", "a\0/c.png", "/", "..", ".", "\\", "C:/", "%", "file://", "x" + "/y" * 2000]
)
def test_names_of_no_file_are_missing(tmp_path: Path, name: str) -> None:
    put(tmp_path / "p", "b.png")
    with pytest.raises(LabelError, match="1 of 1 images are missing"):
        found(tmp_path, name)


def test_an_address_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    put(tmp_path / "p", "b.png")
    with pytest.raises(LabelError, match=r"image 1 is at https://example.org/a\.png: download it"):
        found(tmp_path, "https://example.org/a.png")


@pytest.mark.parametrize(
    ("labels", "folder"),
    [
        ("annotations/person_keypoints_val2017.json", "val2017"),
        ("annotations/person_keypoints_val2017_foot_v1.json", "val2017"),
        ("annotations/person_keypoints_train2017.json", "images/train2017"),
        ("annot/valid.h5", "images"),
        ("labels/val2017.json", "labels"),
    ],
)
def test_the_layouts_of_coco_and_mpii_are_known(tmp_path: Path, labels: str, folder: str) -> None:
    for name in ("val2017", "images/train2017", "labels", "annot"):
        (tmp_path / name).mkdir(parents=True)
    assert tmp_path / folder in image_folders(tmp_path / labels, None)
