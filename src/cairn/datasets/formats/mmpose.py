"""mmpose's `dataset_info`: a Python file that describes a skeleton. It is parsed and never executed.

dataset_info = dict(
    dataset_name='fly',
    keypoint_info={0: dict(name='head', id=0, color=[255, 0, 0], swap=''), ...},
    skeleton_info={0: dict(link=('head', 'thorax'), id=0, color=[0, 255, 0]), ...},
    joint_weights=[...], sigmas=[...])
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from cairn.datasets.formats.category import make_skeleton
from cairn.errors import SkeletonError
from cairn.structures.skeleton import Skeleton

MAX_REPEATS = 10_000  # of a list; a body with face and hands has 133 joints


def read_dataset_info(path: Path) -> Skeleton:
    """Returns the skeleton: names, flip pairs by `swap`, limbs, colors and sigmas; `joint_weights` is ignored.

    Raises:
        SkeletonError: The file has no such table, or contains more than plain values.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SkeletonError(f"cannot read skeleton {path}: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SkeletonError(f"{path} is not valid Python: {error}") from None
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    tables = [node.value for node in assigned if "dataset_info" in map(ast.unparse, node.targets)]
    if not tables:
        raise SkeletonError(f"{path} has no dataset_info = dict(...): expected a dataset_info file of mmpose")
    info = _value(tables[-1], path)
    if not isinstance(info, dict) or not isinstance(info.get("keypoint_info"), dict):
        raise SkeletonError(f"{path}: dataset_info needs keypoint_info, a table of joints")
    return _skeleton(info, path)


def _value(node: ast.expr, path: Path) -> Any:
    """Plain values, `dict(name=value)` as the only call, `[1.] * 17`, and sums of lists."""
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words) if all(word.arg for word in words):
            return {word.arg: _value(word.value, path) for word in words}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_key(key, path): _value(value, path) for key, value in zip(keys, values, strict=True)}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, path) for item in items]
        case ast.BinOp(left=ast.List() as items, op=ast.Mult(), right=ast.Constant(value=int(n))) if n < MAX_REPEATS:
            return _value(items, path) * n
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_listed(_value(left, path), node, path), *_listed(_value(right, path), node, path)]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise _not_plain(node, path) from None


def _listed(value: Any, node: ast.expr, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise _not_plain(node, path)
    return value


def _not_plain(node: ast.expr, path: Path) -> SkeletonError:
    text = " ".join(ast.unparse(node).split())
    return SkeletonError(f"{path} line {node.lineno}: expected plain values, got {text:.60}")


def _key(node: ast.expr | None, path: Path) -> Any:
    key = _value(node, path) if node is not None else None
    if not isinstance(key, int | str):
        raise SkeletonError(f"{path}: keys must be numbers or names, got {key!r:.60}")
    return key


def _skeleton(info: dict[str, Any], path: Path) -> Skeleton:
    entries = [entry for entry in info["keypoint_info"].values() if isinstance(entry, dict)]
    if not entries or not all(isinstance(entry.get("name"), str) for entry in entries):
        raise SkeletonError(f"{path}: each entry of keypoint_info needs a name")
    entries = sorted(entries, key=lambda entry: entry["id"] if isinstance(entry.get("id"), int) else len(entries))
    joints = [entry["name"] for entry in entries]
    index_of = {joint: i for i, joint in enumerate(joints)}

    def index(joint: Any, what: str) -> int:
        if joint not in joints:
            raise SkeletonError(f"{path}: {what} names {joint!r:.60}, which is not a joint")
        return index_of[joint]

    swaps = {index_of[entry["name"]]: entry["swap"] for entry in entries if entry.get("swap")}
    flips = {i: index(other, f"swap of {joints[i]}") for i, other in swaps.items()}
    for i, other in flips.items():
        if flips.get(other) != i:
            raise SkeletonError(f"{path}: swap of {joints[i]} is {joints[other]}, but not the other way around")
    links = [link["link"] for link in (info.get("skeleton_info") or {}).values()]
    if not all(isinstance(link, list) and len(link) == 2 for link in links):
        raise SkeletonError(f"{path}: each link of skeleton_info must be two names of joints")
    limbs = [(index(a, "skeleton_info"), index(b, "skeleton_info")) for a, b in links]
    sigmas = info.get("sigmas") or None
    if sigmas is not None and not (isinstance(sigmas, list) and all(isinstance(s, int | float) for s in sigmas)):
        raise SkeletonError(f"{path}: sigmas must be a list of numbers, got {sigmas!r:.60}")
    colors = [color for entry in entries if (color := _color(entry.get("color")))]
    pairs = [(i, other) for i, other in flips.items() if i < other]
    name = str(info.get("dataset_name") or path.stem)
    try:
        return make_skeleton(name, joints, limbs, pairs, sigmas, colors if len(colors) == len(joints) else ())
    except SkeletonError as error:
        raise SkeletonError(f"{path}: {error}") from None


def _color(value: Any) -> str | None:
    """[red, green, blue] as #rrggbb."""
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return "#{:02x}{:02x}{:02x}".format(*value)
    return None
