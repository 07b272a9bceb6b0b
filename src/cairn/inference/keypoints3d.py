"""3D keypoints of one object from one image, by a model of the method `keypointnet`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.inference.session import open_model
from cairn.inference.spec import SkeletonField, Spec
from cairn.inference.zoo import model_file
from cairn.media.inputs import ImageLike, as_image
from cairn.structures.camera import Camera
from cairn.structures.geometry import Affine, letterbox
from cairn.structures.poses import Poses
from cairn.structures.poses3d import Poses3D


class Keypoints3DSpec(Spec):
    """The specification of a model of 3D keypoints.

    Attributes:
        format: Version of this specification.
        task: 3D keypoints of the only object of an image.
        skeleton: The keypoints.
        size: Side of the square input in pixels.
        intrinsics: fx, fy, cx, cy in half sides of the input, of an image whose camera is not given.
        unit: Length of an object unit in the world of the cameras that the model was trained with.
    """

    format: Literal[1] = 1
    task: Literal["keypoints3d"] = "keypoints3d"
    skeleton: SkeletonField
    size: int
    intrinsics: tuple[float, float, float, float]
    unit: float


ANGLE_CALIBRATION = "angle calibration"
"""Metric in the specification: factor on the standard error of relative rotations, by validation."""


class Detection3D(NamedTuple):
    """What is detected in an image: the same keypoints in 3D and in its pixels.

    Attributes:
        points: In the frame of the camera, in the unit of the world of the training cameras.
        poses: In pixels of the image.
        calibration: Factor on the standard error of rotations (`cairn.relative_pose`), by validation.
    """

    points: Poses3D
    poses: Poses
    calibration: float = 1.0


class Keypoints3D:
    """A model of 3D keypoints in an .onnx file.

    Example:
        detector = cairn.Keypoints3D("runs/skulls")
        points, poses = detector("view.png")

    Attributes:
        path: The file.
        spec: The specification in the file.
        device: The device in use, such as "cpu" or "cuda:0".
    """

    def __init__(self, path: str | Path, threads: int = 0, device: str = "cpu") -> None:
        """Opens a file.

        Args:
            path: The .onnx file, or the folder of a run.
            threads: Number of CPU cores; 0 is all.
            device: Device to run on.

        Raises:
            ModelError: The file is not a model of 3D keypoints, or the device is not available.
        """
        self.path = model_file(path)
        self._session, self.device, self.spec = open_model(self.path, Keypoints3DSpec, threads, device, path)

    def __repr__(self) -> str:
        return f"Keypoints3D({self.spec.name}: {len(self.spec.skeleton)} keypoints, {self.spec.size} px)"

    def __call__(self, image: ImageLike, camera: Camera | None = None) -> Detection3D:
        """Detects the keypoints of the only object of an image.

        Args:
            image: Path, PIL image or (H, W, 3) uint8 RGB array.
            camera: The camera of the image. Without it, the intrinsics are those of the training views.

        Raises:
            CameraError: The camera is of another image size.
            ImageError: The image cannot be read.

        Returns:
            The keypoints in the frame of the camera (x right, y down, z forward), in the unit of the world of the
            training cameras; and in pixels of the image.
        """
        pixels = as_image(image)
        if camera is not None and camera.size is not None and camera.size != pixels.shape[:2]:
            got, stated = ("x".join(map(str, size[::-1])) for size in (pixels.shape[:2], camera.size))
            raise CameraError(f"the image is {got}, but camera {camera.name} was calibrated for {stated}")
        affine = square(pixels.shape[:2], self.spec.size)
        inputs = affine.warp(pixels, (self.spec.size, self.spec.size), border=0).transpose(2, 0, 1)[None]
        intrinsics = self.spec.intrinsics if camera is None else half_sides(camera, affine, self.spec.size)
        values = [inputs.astype(np.float32), np.array([intrinsics], np.float32)]
        names = [each.name for each in self._session.get_inputs()]
        points, uv, confidence = self._session.run(None, dict(zip(names, values, strict=True)))
        cells = ((uv + 1) * self.spec.size - 1) / 2
        found = affine.inverse().apply(cells).astype(np.float32)
        score = np.array([confidence.mean()], np.float32)
        return Detection3D(
            Poses3D(self.spec.unit * points.astype(np.float64), confidence, self.spec.skeleton),
            Poses(found, confidence, score, self.spec.skeleton, image=pixels),
            self.spec.metrics.get(ANGLE_CALIBRATION, 1.0),
        )


def square(size: tuple[int, ...], side: int) -> Affine:
    """Returns the map of an image into the middle of a square.

    Args:
        size: (height, width) of the image in pixels.
        side: Side of the square in pixels.
    """
    height, width = size
    affine, _ = letterbox((height, width), side)
    scale = side / max(height, width)
    return affine.then(Affine.translation((side - scale * width) / 2, (side - scale * height) / 2))


def half_sides(camera: Camera, affine: Affine, side: int) -> NDArray[np.float64]:
    """Returns fx, fy, cx, cy (4,) of a camera in half sides of a square, so that u = fx x / z + cx is in [-1, 1].

    Args:
        camera: The camera; its distortion is not corrected.
        affine: The map from its pixels into the square, without rotation.
        side: Side of the square in pixels.
    """
    fx, fy = camera.matrix[[0, 1], [0, 1]] * affine.scale * 2 / side
    cx, cy = (2 * affine.apply(camera.matrix[None, :2, 2])[0] + 1) / side - 1
    return np.array([fx, fy, cx, cy])
