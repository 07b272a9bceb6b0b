"""A run replaces its own results, and never those of other sources."""

import json
import os
import platform
import threading
import time
from pathlib import Path

import pytest

from cairn.errors import OutputError
from cairn.results.ownership import LOCK, RECORD, Claims, SourceIds


def write(folder: Path, name: str, *sources: str, overwrite: bool = False) -> None:
    """A run that writes one file."""
    with Claims(folder, {folder / name: sources}, overwrite):
        (folder / name).write_text("+".join(sources))


def test_a_run_replaces_its_own_results(tmp_path: Path) -> None:
    for _ in range(3):
        write(tmp_path, "a.cairn.json", "x/a.jpg")
    write(tmp_path, "cairn.csv", "x/a.jpg", "x/b.jpg")
    write(tmp_path, "cairn.csv", "x/a.jpg", "x/c.jpg", "x/b.jpg")  # no result is lost
    assert {path.name for path in tmp_path.iterdir()} == {"a.cairn.json", "cairn.csv", RECORD}


def test_results_of_other_sources_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "a.cairn.json", "../x/a.jpg")
    write(tmp_path, "cairn.csv", "../x", "../z", "../u")
    for name, source, owner in (
        ("a.cairn.json", "../y/a.jpg", f"has the results of {tmp_path.parent / 'x' / 'a.jpg'}"),
        ("cairn.csv", "../x", f"has the results of {tmp_path.parent / 'u'} and 2 other sources"),
    ):
        before = (tmp_path / name).read_text()
        with pytest.raises(OutputError) as caught:
            write(tmp_path, name, source)
        assert str(caught.value) == (
            f"{tmp_path / name} {owner}: choose another folder with --out, or pass --overwrite"
        )
        assert (tmp_path / name).read_text() == before
    write(tmp_path, "a.cairn.json", "../y/a.jpg", overwrite=True)
    write(tmp_path, "a.cairn.json", "../y/a.jpg")  # it is its own now
    with pytest.raises(OutputError):
        write(tmp_path, "a.cairn.json", "../x/a.jpg")


def test_a_file_that_no_run_wrote_is_kept(tmp_path: Path) -> None:
    (tmp_path / "cairn.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"cairn\.csv is not a result that Cairn wrote here"):
        write(tmp_path, "cairn.csv", "x")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"cairn.csv": "mine"}
    write(tmp_path, "cairn.csv", "x", overwrite=True)
    assert (tmp_path / "cairn.csv").read_text() == "x"


def test_all_files_in_the_way_are_one_line(tmp_path: Path) -> None:
    files = {tmp_path / f"{i}.csv": ["x"] for i in range(5)}
    for path in files:
        path.touch()
    with pytest.raises(OutputError, match=r"0\.csv .* \(and 4 more files\)") as caught, Claims(tmp_path, files):
        pytest.fail("the run must not start")
    assert "\n" not in str(caught.value)


def test_results_that_were_removed_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, "a.cairn.json", "x/a.jpg")
    (tmp_path / "a.cairn.json").unlink()
    write(tmp_path, "a.cairn.json", "y/a.jpg")
    assert (tmp_path / "a.cairn.json").read_text() == "y/a.jpg"


def test_a_run_without_results_leaves_nothing(tmp_path: Path) -> None:
    with Claims(tmp_path, {tmp_path / "a.csv": ["x"]}):
        pass
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, "b.csv", "x")
    with pytest.raises(KeyboardInterrupt), Claims(tmp_path, {tmp_path / "a.csv": ["x"]}):
        raise KeyboardInterrupt
    assert set(json.loads((tmp_path / RECORD).read_text())) == {"b.csv"}


def test_a_running_run_keeps_its_files_before_they_exist(tmp_path: Path) -> None:
    with Claims(tmp_path, {tmp_path / "cairn.csv": ["x"]}):
        with pytest.raises(OutputError, match="has the results of"):
            write(tmp_path, "cairn.csv", "y")
        write(tmp_path, "other.csv", "y")
        write(tmp_path, "cairn.csv", "x")  # the same sources give the same results
    assert (tmp_path / "cairn.csv").read_text() == "x"


@pytest.mark.parametrize(
    ("run", "running"),
    [
        (f"{platform.node()}:{os.getpid()}:1f", True),
        (f"{platform.node()}:999999999:1f", False),
        ("another-machine:1:1f", True),
        (7, False),
    ],
    ids=["this process", "a process that ended", "another machine", "no record"],
)
@pytest.mark.skipif(os.name == "nt", reason="this system does not say whether a process runs")
def test_a_run_that_was_killed_keeps_no_file_that_it_did_not_write(tmp_path: Path, run: object, running: bool) -> None:
    (tmp_path / RECORD).write_text(json.dumps({"cairn.csv": {"sources": ["x"], "run": run}}))
    if running:
        with pytest.raises(OutputError):
            write(tmp_path, "cairn.csv", "y")
    else:
        write(tmp_path, "cairn.csv", "y")
        assert (tmp_path / "cairn.csv").read_text() == "y"


def test_of_runs_that_start_together_one_gets_each_file(tmp_path: Path) -> None:
    wins, losses = [], []
    start = threading.Barrier(8)

    def run(number: int) -> None:
        start.wait()
        try:
            with Claims(tmp_path, {tmp_path / "cairn.csv": [f"{number}"], tmp_path / f"{number}.csv": [f"{number}"]}):
                wins.append(number)
                (tmp_path / "cairn.csv").write_text(f"{number}")
                (tmp_path / f"{number}.csv").touch()
        except OutputError as error:
            losses.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(wins), len(losses)) == (1, 7)
    assert (tmp_path / "cairn.csv").read_text() == f"{wins[0]}"
    assert set(json.loads((tmp_path / RECORD).read_text())) == {"cairn.csv", f"{wins[0]}.csv"}
    assert not (tmp_path / LOCK).exists()


def test_the_lock_of_a_killed_run_is_removed(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    os.utime(tmp_path / LOCK, (time.time() - 3600,) * 2)
    write(tmp_path, "a.csv", "x")
    assert (tmp_path / "a.csv").is_file()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a.csv": 3}', '{"a.csv": {"sources": []}}', "\xff", "[" * 100_000])
def test_a_damaged_record_has_no_entries(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text, encoding="latin-1")
    (tmp_path / "a.csv").touch()
    with pytest.raises(OutputError, match="is not a result"):
        write(tmp_path, "a.csv", "x")
    write(tmp_path, "b.csv", "x")
    assert set(json.loads((tmp_path / RECORD).read_text())) == {"b.csv"}


def test_a_source_has_one_name_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "data" / "a.jpg").touch()
    (tmp_path / "data" / "b.jpg").symlink_to("a.jpg")
    monkeypatch.chdir(tmp_path)
    spellings = ["data/a.jpg", "./data/../data/a.jpg", tmp_path / "data" / "a.jpg", "link/a.jpg"]
    assert {SourceIds(Path("out")).of(each) for each in spellings} == {"../data/a.jpg"}
    assert SourceIds(tmp_path / "out").of("data/b.jpg") == "../data/b.jpg"
    assert SourceIds(tmp_path / "out").of("data") == "../data"
    assert SourceIds(Path("out")).of("0", local=False) == "0"
    monkeypatch.chdir(tmp_path / "data")
    assert SourceIds(Path("../out")).of("a.jpg") == "../data/a.jpg"
