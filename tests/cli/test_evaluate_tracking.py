"""`cairn evaluate --tracking` from the shell."""

import json
from pathlib import Path

import pytest

from cairn.cli import main


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--tracking", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_tables_of_metrics_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracks = tmp_path / "tracks.txt"
    tracks.write_text("".join(f"{i},1,{i},5,20,40,1,-1,-1,-1\n" for i in range(1, 5)))
    assert run(tracks, tracks, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "HOTA" in printed
    assert "4 predictions in 1 tracks; 4 instances in 1 tracks of 4 labeled frames; matched by IoU" in printed
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]["IDF1"] == 100


def test_a_damaged_file_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracks = tmp_path / "tracks.txt"
    tracks.write_text("1,2\n")
    assert run(tracks, tracks) != 0
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
