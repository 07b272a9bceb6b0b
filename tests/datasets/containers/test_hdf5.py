"""HDF5 files are read in another process first: a crash or an endless loop there is one line here."""

import struct
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.containers import hdf5, trial
from cairn.datasets.containers.hdf5 import check_readable, read_array, root_keys
from cairn.errors import LabelError

h5py = pytest.importorskip("h5py", reason="h5py is in the io extra")


def write(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(5)
        file.create_dataset("b", data=np.zeros(10**5), compression="gzip")
        file["c"] = np.array(["x", "y"], object)
        file.attrs["d"] = "text"
    return path


def test_a_good_file_passes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    check_readable([path, path])
    check_readable([])
    assert root_keys(path) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; print('b.h5', flush=True); os.abort()", r"^b\.h5 is damaged: the HDF5 library cannot read it$"),
        ("import time; print('b.h5', flush=True); time.sleep(60)", r"^b\.h5 is damaged: the HDF5 library cannot"),
        ("import os; os.abort()", r"a\.h5 is damaged: the HDF5 library cannot read it$"),
    ],
)
def test_a_crash_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str) -> None:
    monkeypatch.setattr(hdf5, "TRIAL", code)
    monkeypatch.setattr(hdf5, "MAX_SECONDS", 2)
    monkeypatch.setattr(trial, "WAITS", 2)
    with pytest.raises(LabelError, match=message):
        check_readable([tmp_path / "a.h5"])


def test_an_array_that_is_larger_than_its_file_is_damage(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (10**9,), chunks=(1024,))
    with pytest.raises(LabelError, match=r"a\.h5 is damaged: it states an array that is larger than the file"):
        check_readable([tmp_path / "a.h5"])


def test_an_array_of_more_than_the_limit_is_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("a", (2**31,), chunks=(1024,))
        with pytest.raises(ValueError, match="a has 8,589,934,592 bytes"):
            read_array(file, array.name.strip("/"))


def test_a_truncated_file_is_one_line(tmp_path: Path) -> None:
    data = write(tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    check_readable([tmp_path / "a.h5"])  # the reader says so
    with pytest.raises(LabelError, match="is damaged: it is an HDF5 file"):
        root_keys(tmp_path / "a.h5")


def test_what_is_no_array_is_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["type"] = np.dtype("f8")
        file.create_group("group")
        file["numbers"] = [1, 2]
    with h5py.File(tmp_path / "a.h5") as file:
        for name in ("type", "group"):
            with pytest.raises(ValueError, match=f"{name} is not an array"):
                read_array(file, name)
        assert read_array(file, "numbers").tolist() == [1, 2]


def test_a_root_without_a_type_is_damage(tmp_path: Path) -> None:
    """All messages of its header are deleted (type 0), so that the library opens the file and cannot list it."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = [1.0, 2.0]
        start = h5py.h5o.get_info(file["/"].id).addr
    data = bytearray(path.read_bytes())
    version, _, count = struct.unpack_from("<BBH", data, start)
    assert version == 1
    place = start + 16
    for _ in range(count):
        size = struct.unpack_from("<H", data, place + 2)[0]
        data[place : place + 2] = b"\0\0"
        place += 8 + size
    path.write_bytes(data)
    check_readable([path])
    with h5py.File(path) as file, pytest.raises(KeyError):
        frozenset(file)
    with pytest.raises(LabelError, match="is damaged: it is an HDF5 file"):
        root_keys(path)
