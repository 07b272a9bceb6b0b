"""The wheel installs into an empty folder and detects there; versions and file lists agree."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import cairn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_distribution_name_and_version(wheel: Path) -> None:
    assert wheel.name == f"cairn_pose-{cairn.__version__}-py3-none-any.whl"


def test_wheel_holds_models_skeletons_and_types(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    for pattern in ("*.py", "*.js", "*.html", "*.onnx", "*.toml", "py.typed"):
        files = {path.relative_to(source).as_posix() for path in (source / "cairn").rglob(pattern)}
        assert files
        assert files <= packed, files - packed


def test_installed_wheel_detects(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    result = subprocess.run([*install, str(wheel)], capture_output=True, text=True, check=False)
    if "No module named pip" in result.stderr:
        pytest.skip("pip is not installed")
    assert result.returncode == 0, result.stderr
    environment = {**os.environ, "PYTHONPATH": str(target)}
    where = [sys.executable, "-c", "import cairn; print(cairn.__file__)"]
    imported = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(imported.strip()).is_relative_to(target)
    command = [sys.executable, "-m", "cairn", "detect", str(ROOT / "examples" / "portraits.jpg"), "--out", "out"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    found = json.loads((tmp_path / "out" / "portraits.cairn.json").read_text(encoding="utf-8"))
    assert len(found["people"]) >= 2


def test_extras_refer_to_the_distribution() -> None:
    assert PROJECT["project"]["name"] == "cairn-pose"
    extras = PROJECT["project"]["optional-dependencies"]
    for requirements in extras.values():
        for requirement in requirements:
            assert not requirement.startswith("cairn["), "the package `cairn` of the index is another project"
    assert {"train", "video", "io", "parquet", "imagenet", "gpu", "docs", "dev"} <= set(extras)


def test_version_has_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/cairn/__init__.py"


def test_the_bundled_models_have_at_most_30_megabytes() -> None:
    models = (ROOT / "src" / "cairn" / "models").glob("*.onnx")
    assert sum(model.stat().st_size for model in models) <= 30e6
