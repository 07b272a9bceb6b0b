"""A trial reading ends with a file that ends its process, within a time that grows with the size of the files."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cairn.datasets.containers import trial
from cairn.datasets.containers.trial import BYTES_PER_SECOND, TOO_LARGE, failed_trial, run_apart


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("import sys; print(sys.argv[1]); sys.exit(3)", (b"a b\n", 3)),
        ("import os; os.abort()", (b"", -6)),
        ("import time; time.sleep(60)", (b"", None)),
    ],
)
def test_the_end_of_the_other_process_is_known(code: str, end: tuple[bytes, int | None]) -> None:
    assert run_apart(code, ["a b"], 0.5 if end[1] is None else 60) == end


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not limit processor time")
def test_processor_time_is_limited_however_long_a_process_waits() -> None:
    busy = "import time; time.sleep(1.5); print(1, flush=True); [*iter(lambda: 0, 1)]"
    assert run_apart(busy, [], 1) == (b"1\n", -signal.SIGXCPU)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(0, None), (1, None), (TOO_LARGE, "too large"), (-11, "the x library cannot read it"), (None, "the x library")],
)
def test_only_a_crash_a_limit_and_the_time_are_failures(
    monkeypatch: pytest.MonkeyPatch, status: int | None, reason: str | None
) -> None:
    monkeypatch.setattr(trial, "run_apart", lambda *_: (b"a.h5\nb.h5\n", status))
    failure = failed_trial("", [Path("a.h5"), Path("b.h5")], "too large", "x", 1)
    assert failure is None if reason is None else failure and failure.startswith(f"b.h5 is damaged: {reason}")


def test_larger_files_have_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(code: str, arguments: Sequence[str], seconds: float) -> tuple[bytes, int]:
        seen.append(seconds)
        return b"", 0

    monkeypatch.setattr(trial, "run_apart", run)
    with (tmp_path / "large.h5").open("wb") as file:
        file.truncate(3 * BYTES_PER_SECOND)
    (tmp_path / "small.h5").touch()
    failed_trial("", [tmp_path / "small.h5", tmp_path / "none.h5"], "", "", 5)
    failed_trial("", [tmp_path / "small.h5", tmp_path / "large.h5"], "", "", 5)
    assert seen == [5, 8]
