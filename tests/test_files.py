"""A file is written completely, or the previous one stays."""

from pathlib import Path

import pytest

from cairn.errors import OutputError
from cairn.files import atomic_write, ensure_writable_folder, unused_folder


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "below" / "two folders" / "result.txt"
    with atomic_write(path) as beside:
        beside.write_text("whole")
        assert beside.suffix == path.suffix
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, BrokenPipeError])
def test_an_interrupted_block_keeps_the_previous_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "result.txt"
    path.write_text("before")

    def interrupted() -> None:
        with atomic_write(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_paths_raise_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"), atomic_write(tmp_path / "file" / "result.txt") as beside:
        beside.write_text("never")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="a folder has that name"), atomic_write(tmp_path / "folder"):
        pytest.fail("the block must not run")
    with pytest.raises(OutputError, match="cannot write into the folder"):
        ensure_writable_folder(tmp_path / "file")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("suffix", [".csv", "", "." + "s" * 200])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("n" * (255 - len(suffix)) + suffix)
    with atomic_write(path) as beside:
        beside.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(OutputError, match=r"cannot write .*: File name too long"), atomic_write(f"{path}s"):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as one, atomic_write(tmp_path / "a.txt") as other:
        one.write_text("one")
        other.write_text("other")
        assert one.read_text() == "one"
    assert (tmp_path / "a.txt").read_text() == "one"  # whole: the last one to end
    assert len(list(tmp_path.iterdir())) == 1


def test_checking_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    assert list(ensure_writable_folder(tmp_path / "new" / "folder").iterdir()) == []


def test_an_unused_folder_is_missing_or_empty(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert unused_folder(path) == path
    path.mkdir()
    assert unused_folder(path) == path
    (path / "file").touch()
    (tmp_path / "run-2").touch()
    assert unused_folder(path) == tmp_path / "run-3"
