"""A skeleton in a file: Cairn's TOML, which users read and edit, or mmpose's dataset_info."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from cairn.datasets.formats.mmpose import read_dataset_info
from cairn.files import atomic_write
from cairn.structures.skeleton import Skeleton, load_skeleton

PAIRED = ("limbs", "redundant", "flip_pairs", "hidden")
COMMENTS = {
    "joints": "in the order of the labels",
    "limbs": "from, to",
    "redundant": "limbs that close a cycle: the others must form a tree",
    "flip_pairs": "left and right joints, swapped in a mirrored image",
    "sigmas": "standard deviations of annotators, for OKS: COCO's are from 0.025 (an eye) to 0.107 (a hip)",
    "colors": "#rrggbb, one for each joint; empty for evenly spaced hues",
}


def read_skeleton(name: str | Path) -> Skeleton:
    """Returns a built-in skeleton by name, that of a .toml file, or that of mmpose's dataset_info in a .py file.

    Raises:
        SkeletonError: There is no such skeleton, or the file is invalid.
    """
    return read_dataset_info(Path(name)) if str(name).endswith(".py") else load_skeleton(str(name))


def skeleton_beside(labels: Path) -> Path:
    """Returns the path of the skeleton file of a label file, or of a folder of labels."""
    return labels / "skeleton.toml" if labels.is_dir() or not labels.suffix else labels.with_suffix(".skeleton.toml")


def write_skeleton(skeleton: Skeleton, path: Path, notes: Iterable[str] = ()) -> None:
    """Writes a TOML file that `read_skeleton` reads as the same skeleton.

    Args:
        skeleton: The skeleton.
        path: The file.
        notes: Comment lines at the top of the file.

    Raises:
        OutputError: The file cannot be written.
    """
    lines = [f"# {note}" for note in notes]
    for key, value in skeleton.to_dict().items():
        if key == "means" or (not value and key not in ("limbs", "flip_pairs")):
            continue
        comment = f" # {COMMENTS[key]}" if key in COMMENTS else ""
        if key in PAIRED and value:
            lines += [f"{key} = [{comment}", *(f"    {_toml(pair)}," for pair in value), "]"]
        else:
            lines.append(f"{key} = {_toml(value)}{comment}")
    if skeleton.means:
        lines += ["", "[means]", *(f"{_toml(joint)} = {_toml(list(parts))}" for joint, parts in skeleton.means)]
    with atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: object) -> str:
    """JSON's lists, numbers and escapes are valid TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
