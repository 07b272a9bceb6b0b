"""MATLAB files are read in another process: a crash or an expansion without bounds there is one line here."""

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
    monkeypatch.setattr(matlab, "READING", code)
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
    monkeypatch.setattr(matlab, "READING", matlab.READING.replace(f"{matlab.MAX_BYTES}", "600000"))
    if compressed:  # what is not compressed is no larger than its file
        with pytest.raises(LabelError, match=r"a\.mat is damaged: it expands to more than"):
            read_mat(tmp_path / "a.mat")
    else:
        assert len(read_mat(tmp_path / "a.mat")["b"]) == 50000


def test_a_file_that_changes_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.mat", joints=np.zeros(3))
    assert has_variable(path, "joints")
    monkeypatch.setattr(matlab, "READING", "import os; os.abort()")
    assert has_variable(path, "joints")
    save(path, joints=np.zeros(4))
    with pytest.raises(LabelError, match="cannot read it"):
        read_mat(path)


def test_nothing_of_a_file_is_read_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process has read once can crash scipy the next time."""
    import scipy.io

    nested = {"a": np.array([1.5, 2]), "b": "text", "c": [{"d": np.arange(6).reshape(2, 3)}, {"d": 4}]}
    path = save(tmp_path / "a.mat", nested=nested, joints=np.zeros((3, 14, 2)))
    expected = scipy.io.loadmat(str(path), squeeze_me=True, struct_as_record=False)

    def crash(*_: object, **__: object) -> None:
        raise AssertionError("scipy reads in this process")

    monkeypatch.setattr(scipy.io, "loadmat", crash)
    monkeypatch.setattr(scipy.io, "whosmat", crash)
    assert matlab.variable_names(path) == ["nested", "joints"]
    read = read_mat(path)
    assert np.array_equal(read["joints"], expected["joints"])
    assert np.array_equal(read["nested"].a, expected["nested"].a)
    assert read["nested"].b == "text"
    first, second = matlab.elements(read["nested"].c)
    assert np.array_equal(first.d, np.arange(6).reshape(2, 3))
    assert matlab.number(second, "d") == 4


def test_files_of_other_versions_and_missing_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"cannot read labels .*none\.mat: no such file"):
        read_mat(tmp_path / "none.mat")
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600))
    with pytest.raises(LabelError, match=r"version 7\.3: save it with -v7"):
        read_mat(tmp_path / "new.mat")
    (tmp_path / "text.mat").write_text("no such file" * 100)
    with pytest.raises(LabelError, match="is damaged, or not a MATLAB file"):
        read_mat(tmp_path / "text.mat")
