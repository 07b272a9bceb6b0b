"""Names of files of shapes and of landmarks, in folders that hold other files as well."""

from __future__ import annotations

from pathlib import Path

from cairn.errors import CloudError

SHAPE_SUFFIXES = (".ply", ".obj", ".off", ".stl", ".pcd", ".xyz", ".npy", ".npz", ".las", ".laz")

LANDMARK_SUFFIXES = (".mrk.json", ".fcsv", ".csv", ".json")

PREDICTED = ".keypoints"
"""End of the names of files that `cairn keypoints` writes."""


def find_shapes(source: Path) -> dict[str, Path]:
    """Returns the shapes of a folder by their names, or one file."""
    return _find(source, SHAPE_SUFFIXES, "a shape")  # without those that `cairn keypoints` writes


def find_landmarks(source: Path) -> dict[str, Path]:
    """Returns the landmark files of a folder by the names of their specimens, or one file."""
    return _find(source, LANDMARK_SUFFIXES, "landmarks")


def _find(source: Path, suffixes: tuple[str, ...], kind: str) -> dict[str, Path]:
    if source.is_file():
        return {_name(source, suffixes): source}
    if not source.is_dir():
        raise CloudError(f"{source} does not exist: expected a folder or a file with {kind}")
    found: dict[str, Path] = {}
    for path in sorted(source.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith(suffixes) or not path.is_file():
            continue
        name = _name(path, suffixes)
        if _is_predicted(path, suffixes):
            if suffixes == SHAPE_SUFFIXES:
                continue
            if name in found and _is_predicted(found[name], suffixes):  # one result in several formats
                found[name] = min(path, found[name], key=lambda each: suffixes.index(_suffix(each, suffixes)))
                continue
        if name in found:
            raise CloudError(f"{source}: {found[name].name} and {path.name} are both {kind} of {name}: keep one")
        found[name] = path
    return found


def _name(path: Path, suffixes: tuple[str, ...]) -> str:
    """Returns the name of a specimen: that of the file without its suffix, which may have two parts."""
    return path.name[: len(path.name) - len(_suffix(path, suffixes))].removesuffix(PREDICTED) or path.name


def _is_predicted(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name[: len(path.name) - len(_suffix(path, suffixes))].endswith(PREDICTED)


def _suffix(path: Path, suffixes: tuple[str, ...]) -> str:
    return next((each for each in suffixes if path.name.lower().endswith(each)), path.suffix)
