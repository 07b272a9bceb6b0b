"""Writes cameras in any format that is known."""

from __future__ import annotations

from pathlib import Path

from cairn.errors import CameraError, OutputError
from cairn.files import atomic_write, ensure_writable_folder
from cairn.multiview.cameras.camera_file import Format
from cairn.multiview.cameras.reading import FORMATS
from cairn.structures.camera import Rig


def write_cameras(rig: Rig, path: str | Path, format: str | None = None) -> None:
    """Writes the cameras of a rig, completely or not at all. Lengths are in meters, unless the format has its own unit.

    Args:
        rig: The cameras.
        path: The file; for EasyMocap a folder, in which intri.yml and extri.yml are written.
        format: Name of a format: cairn, anipose, pose2sim, caliscope, qualisys, easymocap, opencv or json. Default:
            by the name: cairn for .toml, caliscope for camera_array.toml, qualisys for .qca.txt, opencv for .yml and
            .yaml, json for .json, easymocap for a name without a suffix.

    Raises:
        CameraError: The format is unknown, or cannot hold one of the cameras.
        OutputError: The file cannot be written.
    """
    path = Path(path)
    target = format_of(path, format)
    for camera in rig:
        if camera.fisheye and not target.fisheye:
            raise CameraError(f"{target.title} has no fisheye cameras such as {camera.name}: write another format")
        if not camera.fisheye and len(camera.distortion) > max(target.lengths):
            raise CameraError(
                f"{target.title} holds at most {max(target.lengths)} distortion coefficients, and camera {camera.name} "
                f"has {len(camera.distortion)}: write another format"
            )
    if "" in target.suffixes:
        target.write(rig, ensure_writable_folder(path))
        return
    with atomic_write(path) as partial:
        target.write(rig, partial)


def format_of(path: Path, name: str | None = None) -> Format:
    """Returns the format to write: the one of that name, or the one whose suffix the path has.

    Raises:
        CameraError: The name is unknown.
        OutputError: No format has the suffix.
    """
    if name is not None:
        for each in FORMATS:
            if each.name == name:
                return each
        raise CameraError(f"unknown format of cameras {name!r}: expected {', '.join(each.name for each in FORMATS)}")
    ending = path.name.lower()
    fitting = [
        (len(suffix), each) for each in FORMATS for suffix in each.suffixes if suffix and ending.endswith(suffix)
    ]
    if fitting:
        return max(fitting, key=lambda entry: entry[0])[1]
    if not path.suffix:
        return next(each for each in FORMATS if "" in each.suffixes)
    raise OutputError(f"cannot write cameras to {path}: expected .toml, .qca.txt, .yml, .json, or the name of a format")
