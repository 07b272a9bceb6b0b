"""Folders: links are followed once, and what is skipped is counted by type."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import ImageError
from cairn.media.folders import SkippedFiles, files_below, walk_folder
from cairn.media.images import write_image
from cairn.media.sources import find_sources


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("set/a.jpg", "set/sub/b.jpg", "other/c.jpg", "other/deep/d.jpg"):
        write_image(tmp_path / name, np.full((8, 8, 3), 90, np.uint8))
    return tmp_path


def below(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def skipped_in(*sources: Path | str) -> Counter[str]:
    skipped = SkippedFiles()
    find_sources([str(source) for source in sources], skipped)
    return skipped.counts


def test_linked_folders_and_files_are_followed(tree: Path) -> None:
    (tree / "set" / "link").symlink_to("../other")
    (tree / "set" / "e.jpg").symlink_to("../other/c.jpg")
    assert below(tree / "set") == ["a.jpg", "e.jpg", "link/c.jpg", "link/deep/d.jpg", "sub/b.jpg"]
    (tree / "named").symlink_to("set")
    assert len(below(tree / "named")) == 5


@pytest.mark.parametrize("target", [".", "..", "sub", "sub/back", "../set", "../set/sub"])
def test_loops_and_links_within_the_folder_yield_each_file_once(tree: Path, target: str) -> None:
    (tree / "set" / "sub" / "back").symlink_to("..")
    (tree / "set" / "link").symlink_to(target)
    (tree / "set" / "z.jpg").symlink_to("a.jpg")
    assert below(tree / "set") == ["a.jpg", "sub/b.jpg"]


def test_two_links_to_one_folder_and_loops_outside_are_followed_once(tree: Path) -> None:
    (tree / "other" / "loop").symlink_to(".")
    (tree / "other" / "deep" / "up").symlink_to("../..")
    for name in ("x", "y"):
        (tree / "set" / name).symlink_to(tree / "other")
    assert sorted(os.path.realpath(tree / "set" / name) for name in below(tree / "set")) == sorted(
        str(tree / name) for name in ("set/a.jpg", "set/sub/b.jpg", "other/c.jpg", "other/deep/d.jpg")
    )


def test_links_into_a_hidden_folder_are_followed(tree: Path) -> None:
    """As data version control lays out its files."""
    (tree / "set" / ".store").mkdir()
    (tree / "set" / "a.jpg").rename(tree / "set" / ".store" / "17")
    (tree / "set" / "a.jpg").symlink_to(".store/17")
    assert below(tree / "set") == ["a.jpg", "sub/b.jpg"]


def test_labels_may_name_a_link_to_a_file_of_the_folder(tree: Path) -> None:
    (tree / "set" / "z.jpg").symlink_to("a.jpg")
    (tree / "set" / "loop").symlink_to(".")
    assert [path.name for path in walk_folder(tree / "set", (".jpg",))] == ["a.jpg", "z.jpg", "b.jpg"]


def test_broken_links_are_counted(tree: Path) -> None:
    (tree / "set" / "gone.jpg").symlink_to("nowhere.jpg")
    (tree / "set" / "gone").symlink_to("nowhere")
    assert skipped_in(tree / "set") == {".jpg": 1, "": 1}


def test_a_folder_counts_what_it_does_not_read(tree: Path) -> None:
    names = ["list.txt", "t.TXT", "l.json", "README", "f.webm.part", "x.h264", "y.vob", "n.heic", "song.mp3"]
    ignored = [".hidden.txt", "a.cairn.json", "cairn.csv", "cairn.coco.json", "Thumbs.db", "desktop.ini"]
    for name in names + ignored:
        (tree / "set" / name).write_text("text")
    for folder in (".git", "cairn.openpose", "cairn.maps"):
        (tree / "set" / folder).mkdir()
        (tree / "set" / folder / "p.json").touch()
    counts = skipped_in(tree / "set")
    assert counts == Counter({".txt": 2, ".json": 1, "": 1, ".part": 1, ".h264": 1, ".vob": 1, ".heic": 1, ".mp3": 1})
    assert str(SkippedFiles(Counter({".heic": 1, ".txt": 3}))) == "4 files skipped: 3 .txt, 1 .heic"
    assert str(SkippedFiles(Counter({"": 1}))) == "1 file skipped: 1 without a suffix"
    many = SkippedFiles(Counter({f".s{i}": 1 for i in range(30)}))
    assert str(many).endswith("1 .s15, 22 of other types")


def test_globs_count_too_and_read_any_suffix(tree: Path) -> None:
    (tree / "set" / "a.jpg").rename(tree / "set" / "a.dat")
    (tree / "set" / "b.dat").write_text("text")
    found = find_sources([str(tree / "set" / "*.dat")])
    assert [(each.name.path.name, each.kind) for each in found] == [("a.dat", "image")]
    assert skipped_in(str(tree / "set" / "*")) == {".dat": 1}


def test_a_folder_without_images_states_what_it_has(tree: Path) -> None:
    (tree / "docs").mkdir()
    (tree / "docs" / "a.pdf").touch()
    with pytest.raises(ImageError, match=r"no image or video in the folder .*docs \(1 file skipped: 1 \.pdf\)"):
        find_sources([str(tree / "docs")])
    with pytest.raises(ImageError, match=r"no image or video matches .*\*\.pdf \(1 file skipped: 1 \.pdf\)"):
        find_sources([str(tree / "docs" / "*.pdf")])


def test_jfif_and_files_without_a_suffix_are_read(tree: Path) -> None:
    for name in ("b.jfif", "c.JPE", "noext"):
        (tree / "set" / name).write_bytes((tree / "set" / "a.jpg").read_bytes())
    assert [each.name.path.name for each in find_sources([str(tree / "set")])] == [
        *("a.jpg", "b.jfif", "c.JPE", "noext", "b.jpg")
    ]


def test_files_with_common_suffixes_are_not_opened(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    (tree / "set" / "labels.txt").touch()
    monkeypatch.setattr(Path, "open", opened)
    assert len(find_sources([str(tree / "set")])) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("marked", [False, True])
def test_lists_are_read_in_every_encoding(tree: Path, encoding: str, newline: str, marked: bool) -> None:
    names = ["a.jpg", "sub/b.jpg", "größe.jpg"]
    mark = "\ufeff" if marked and encoding in ("utf-16-le", "utf-16-be") else ""
    (tree / "set" / "list.txt").write_bytes((mark + newline.join([*names, ""])).encode(encoding))
    found = find_sources([str(tree / "set" / "list.txt")])
    assert [each.name.path.relative_to(tree / "set").as_posix() for each in found] == names


@pytest.mark.parametrize("content", [b"ab\0\0cd", b"\xff\xfea", bytes(range(256)), b"\0" * 9])
def test_a_list_that_is_no_text_is_one_error(tree: Path, content: bytes) -> None:
    (tree / "list.txt").write_bytes(content)
    with pytest.raises(ImageError, match=r"the list .*list\.txt is no text: expected one path a line"):
        find_sources([str(tree / "list.txt")])


def test_an_image_may_be_named_like_a_list(tree: Path) -> None:
    (tree / "set" / "a.jpg").rename(tree / "photo.txt")
    (source,) = find_sources([str(tree / "photo.txt")])
    assert source.kind == "image"
