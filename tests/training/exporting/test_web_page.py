"""Exported pages in a real browser, and in Node, give the keypoints of Python.

They need onnxruntime-web, which npm downloads or has in its cache, and skip without it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")

import cairn
from cairn.errors import CairnError
from cairn.training.exporting.web.runtime import FILES, runtime_files
from support.browser import page_of, served
from support.node import node

ROOT = Path(__file__).parents[3]
PORTRAITS = ROOT / "examples" / "portraits.jpg"


@pytest.fixture(scope="module")
def onnxruntime_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        files = runtime_files(None)
    except CairnError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("onnxruntime-web")
    for name, own in FILES.items():
        (folder / name).write_bytes(files[own])
    return folder


def check(found: dict[str, Any], model: str) -> None:
    """Compares what a page found in the portraits with Python, within half a pixel."""
    expected = cairn.load(model, threads=1, device="cpu")(PORTRAITS)
    assert (found["width"], found["height"], found["image"]) == (949, 512, "portraits.jpg")
    assert len(found["people"]) == len(expected)
    for person, pose in zip(found["people"], expected, strict=True):
        assert person["score"] == pytest.approx(pose.score, abs=0.005)
        assert list(person["keypoints"]) == list(expected.skeleton.joints)
        points = np.array([point or [np.nan, np.nan, 0] for point in person["keypoints"].values()], float)
        assert ((points[:, 2] > 0) == (pose.confidence > 0)).all()
        assert np.nanmax(np.abs(points[:, :2] - pose.keypoints)) < 0.5
        np.testing.assert_allclose(points[:, 2], pose.confidence, atol=0.01)


@pytest.mark.parametrize(("model", "same"), [("person", "person-fp16"), ("face-landmarks", "face-landmarks")])
def test_the_page_finds_the_keypoints_of_python(model: str, same: str, onnxruntime_web: Path, tmp_path: Path) -> None:
    folder = cairn.export(model, tmp_path / "web", format="web", runtime=onnxruntime_web).path
    problems: list[str] = []
    requests: list[str] = []
    with page_of() as page, served(folder) as address:
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"})
        page.wait_for_function("document.getElementById('status').textContent.includes('is not an image')")
        page.set_input_files("#file", str(PORTRAITS))
        page.wait_for_function("window.cairn")
        check(page.evaluate("window.cairn"), same)
        assert page.locator("#size-label").is_visible() == (model == "person")
        if model == "face-landmarks":  # the fake camera of Chromium
            page.click("#camera")
            page.wait_for_function("window.cairn.image === 'camera'")
            page.click("#camera")
            assert len(page.evaluate("window.cairn").get("people")) == 1
    assert not problems
    assert all(url.startswith((address, "blob:", "data:")) for url in requests)


def test_the_node_example_finds_the_keypoints_of_python(onnxruntime_web: Path, tmp_path: Path) -> None:
    program, script = node(), ROOT / "examples" / "node" / "detect.mjs"
    if not (script.parent / "node_modules" / "sharp").is_dir():
        pytest.skip("needs sharp: npm install in examples/node")
    folder = cairn.export("face-landmarks", tmp_path / "web", format="web", runtime=onnxruntime_web).path

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [program, str(script), *map(str, arguments)]
        environment = {**os.environ, "NODE_NO_WARNINGS": "1"}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)

    result = run(folder, PORTRAITS)
    assert result.returncode == 0, result.stderr
    check(json.loads(result.stdout), "face-landmarks")
    for arguments in ((folder,), (folder, tmp_path / "missing.jpg"), (tmp_path, PORTRAITS)):
        failed = run(*arguments)
        assert failed.returncode == 1
        assert len(failed.stderr.strip().splitlines()) == 1
