"""mkdocs hooks: pages of the site that are generated from other files.

- `reference/cli.md` from the command line itself,
- `reference/api/PACKAGE.md`, one page for each public package, for mkdocstrings,
- the list in `decisions/index.md` from the titles of the records,
- `changelog.md` from CHANGELOG.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "cairn"
DECISIONS = ROOT / "docs" / "decisions"

PACKAGES = {
    "api": "The functions behind the commands, and the objects that they return.",
    "errors": "Exceptions: all derive from `CairnError`.",
    "structures": "Poses, skeletons, annotations and coordinate transforms.",
    "ops": "Array functions in numpy: heatmaps, part affinity fields, grouping, assignment, smoothing.",
    "media": "Images, videos, webcams, folders and lists.",
    "multiview": "Several cameras: calibration, synchronization, association and triangulation.",
    "pointclouds": "Point clouds and meshes: files, normals, keypoints, registration.",
    "tracking": "Track IDs over time.",
    "visualization": "Overlays and sheets.",
    "inference": "Model files, devices, predictors and resolution.",
    "datasets": "Annotations in memory, file formats, checks and splits.",
    "results": "Output formats.",
    "evaluation": "Metrics, protocols and reports.",
    "training": "Recipes, the training loop, data, backbones, checkpoints and export.",
    "methods": "OpenPose, Stacked Hourglass, landmarks, lifting, USIP and KeypointNet.",
    "server": "The HTTP API and the web app of `cairn serve`.",
}
"""The public packages, with one line each."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to the site."""
    pages = {
        "reference/cli.md": command_reference(),
        "reference/api/index.md": api_index(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        **{f"reference/api/{name}.md": package_page(name, line) for name, line in PACKAGES.items()},
    }
    for name, text in pages.items():
        if files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fills in the list of decision records."""
    return markdown.replace("<!-- decision records -->", decision_list())


def decision_list() -> str:
    """Returns the list of decision records, a link with its title each."""
    rows = []
    for path in sorted(DECISIONS.glob("0*.md")):
        heading = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("#").strip()
        number = path.name[:4]
        rows.append(f"- [{number}]({path.name}) {re.sub(rf'^{number}[:. ]*', '', heading)}")
    return "\n".join(rows)


def command_reference() -> str:
    """Returns the reference of all commands, printed by `python -m cairn.cli.reference`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "cairn.cli.reference"], env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(f"python -m cairn.cli.reference: {result.stderr.strip()}")
    return result.stdout


def api_index() -> str:
    """Returns the page of the names that `import cairn` offers, and of the packages."""
    packages = "\n".join(f"| [cairn.{name}]({name}.md) | {line} |" for name, line in PACKAGES.items())
    names = "\n".join(f"| [`cairn.{name}`][{home}] | {line} |" for name, home, line in public_names())
    return f"""# API reference

All public names are attributes of `cairn`, and each command is a function of the same name.

[Python API](../../guides/python-api.md) is the guide with examples.

## Public names

| name | |
|---|---|
{names}

## Packages

| package | contents |
|---|---|
{packages}
"""


def public_names() -> list[tuple[str, str, str]]:
    """Returns each name of `cairn.__all__`, where it is defined, and the first line of its docstring."""
    code = """
import cairn, inspect
for name in cairn.__all__:
    value = getattr(cairn, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        line = (inspect.getdoc(value) or "").split("\\n")[0].replace("|", "or")
        print(name, f"{value.__module__}.{value.__qualname__}", line, sep="\\t")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    return [(name, home, line) for name, home, line in rows]


def package_page(name: str, line: str) -> str:
    """Returns the reference page of a package: all its modules."""
    package = SOURCE / name
    paths = [path for path in package.rglob("*.py") if path.stat().st_size] or [package.with_suffix(".py")]
    modules = sorted(
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__") for path in paths
    )
    blocks = "\n\n".join(f"::: {module}\n    options:\n      show_root_full_path: true" for module in modules)
    return f"# cairn.{name}\n\n{line}\n\n{blocks}\n"
