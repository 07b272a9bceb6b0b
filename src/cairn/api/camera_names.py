"""Which input is of which camera: by name, or by order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cairn.errors import CameraError
from cairn.wording import counted

TOKEN = re.compile(r"[0-9]+|[^\W\d_]+")
DEPTH = 3  # parts of a path that may name the camera, from the end


def cameras_of(inputs: Sequence[Any] | Mapping[str, Any], cameras: Sequence[str]) -> tuple[dict[str, Any], str | None]:
    """Returns the input of each camera, in the order of the cameras, and a note where names did not tell.

    A mapping, or strings CAMERA=PATH, name the cameras. Otherwise an input is of the camera whose name its file or
    folder name has (cam01 also in cam1_pose.json); where not every input names its own camera, as many inputs as
    cameras are taken in order. A folder alone stands for the files and folders in it that name cameras.

    Args:
        inputs: Camera -> input, or inputs.
        cameras: Names of the cameras.

    Raises:
        CameraError: A camera is unknown or named twice, or neither names nor order tell.
    """
    if not inputs:
        raise CameraError(f"no inputs: expected the keypoints of at least two of {', '.join(cameras)}")
    if isinstance(inputs, Mapping):
        return _named(list(inputs.items()), cameras), None
    explicit = [str(each).partition("=") for each in inputs if isinstance(each, str) and not Path(each).exists()]
    if len(explicit) == len(inputs) and all(mark and name in cameras for name, mark, _ in explicit):
        return _named([(name, value) for name, _, value in explicit], cameras), None
    paths = [Path(each) for each in inputs if isinstance(each, str | Path)]
    if len(inputs) == len(paths) == 1 and (inside := _inside(paths[0], cameras)):
        return inside, None
    if len(paths) == len(inputs):
        for depth in range(1, DEPTH + 1):
            found = _by_name([_part(path, depth) for path in paths], cameras)
            if found is not None:
                return _named(list(zip(found, inputs, strict=True)), cameras), None
    if len(inputs) != len(cameras):
        raise CameraError(
            f"{counted(len(inputs), 'input')} for {counted(len(cameras), 'camera')} ({', '.join(cameras)}), and their "
            "names do not tell which: name them after the cameras, or give CAMERA=PATH"
        )
    pairs = ", ".join(f"{name} {_shown(each)}" for name, each in zip(cameras, inputs, strict=True))
    note = f"the names of the inputs do not tell the cameras: they are taken in order: {pairs}"
    return dict(zip(cameras, inputs, strict=True)), note


def _inside(folder: Path, cameras: Sequence[str]) -> dict[str, Any]:
    """Returns the files or folders of a folder that name cameras; none unless two at least do, each its own."""
    entries = sorted(each for each in folder.iterdir() if each.name[0] != ".") if folder.is_dir() else []
    named = [each for each in entries if _by_name([_part(each, 1)], cameras)]
    found = _by_name([_part(each, 1) for each in named], cameras) if len(named) > 1 else None
    return {} if found is None else _named(list(zip(found, named, strict=True)), cameras)


def _named(pairs: Sequence[tuple[str, Any]], cameras: Sequence[str]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if unknown := [name for name in names if name not in cameras]:
        raise CameraError(f"the rig has no camera {unknown[0]!r}: it has {', '.join(cameras)}")
    if twice := [name for name in names if names.count(name) > 1]:
        both = " and ".join(_shown(each) for name, each in pairs if name == twice[0])
        raise CameraError(f"camera {twice[0]} has two inputs, {both}: give one for each camera")
    given = dict(pairs)
    return {name: given[name] for name in cameras if name in given}


def _by_name(texts: Sequence[str], cameras: Sequence[str]) -> list[str] | None:
    """Returns the camera that each text names; None unless each names its own.

    What all texts have in common names no camera, and of two names in a text the longer one counts.
    """
    tokens = [_tokens(text) for text in texts]
    same_length = len(tokens) > 1 and len(set(map(len, tokens))) == 1
    columns = list(zip(*tokens, strict=True)) if same_length else []
    common = {i for i, column in enumerate(columns) if len(set(column)) == 1}
    found = []
    for own in tokens:
        matches = {}
        for camera in cameras:
            part = _tokens(camera)
            for at in range(len(own) - len(part) + 1):
                places = set(range(at, at + len(part)))
                if part and own[at : at + len(part)] == part and not places <= common:
                    matches[camera] = len(part)
        longest = [camera for camera, length in matches.items() if length == max(matches.values())]
        if len(longest) != 1:
            return None
        found.append(longest[0])
    return found if len(set(found)) == len(found) else None


def _tokens(text: str) -> list[str]:
    """Returns words and numbers, without leading zeros and case: cam_01 and Cam1 are the same."""
    return [str(int(token)) if token.isdecimal() else token.lower() for token in TOKEN.findall(text)]


def _part(path: Path, depth: int) -> str:
    """Returns a part of a path, from the end; the last one without its suffix."""
    parts = path.absolute().parts
    return path.name.partition(".")[0] if depth == 1 else parts[-depth] if len(parts) >= depth else ""


def _shown(each: Any) -> str:
    return str(each) if isinstance(each, str | Path) else f"({type(each).__name__})"
