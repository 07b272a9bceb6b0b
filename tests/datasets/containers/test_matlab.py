"""MATLAB files are read in another process first: a crash or an expansion without bounds there is one line here."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.containers import matlab
from cairn.datasets.containers.matlab import has_variable, read_mat
from cairn.errors import LabelError
from support.matlab_files import save

pytest.importorskip("scipy", reason="writing .mat files needs scipy, which is in the train extra")


@pytest.mark.parametrize(
    "code", ["import os; os.abort()", "import sys; print(sys.argv[1], flush=True); [*iter(int, 1)]"]
)
def test_a_crash_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(matlab, "TRIAL", code)
    monkeypatch.setattr(matlab, "MAX_SECONDS", 1)
    path = save(tmp_path / "a.mat", joints=np.zeros(3))
    for read in (read_mat, lambda path: has_variable(path, "joints")):
        with pytest.raises(LabelError, match=r"a\.mat is damaged: the scipy library cannot read it$"):
            read(path)


@pytest.mark.parametrize("compressed", [True, False])
def test_variables_that_expand_beyond_bounds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"a": np.zeros(50000), "b": np.zeros(50000)}, do_compression=compressed)
    assert len(read_mat(tmp_path / "a.mat")["b"]) == 50000
    monkeypatch.setattr(matlab, "TRIAL", matlab.TRIAL.replace(f"{matlab.MAX_BYTES}", "600000"))
    matlab._failure.cache_clear()
    if compressed:  # what is not compressed is no larger than its file
        with pytest.raises(LabelError, match=r"a\.mat is damaged: it expands to more than"):
            read_mat(tmp_path / "a.mat")
    else:
        assert len(read_mat(tmp_path / "a.mat")["b"]) == 50000


def test_a_file_that_changes_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.mat", joints=np.zeros(3))
    assert has_variable(path, "joints")
    monkeypatch.setattr(matlab, "TRIAL", "import os; os.abort()")
    assert has_variable(path, "joints")
    save(path, joints=np.zeros(4))
    with pytest.raises(LabelError, match="cannot read it"):
        read_mat(path)
