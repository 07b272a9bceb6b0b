"""What reads files of clients opens none of others."""

from pathlib import Path

import pytest

from cairn.server.confinement import confined


def test_files_of_other_folders_are_refused_in_the_block_and_not_after_it(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "in-other"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.txt").write_text(folder.name)
    (inside / "linked.txt").symlink_to(outside / "a.txt")
    (inside / "folder").symlink_to(outside)
    with confined(inside):
        assert (inside / "a.txt").read_text() == "in"
        assert (inside / "linked.txt").read_text() == "in-other"
        for path in (outside / "a.txt", inside / ".." / "in-other" / "a.txt", inside / "folder" / "a.txt"):
            with pytest.raises(PermissionError):
                path.read_bytes()
        with pytest.raises(PermissionError):
            list(tmp_path.iterdir())
        with pytest.raises(PermissionError), (tmp_path / "new").open("w"):
            pass
        import colorsys  # noqa: F401
    assert (outside / "a.txt").read_text() == "in-other"
