"""The notebooks of examples/ run on small inputs, and are committed without outputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SMALL: dict[str, dict[str, Any]] = {
    "quickstart": {"FRAMES": 3},
    "train_your_own": {
        "IMAGES": 24,
        "EPOCHS": 1,
        "OPTIONS": {
            "method": "hourglass",
            "pretrained": "none",
            "settings": {
                "input.size": 32, "network.stacks": 1, "network.features": 8, "network.depth": 1,
                "run.threads": 1, "run.workers": 0,
            },
        },
    },
    "landmarks_without_labels": {
        "IMAGES": 24,
        "EPOCHS": 1,
        "SETTINGS": {
            "input.size": 48, "network.widths": [8, 8, 8], "run.batch_size": 64, "run.threads": 1, "run.workers": 0,
        },
    },
}  # fmt: skip
"""Values of the cell that is tagged `parameters`, which keep the run short."""


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code_of(path: Path, values: dict[str, Any]) -> str:
    """The code cells as one script; `values` override those of the parameters cell."""
    blocks, tagged = [], 0
    for cell in cells(path):
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            if "parameters" in cell["metadata"].get("tags", []):
                tagged += 1
                for name, value in values.items():
                    assert f"{name} = " in source, f"{path.name} has no parameter {name}"
                    source += f"\n{name} = {value!r}"
            blocks.append(source)
    assert tagged == 1, f"{path.name} has {tagged} cells tagged parameters"
    return "\n\n".join(blocks)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, workspace: Path, script: Callable[[str], str]) -> None:
    if path.stem != "quickstart":
        pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    shutil.copy(EXAMPLES / "portraits.jpg", workspace)
    script(code_of(path, SMALL[path.stem]))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_no_outputs(path: Path) -> None:
    for cell in cells(path):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_every_notebook_is_tested_and_listed() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SMALL)
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(path.name in listed for path in NOTEBOOKS)
