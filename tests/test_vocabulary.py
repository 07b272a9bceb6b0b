"""The vocabulary check reports banned phrases and exempts what is marked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import check_vocabulary
from check_vocabulary import Finding, checked_lines, findings, main, read_vocabulary

BANNED, ALLOWED = read_vocabulary()


@pytest.mark.parametrize(
    "phrase",
    [
        "Each picture is read once.", "the trunk of the network", "trunk_rate = 0.1", "the surer keypoint",
        "keypoints less sure than 0.3", "weights that have learnt before", "what was looked at",
        "the network is shown 320 pixels", "left told from right", "ten images set aside", "files are passed over",
        "it takes the place of the old file", "joints are left out", "who is who in a video", "as usual",
        "the colour of a limb", "licence", "optimiser.learning_rate", "labelled images", "4 images at a time",
        "pip install 'cairn[train]'", "pip install cairn", "somebody moves", "an error, not a silence",
    ],
)  # fmt: skip
def test_banned_phrases_are_found(phrase: str) -> None:
    assert findings(phrase, BANNED)


@pytest.mark.parametrize(
    "phrase",
    [
        "Each image is read once.", "backbone_lr_factor", "low-confidence keypoints", "fine-tune pretrained weights",
        "held-out images", "skipped files", "pip install 'cairn-pose[train]'", "pip install cairn-pose", "usually",
        "trained from scratch", "ground truth", "truncated", "math.floor(x)", "a batch of 16 images", "make sure",
    ],
)  # fmt: skip
def test_standard_terms_pass(phrase: str) -> None:
    assert findings(phrase, BANNED) == []


def test_findings_state_line_phrase_and_replacement() -> None:
    assert findings("first\nThe Picture\n", BANNED) == [Finding(2, "Picture", "image; frame (of a video)")]


def test_markers_exempt_lines_blocks_and_tables() -> None:
    text = """
picture  # vocabulary: allow
<!-- vocabulary: off -->
picture
<!-- vocabulary: on -->
RENAMED_KEYS = {
    "picture": "image",
}
last
"""
    assert [line for _, line in checked_lines(text)] == ["", "<!-- vocabulary: on -->", "last"]


def test_exit_status_and_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text("An image.\n")
    bad.write_text("An image.\nA picture.\n")
    assert main([str(good)]) == 0
    assert main([str(good), str(bad)]) == 1
    assert f"{bad}:2: 'picture': use image" in capsys.readouterr().out


def test_project_uses_its_vocabulary(capsys: pytest.CaptureFixture[str]) -> None:
    if not (check_vocabulary.ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    status = main([])
    assert status == 0, capsys.readouterr().out


def test_project_has_no_spelling_errors() -> None:
    if not (check_vocabulary.ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = shutil.which("codespell", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("codespell is not installed")
    files = subprocess.run(
        ["git", "ls-files"], cwd=check_vocabulary.ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    result = subprocess.run(
        [command, *filter(None, files)], cwd=check_vocabulary.ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
