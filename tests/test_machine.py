"""The machine that the program runs on."""

import os
from pathlib import Path

import pytest

from cairn.machine import available_cores, cpu_quota


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot restrict a process to cores")
def test_available_cores_are_those_of_the_process() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert available_cores() == len(before)


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores() == 3


def groups(folder: Path, lines: str, files: dict[str, str]) -> float:
    """Returns the quota of control groups that are made in a folder."""
    (folder / "cgroup").write_text(lines)
    for name, text in files.items():
        (folder / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "fs" / name).write_text(text)
    return cpu_quota(folder / "cgroup", folder / "fs")


UNLIMITED = float("inf")


@pytest.mark.parametrize(
    ("lines", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, UNLIMITED),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "a/cpu.max": "200000 100000\n"}, 0.5),
        ("0::/docker/of/the/host\n", {"cpu.max": "300000 100000\n"}, 3),
        ("0::/\n", {}, UNLIMITED),
        ("0::/\n", {"cpu.max": "what\n"}, UNLIMITED),
        (
            "5:memory:/m\n2:cpu,cpuacct:/c\n0::/\n",
            {"cpu,cpuacct/c/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/c/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        ("2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, UNLIMITED),
        ("2:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1\n", "cpuset/cpu.cfs_period_us": "100000\n"}, UNLIMITED),
    ],
)
def test_a_quota_is_the_least_of_its_control_groups(
    tmp_path: Path, lines: str, files: dict[str, str], cores: float
) -> None:
    assert groups(tmp_path, lines, files) == cores


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path) == UNLIMITED


@pytest.mark.parametrize(("quota", "cores"), [(UNLIMITED, 6), (2.5, 2), (0.3, 1), (40.0, 6)])
def test_cores_are_at_most_the_quota_in_whole_cores(monkeypatch: pytest.MonkeyPatch, quota: float, cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr("cairn.machine.cpu_quota", lambda: quota)
    assert available_cores() == cores
