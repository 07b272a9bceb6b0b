"""Node.js, which runs the JavaScript of exported pages without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest


def node() -> str:
    """Returns the path of Node; skips the test where there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs Node.js")
    return found


def people_of(cases: list[dict[str, Any]], folder: Path) -> list[list[dict[str, Any]]]:
    """Returns what `people` of pose.js gives for cases {"outputs": name -> array, "description": ...}."""
    program = node()
    source = resources.files("cairn.training.exporting.web") / "page" / "pose.js"
    (folder / "pose.mjs").write_bytes(source.read_bytes())
    lists = [
        {
            "description": case["description"],
            "outputs": {
                name: {"dims": array.shape, "data": array.ravel().tolist()} for name, array in case["outputs"].items()
            },
        }
        for case in cases
    ]
    (folder / "cases.json").write_text(json.dumps(lists))
    script = """
import { readFileSync } from "node:fs";
import { people } from "./pose.mjs";
const cases = JSON.parse(readFileSync("cases.json", "utf8"));
console.log(JSON.stringify(cases.map(({ outputs, description }) => people(outputs, description))));
"""
    (folder / "run.mjs").write_text(script)
    result = subprocess.run([program, "run.mjs"], cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert result.returncode == 0, result.stderr
    found: list[list[dict[str, Any]]] = json.loads(result.stdout)
    return found
