"""What a file of cameras says, before its unit is settled; and what a file format is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.structures.camera import PINHOLE_LENGTHS, Camera, Rig, nearest_rotation, rotation_matrix
from cairn.structures.geometry import Size

MAX_BYTES = 50_000_000
"""Size of the largest file that is read as cameras."""


@dataclass(frozen=True)
class StoredCamera:
    """One camera as a file has it.

    Attributes:
        name: Its name.
        matrix: (3, 3) intrinsic matrix in pixels.
        distortion: (D,) distortion coefficients in OpenCV's order.
        size: (height, width) in pixels; None where the file does not say.
        fisheye: Whether the distortion is OpenCV's fisheye model.
        rotation: (3, 3) R or (3,) Rodrigues vector of x_cam = R x_world + t; None of a camera without a pose.
        translation: (3,) t in the unit of the file; None of a camera without a pose.
    """

    name: str
    matrix: Any
    distortion: Any
    size: Size | None = None
    fisheye: bool = False
    rotation: Any = None
    translation: Any = None

    @property
    def posed(self) -> bool:
        """Whether the file has the pose of this camera."""
        return self.rotation is not None and self.translation is not None

    def camera(self, scale: float) -> Camera:
        """Returns the camera with lengths times `scale`; without a pose, the camera at the origin.

        Raises:
            CameraError: A value is missing, of the wrong shape, or no rotation.
        """
        rotation, translation = np.eye(3), np.zeros(3)
        if self.posed:
            rotation = _without_rounding(rotation_matrix(_numbers(self.rotation, f"rotation of camera {self.name}")))
            translation = scale * _numbers(self.translation, f"translation of camera {self.name}").reshape(-1)
        return Camera(
            self.name,
            _numbers(self.matrix, f"intrinsic matrix of camera {self.name}"),
            _trimmed(_numbers(self.distortion, f"distortion of camera {self.name}").reshape(-1), self.fisheye),
            rotation,
            translation,
            self.size,
            self.fisheye,
        )


@dataclass(frozen=True)
class CameraFile:
    """The cameras of a file.

    Attributes:
        cameras: The cameras, in the order of the file.
        unit: Unit of lengths that the file or its format states, one of `UNITS`; None where neither does.
        skipped: Names of cameras that the file has without intrinsics, or marks as ignored.
    """

    cameras: tuple[StoredCamera, ...]
    unit: str | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A file format of cameras.

    Attributes:
        name: Name, as in `cairn calibrate --to NAME`.
        title: Noun phrase for messages.
        suffixes: Endings of a file that is written in this format unless another is given; "" for a folder.
        sniff: Whether a path is of this format, by its content; may raise `CameraError` for a damaged file.
        read: Reader.
        write: Writer of the cameras to an open path: a file, or a folder that exists.
        lengths: Numbers of distortion coefficients of a pinhole camera that the format holds.
        fisheye: Whether the format holds fisheye cameras.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    sniff: Callable[[Path], bool]
    read: Callable[[Path], CameraFile]
    write: Callable[[Rig, Path], None]
    lengths: tuple[int, ...] = PINHOLE_LENGTHS
    fisheye: bool = True


def text_of(path: Path) -> str:
    """Returns the text of a file.

    Raises:
        CameraError: The file cannot be read, is no text, or is far too large for cameras.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CameraError(f"{path} is no file of cameras: it has more than {MAX_BYTES // 1_000_000} MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CameraError(f"cannot read cameras {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CameraError(f"{path} is no file of cameras: expected text") from None


def image_size(values: Any, name: str) -> Size | None:
    """Returns (height, width) of a file's [width, height]; None of None.

    Raises:
        CameraError: They are not two positive integers.
    """
    if values is None:
        return None
    numbers = _numbers(values, f"size of camera {name}").reshape(-1)
    if len(numbers) != 2 or not (np.isfinite(numbers).all() and (numbers > 0).all()) or (numbers % 1).any():
        raise CameraError(f"camera {name}: expected a size [width, height] in pixels, got {values!r:.60}")
    return int(numbers[1]), int(numbers[0])


def padded(distortion: NDArray[np.float64], lengths: Iterable[int]) -> NDArray[np.float64]:
    """Returns distortion coefficients, with zeros up to the next length that a format holds."""
    length = min(each for each in lengths if each >= len(distortion))
    return np.pad(distortion, (0, length - len(distortion)))


def _numbers(values: Any, name: str) -> NDArray[np.float64]:
    """Values as float64."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise CameraError(f"{name}: expected numbers, got {values!r:.80}") from None


def _trimmed(distortion: NDArray[np.float64], fisheye: bool) -> NDArray[np.float64]:
    """Distortion coefficients of a length that a camera has: OpenCV also states 14, of which the last two are a tilt.

    Zeros past the last coefficient are removed down to the next length; other coefficients stay.
    """
    if fisheye or len(distortion) in PINHOLE_LENGTHS:
        return distortion
    used = int(np.flatnonzero(distortion)[-1]) + 1 if distortion.any() else 0
    length = min((each for each in PINHOLE_LENGTHS if each >= used), default=0)
    return np.pad(distortion[:length], (0, max(0, length - len(distortion)))) if used <= length else distortion


def _without_rounding(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation nearest to a matrix that rounding has moved; another matrix as it is, for `Camera` to refuse."""
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or np.linalg.det(matrix) <= 0:
        return matrix
    nearest = nearest_rotation(matrix)
    return nearest if np.abs(nearest - matrix).max() < 1e-3 else matrix
