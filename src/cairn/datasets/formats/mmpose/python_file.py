"""The plain values that a Python file assigns, without executing it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cairn.datasets.containers.expansion import out_of_bounds
from cairn.datasets.containers.text_file import exists
from cairn.errors import SkeletonError

MAX_ITEMS = 10_000  # of a repeated or joined list or text; a body with face and hands has 133 joints
MAX_DEPTH = 10  # of files that inherit from one another


@dataclass(frozen=True)
class Unknown:
    """A value that is not plain.

    Attributes:
        text: The expression.
        where: File and line.
    """

    text: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: expected plain values, got {self.text:.60}"


def read_values(path: Path, heirs: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Returns the values of the names that a file assigns, merged over those of the files in its `_base_`.

    Anything that is not plain is an `Unknown`: what is missing may not be needed. Names that are assigned before can be
    used, also in f-strings; `_base_.name` and `{{_base_.name}}` are those of the inherited files.

    Args:
        path: The file.
        heirs: Files that inherit from it, which it cannot inherit from.

    Raises:
        SkeletonError: The file cannot be read, or is not valid Python.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SkeletonError(f"cannot read skeleton {path}: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SkeletonError(f"{path} is not valid Python: {error}") from None
    names: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
            try:
                value = _value(statement.value, names, path)
                if (reason := out_of_bounds(value)) is not None:
                    value = Unknown(f"a value of which {reason}", f"{path} line {statement.lineno}")
            except RecursionError:
                value = Unknown("a value that is nested too deeply", f"{path} line {statement.lineno}")
            for target in statement.targets:
                names[ast.unparse(target)] = value
                if ast.unparse(target) == "_base_":
                    names["_base_"] = _inherited(value, path, heirs)
        elif not isinstance(statement, ast.Expr | ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):  # changed in a way that is not followed
                    names[node.id] = _unknown(statement, path)
    base = names.pop("_base_", {})
    return _merged(base, names) if isinstance(base, dict) else names


def _inherited(value: Any, path: Path, heirs: tuple[Path, ...]) -> dict[str, Any]:
    """The merged values of inherited files; files that are not there are skipped."""
    merged: dict[str, Any] = {}
    for name in value if isinstance(value, list) else [value]:
        if isinstance(name, str) and len(heirs) < MAX_DEPTH and "\0" not in name:
            file = path.parent / name
            line = (*heirs, path)
            if exists(file) and file.is_file() and not any(file.samefile(heir) for heir in line):
                merged = _merged(merged, read_values(file, line))
    return merged


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, unless `_delete_` says otherwise; other values replace."""
    result = dict(base)
    for key, value in own.items():
        old = result.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and not value.get("_delete_"):
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result


def _value(node: ast.expr, names: Mapping[str, Any], path: Path) -> Any:
    """Plain values, `dict(name=value)` as the only call, `[1.] * 17`, sums of lists or texts, names and f-strings."""

    def value(part: ast.expr) -> Any:
        return _value(part, names, path)

    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words) if all(word.arg for word in words):
            return {word.arg: value(word.value) for word in words}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            table = [(value(key), value(item)) for key, item in zip(keys, values, strict=True) if key is not None]
            return dict(table) if all(isinstance(key, int | str) for key, _ in table) else _unknown(node, path)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [value(item) for item in items]
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Set(elts=[ast.Set(elts=[ast.Attribute() as inner])]):
            return value(inner)
        case ast.Attribute(value=inner, attr=key) | ast.Subscript(value=inner, slice=ast.Constant(value=key)):
            table = value(inner)
            known = isinstance(table, dict) and key in table
            return table[key] if known else _unknown(node, path)
        case ast.Call(func=ast.Attribute(attr="join"), args=parts) if _is_path_join(node):
            texts = [value(part) for part in parts]
            return (
                str(PurePosixPath(*texts)) if texts and all(isinstance(t, str) for t in texts) else _unknown(node, path)
            )
        case ast.JoinedStr(values=parts):
            texts = [value(part.value) if isinstance(part, ast.FormattedValue) else value(part) for part in parts]
            joined = all(isinstance(text, str) or _is_short(text) for text in texts) and "".join(map(str, texts))
            return joined if isinstance(joined, str) and len(joined) < MAX_ITEMS else _unknown(node, path)
        case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(n))) if n < MAX_ITEMS:
            items = value(left)
            return items * n if isinstance(items, list) and len(items) * n < MAX_ITEMS else _unknown(node, path)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = value(left), value(right)
            same = all(isinstance(part, list) for part in (one, other)) or all(
                isinstance(part, str) for part in (one, other)
            )
            return one + other if same and len(one) + len(other) < MAX_ITEMS else _unknown(node, path)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _unknown(node, path)


def _is_short(value: Any) -> bool:
    return isinstance(value, int) and out_of_bounds(value) is None


def _is_path_join(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="osp"), attr="join"):
            return True
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="os"), attr="path"), attr="join"):
            return True
    return False


def _unknown(node: ast.expr | ast.stmt, path: Path) -> Unknown:
    try:
        text = " ".join(ast.unparse(node).split())
    except (ValueError, RecursionError):  # too many digits, or nested too deeply
        text = "a value without end"
    return Unknown(text, f"{path} line {node.lineno}")
