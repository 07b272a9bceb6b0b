"""The documentation site builds strictly, works offline, and its search finds the words of the field."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TERMS = ["fine-tune", "bounding box", "track ID", "data leakage", "test-time", "ground truth", "backbone", "heatmap"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        try:
            present = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            present = False
        if not present:
            pytest.skip("mkdocs-material and mkdocstrings[python] are in the docs extra")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("term", TERMS)
def test_search_finds(site: Path, term: str) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    pages = {
        entry["location"].split("#")[0]
        for entry in index["docs"]
        if term.lower() in re.sub(r"<[^>]+>", "", f"{entry['title']} {entry['text']}").lower()
    }
    assert pages - {"changelog/"}, term


class _External(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        source = values.get("src") or (
            values.get("href") if tag == "link" and values.get("rel") != "canonical" else None
        )
        if source and source.startswith(("http:", "https:", "//")):
            self.loaded.append(source)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        parser = _External()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.loaded == [], page


def test_every_command_has_its_reference(site: Path) -> None:
    from typer.main import get_command

    from cairn.cli import app

    reference = (site / "reference" / "cli" / "index.html").read_text(encoding="utf-8")
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"cairn {name}" in reference


def test_every_decision_is_listed(site: Path) -> None:
    index = (site / "decisions" / "index.html").read_text(encoding="utf-8")
    records = [path.stem for path in (ROOT / "docs" / "decisions").glob("0*.md")]
    assert len(records) > 30
    for record in records:
        assert f"{record}/" in index
