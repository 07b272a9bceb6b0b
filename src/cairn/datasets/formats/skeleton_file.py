"""A skeleton in a file: Cairn's TOML, which a user reads and corrects, or mmpose's dataset_info."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from cairn.datasets.formats.mmpose import read_dataset_info
from cairn.files import atomic_write
from cairn.structures.skeleton import Skeleton
from cairn.structures.skeleton import load_skeleton as definition

PAIRED = ("limbs", "redundant", "flip_pairs", "hidden")
EXPLAINED = {
    "joints": "in the order of the labels",
    "limbs": "from, to",
    "redundant": "limbs that close a circle: the others must form a tree",
    "flip_pairs": "joints that change places in a mirror",
    "sigmas": "how far annotators differ, for OKS: COCO's are from 0.025 (an eye) to 0.107 (a hip)",
    "colors": "#rrggbb, one for each joint; none for hues around the circle",
}


def read_skeleton(name: str | Path) -> Skeleton:
    """A definition by name, a .toml file, or mmpose's dataset_info in a .py file. Raises SkeletonError."""
    return read_dataset_info(Path(name)) if str(name).endswith(".py") else definition(str(name))


def skeleton_beside(labels: Path) -> Path:
    """Where the skeleton of a label file, or of a folder of labels, is written."""
    return labels / "skeleton.toml" if labels.is_dir() or not labels.suffix else labels.with_suffix(".skeleton.toml")


def write_skeleton(skeleton: Skeleton, path: Path, notes: Iterable[str] = ()) -> None:
    """A file that `read_skeleton` reads as the same. notes: lines of comment at its top. Raises OutputError."""
    lines = [f"# {note}" for note in notes]
    for key, value in skeleton.to_dict().items():
        if key == "means" or (not value and key not in ("limbs", "flip_pairs")):
            continue
        comment = f" # {EXPLAINED[key]}" if key in EXPLAINED else ""
        if key in PAIRED and value:
            lines += [f"{key} = [{comment}", *(f"    {_text(pair)}," for pair in value), "]"]
        else:
            lines.append(f"{key} = {_text(value)}{comment}")
    if skeleton.means:
        lines += ["", "[means]", *(f"{_text(joint)} = {_text(list(parts))}" for joint, parts in skeleton.means)]
    with atomic_write(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(value: object) -> str:
    """JSON's lists, numbers and escapes are TOML's too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
