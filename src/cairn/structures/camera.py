"""Calibrated cameras. The only module with the conventions of 3D.

World coordinates are right-handed, in meters. A camera follows OpenCV: x right, y down, z forward, and a point X of
the world is at R X + t in the camera's frame. Pixels follow `cairn.structures.geometry`: integer coordinates are pixel
centers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import CameraError
from cairn.structures.distortion import distort_fisheye, distort_pinhole, undistort_fisheye, undistort_pinhole
from cairn.structures.geometry import Size
from cairn.wording import counted

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Units of length in files of cameras and of 3D keypoints, in meters."""

PINHOLE_LENGTHS = (0, 4, 5, 8, 12)
"""Numbers of distortion coefficients of a pinhole camera: k1 k2 p1 p2, k3, k4 to k6, s1 to s4."""

FISHEYE_LENGTH = 4
"""Number of distortion coefficients of a fisheye camera: k1 to k4."""


@dataclass(frozen=True, eq=False, repr=False)
class Camera:
    """One camera: its intrinsics, its distortion and its pose in the world.

    Attributes:
        name: Name, unique in a rig.
        matrix: (3, 3) float64, intrinsic matrix K in pixels.
        distortion: (D,) float64: of a pinhole camera k1 k2 p1 p2 k3 ... in OpenCV's order, with D one of
            `PINHOLE_LENGTHS`; of a fisheye camera k1 k2 k3 k4.
        rotation: (3, 3) float64, R of x_cam = R x_world + t.
        translation: (3,) float64, t in meters.
        size: (height, width) in pixels of the images that the intrinsics are for; None where unknown.
        fisheye: Whether the distortion is OpenCV's fisheye model (Kannala and Brandt 2006).

    Raises:
        CameraError: A value is of the wrong shape, not finite, or no rotation.
    """

    name: str
    matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    size: Size | None = None
    fisheye: bool = False

    def __post_init__(self) -> None:
        for field, shape in (("matrix", (3, 3)), ("distortion", (-1,)), ("rotation", (3, 3)), ("translation", (3,))):
            object.__setattr__(self, field, _array(getattr(self, field), shape, f"{field} of camera {self.name}"))
        expected = (0, FISHEYE_LENGTH) if self.fisheye else PINHOLE_LENGTHS
        if len(self.distortion) not in expected:
            lengths = " or ".join(map(str, expected))
            raise CameraError(
                f"camera {self.name}: expected {lengths} distortion coefficients of a "
                f"{'fisheye' if self.fisheye else 'pinhole'} camera, got {len(self.distortion)}"
            )
        if not (self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0 and np.array_equal(self.matrix[2], [0, 0, 1])):
            raise CameraError(
                f"camera {self.name}: expected an intrinsic matrix [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] with "
                f"positive focal lengths, got {self.matrix.tolist()}"
            )
        if not np.allclose(self.rotation @ self.rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(self.rotation) < 0:
            kind = "a mirrored one" if np.linalg.det(self.rotation) < 0 else "another matrix"
            raise CameraError(f"camera {self.name}: expected a rotation of determinant 1, got {kind}")

    def __repr__(self) -> str:
        size = f", {self.size[1]}x{self.size[0]}" if self.size else ""
        x, y, z = self.center
        return f"Camera({self.name}{size}, focal length {self.matrix[0, 0]:.0f} px, at ({x:.2f}, {y:.2f}, {z:.2f}) m)"

    @property
    def center(self) -> NDArray[np.float64]:
        """(3,): the optical center in the world, meters."""
        center: NDArray[np.float64] = -self.rotation.T @ self.translation
        return center

    @property
    def extrinsics(self) -> NDArray[np.float64]:
        """(3, 4): [R | t], which projects points of the world to normalized coordinates."""
        return np.column_stack([self.rotation, self.translation])

    def to_camera(self, points: ArrayLike) -> NDArray[np.float64]:
        """Returns points (..., 3) of the world in the camera's frame, meters. The third coordinate is the depth."""
        moved: NDArray[np.float64] = np.asarray(points, np.float64) @ self.rotation.T + self.translation
        return moved

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Returns points (..., 3) of the world in pixels (..., 2); NaN for a point that is not before the camera."""
        points = np.asarray(points, np.float64)
        flat = self.to_camera(points).reshape(-1, 3)
        with np.errstate(invalid="ignore"):
            seen = flat[:, 2] > 0
        pixels = np.full((len(flat), 2), np.nan)
        pixels[seen] = self.to_pixels(flat[seen, :2] / flat[seen, 2:])
        return pixels.reshape(*points.shape[:-1], 2)

    def to_pixels(self, points: ArrayLike) -> NDArray[np.float64]:
        """Returns points (..., 2) in normalized coordinates, at depth 1, in pixels (..., 2); inverse of `undistort`."""
        normalized: NDArray[np.float64] = np.asarray(points, np.float64)
        distort = distort_fisheye if self.fisheye else distort_pinhole
        moved = distort(normalized.reshape(-1, 2), self._coefficients).reshape(normalized.shape)
        pixels: NDArray[np.float64] = moved @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        return pixels

    def undistort(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Returns pixels (..., 2) as normalized coordinates (..., 2): the point at depth 1 of the same ray.

        NaN stays NaN; a pixel that no point before the camera is projected to becomes NaN.
        """
        pixels = np.asarray(pixels, np.float64)
        centered = (pixels - self.matrix[:2, 2]).reshape(-1, 2)
        moved = np.asarray(np.linalg.solve(self.matrix[:2, :2], centered.T).T, np.float64)
        undistort = undistort_fisheye if self.fisheye else undistort_pinhole
        return undistort(moved, self._coefficients).reshape(pixels.shape)

    def rays(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Returns unit directions (..., 3) in the world of the rays from `center` through pixels (..., 2)."""
        normalized = self.undistort(pixels)
        directions = np.concatenate([normalized, np.ones((*normalized.shape[:-1], 1))], axis=-1) @ self.rotation
        unit: NDArray[np.float64] = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
        return unit

    @property
    def _coefficients(self) -> NDArray[np.float64]:
        """(4,) of a fisheye, (12,) of a pinhole camera: the distortion with its missing coefficients, which are 0."""
        length = FISHEYE_LENGTH if self.fisheye else PINHOLE_LENGTHS[-1]
        return np.pad(self.distortion, (0, length - len(self.distortion)))

    def posed(self, rotation: ArrayLike, translation: ArrayLike) -> Camera:
        """Returns the camera with another pose in the world.

        Args:
            rotation: (3, 3) R, or (3,) Rodrigues vector in radians.
            translation: (3,) t in meters.
        """
        return replace(self, rotation=rotation_matrix(rotation), translation=np.asarray(translation, np.float64))


@dataclass(frozen=True, eq=False, repr=False)
class Rig:
    """Cameras around one scene, in one world.

    `rig["cam1"]` is a `Camera`; `rig[["cam1", "cam3"]]` is the `Rig` of these cameras.

    Attributes:
        cameras: V cameras with unique names.

    Raises:
        CameraError: There is no camera, or two have one name.
    """

    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not self.cameras:
            raise CameraError("a rig needs at least one camera, got none")
        if twice := {name for name in self.names if self.names.count(name) > 1}:
            raise CameraError(f"the names of a rig's cameras must be unique, got {', '.join(sorted(twice))} twice")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the V cameras."""
        return tuple(camera.name for camera in self.cameras)

    def __len__(self) -> int:
        return len(self.cameras)

    def __iter__(self) -> Iterator[Camera]:
        return iter(self.cameras)

    @overload
    def __getitem__(self, key: str | int) -> Camera: ...
    @overload
    def __getitem__(self, key: list[str] | tuple[str, ...]) -> Rig: ...

    def __getitem__(self, key: str | int | list[str] | tuple[str, ...]) -> Camera | Rig:
        """Returns one camera by its name or index, or the rig of several names.

        Raises:
            CameraError: The rig has no camera of this name.
        """
        if isinstance(key, int):
            return self.cameras[key]
        if not isinstance(key, str):
            return Rig(tuple(self[name] for name in key))
        for camera in self.cameras:
            if camera.name == key:
                return camera
        raise CameraError(f"the rig has no camera {key!r}; it has {', '.join(self.names)}")

    def __repr__(self) -> str:
        return f"Rig({counted(len(self), 'camera')}: {', '.join(self.names)})"

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Returns points (..., 3) of the world in the pixels of each camera, (V, ..., 2)."""
        return np.stack([camera.project(points) for camera in self.cameras])

    def moved(self, rotation: ArrayLike, translation: ArrayLike, scale: float = 1.0) -> Rig:
        """Returns the rig in another world, in which a point X is at `scale` (R X + t).

        Args:
            rotation: (3, 3) R, or (3,) Rodrigues vector in radians.
            translation: (3,) t in the present unit.
            scale: Factor of lengths, after the motion.
        """
        r, t = rotation_matrix(rotation), np.asarray(translation, np.float64)
        cameras = []
        for camera in self.cameras:
            turned = camera.rotation @ r.T
            cameras.append(camera.posed(turned, scale * (camera.translation - turned @ t)))
        return Rig(tuple(cameras))


def rotation_matrix(rotation: ArrayLike) -> NDArray[np.float64]:
    """Returns a rotation (3, 3) from a matrix (3, 3), as it is, or a Rodrigues vector (3,) in radians."""
    import cv2

    values = np.asarray(rotation, np.float64)
    if values.shape == (3, 3):
        return values
    matrix: NDArray[np.float64] = cv2.Rodrigues(_array(values.reshape(-1), (3,), "a Rodrigues vector"))[0]
    return matrix


def nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the rotation (3, 3) nearest to a matrix of positive determinant, such as a product of rotations."""
    u, _, vt = np.linalg.svd(matrix)
    nearest: NDArray[np.float64] = u @ vt
    return nearest


def rotation_vector(rotation: ArrayLike) -> NDArray[np.float64]:
    """Returns the Rodrigues vector (3,) in radians of a rotation matrix (3, 3)."""
    import cv2

    vector: NDArray[np.float64] = cv2.Rodrigues(np.asarray(rotation, np.float64))[0].reshape(3)
    return vector


def _array(values: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Returns float64 values of a shape, in which -1 is any length."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise CameraError(f"{name}: expected numbers, got {values!r:.80}") from None
    if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = " x ".join("any" if side == -1 else str(side) for side in shape)
        raise CameraError(f"{name}: expected {wanted} numbers, got {' x '.join(map(str, array.shape)) or 'one'}")
    if not np.isfinite(array).all():
        raise CameraError(f"{name}: expected finite numbers, got {array.tolist()}")
    return array
