"""Qualisys' .qca.txt: XML with one element `camera` for each camera.

Intrinsics are in 1/64 pixel, relative to the sensor, of which fov_video is the part that is recorded. Distortion has no
unit. `transform` is the pose of the camera in the world, with y up and z backward in its frame, and lengths in
millimeters; its columns are the axes of the camera.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

import numpy as np

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import CameraFile, Format, StoredCamera, padded, text_of
from cairn.structures.camera import Camera, Rig

SUBPIXELS = 64
"""Units of a pixel."""

FLIPPED = np.diag([1.0, -1.0, -1.0])
"""From a camera with y up and z backward to one with y down and z forward."""

VIDEO_MODELS = ("video", "none")
"""Parts of `model` of cameras that record video; the others track markers."""


def read(path: Path) -> CameraFile:
    """Reads a file: its video cameras, or all where none is marked as such.

    Raises:
        CameraError: The file cannot be read, or a camera lacks a value.
    """
    cameras = _root(path).findall(".//camera")
    video = [each for each in cameras if any(model in each.get("model", "").lower() for model in VIDEO_MODELS)]
    return CameraFile(tuple(_camera(each, i, path) for i, each in enumerate(video or cameras)), "mm")


def _root(path: Path) -> Element:
    text = text_of(path)
    if "<!DOCTYPE" in text:
        raise CameraError(f"{path} has a document type (<!DOCTYPE ...>), which files of cameras do not need: remove it")
    try:
        return ElementTree.fromstring(text.encode() if text.startswith("<?xml") else text)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise CameraError(f"{path} is not valid XML: {error}") from None


def _camera(element: Element, index: int, path: Path) -> StoredCamera:
    name = element.get("serial") or f"cam_{index}"

    def number(part: str, key: str, default: float | None = None) -> float:
        found = element.find(part)
        value = None if found is None else found.get(key)
        if value is None and default is not None:
            return default
        try:
            return float(value or "")
        except ValueError:
            raise CameraError(f"{path}: camera {name} needs a number {key} in <{part}>, got {value!r:.40}") from None

    left, top = number("fov_video", "left"), number("fov_video", "top")
    size = round(number("fov_video", "bottom") - top) + 1, round(number("fov_video", "right") - left) + 1
    focal = [number("intrinsic", f"focalLength{axis}") / SUBPIXELS for axis in "UV"]
    center = [number("intrinsic", f"centerPoint{axis}") / SUBPIXELS for axis in "UV"]
    skew = number("intrinsic", "skew", 0.0) / SUBPIXELS
    radial = [number("intrinsic", f"radialDistortion{i}", 0.0 if i == 3 else None) for i in (1, 2, 3)]
    tangential = [number("intrinsic", f"tangentalDistortion{i}") for i in (1, 2)]  # as Qualisys spells it
    matrix = [[focal[0], skew, center[0] - left], [0, focal[1], center[1] - top], [0, 0, 1]]
    distortion = [*radial[:2], *tangential, *([radial[2]] if radial[2] else [])]
    axes = np.array([[number("transform", f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)])
    rotation = FLIPPED @ axes
    translation = -rotation @ [number("transform", axis) for axis in "xyz"]
    return StoredCamera(name, matrix, distortion, size, False, rotation, translation)


def _sniff(path: Path) -> bool:
    if path.suffix.lower() not in (".txt", ".xml", ".qca") or not path.is_file():
        return False
    return "<calibration" in text_of(path) and _root(path).find(".//camera/transform") is not None


def _write(rig: Rig, path: Path) -> None:
    cameras = "\n".join(_element(camera) for camera in rig)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<calibration type="regular" source="Cairn">\n  <cameras>\n'
        f"{cameras}\n  </cameras>\n</calibration>\n",
        encoding="utf-8",
    )


def _element(camera: Camera) -> str:
    if camera.size is None:
        raise CameraError(f".qca.txt needs the image size of camera {camera.name}, which is unknown")
    height, width = camera.size
    axes = FLIPPED @ camera.rotation
    k1, k2, p1, p2, k3 = padded(camera.distortion, (5,)).tolist()
    scaled = (SUBPIXELS * camera.matrix).tolist()
    position = 1000 * camera.center
    turned = " ".join(f'r{i + 1}{j + 1}="{float(axes[i, j])!r}"' for i in range(3) for j in range(3))
    moved = " ".join(f'{axis}="{float(value)!r}"' for axis, value in zip("xyz", position, strict=True))
    view = f'left="0" top="0" right="{width - 1}" bottom="{height - 1}"'
    return (
        f'    <camera active="1" serial={quoteattr(camera.name)} model="none" viewrotation="0">\n'
        f"      <fov_marker {view}/>\n      <fov_video {view}/>\n"
        f"      <transform {turned} {moved}/>\n"
        f'      <intrinsic focalLengthU="{scaled[0][0]!r}" focalLengthV="{scaled[1][1]!r}" '
        f'centerPointU="{scaled[0][2]!r}" centerPointV="{scaled[1][2]!r}" skew="{scaled[0][1]!r}" '
        f'radialDistortion1="{k1!r}" radialDistortion2="{k2!r}" radialDistortion3="{k3!r}" '
        f'tangentalDistortion1="{p1!r}" tangentalDistortion2="{p2!r}" '
        f'sensorMinU="0" sensorMaxU="{SUBPIXELS * width}" sensorMinV="0" sensorMaxV="{SUBPIXELS * height}"/>\n'
        "    </camera>"
    )


FORMAT = Format(
    "qualisys", ".qca.txt of Qualisys", (".qca.txt",), _sniff, read, _write, lengths=(0, 4, 5), fisheye=False
)
