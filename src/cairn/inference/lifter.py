"""Lifting of 2D poses to 3D by a model of the method `lifting`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cairn.errors import ModelError
from cairn.inference.session import open_model
from cairn.inference.spec import SkeletonField, Spec
from cairn.inference.zoo import model_file
from cairn.structures.camera import Camera
from cairn.structures.poses import Poses
from cairn.structures.poses3d import Poses3D
from cairn.structures.skeleton import Skeleton

MIN_KEYPOINTS = 5
"""Minimum number of keypoints of a pose that is lifted."""


class LifterSpec(Spec):
    """The specification of a lifting model.

    Attributes:
        format: Version of this specification.
        task: Lifting.
        skeleton: Keypoints in and out.
        root: Joints whose mean is the origin of the 3D keypoints.
        frame: "pose": each pose is centered and scaled by itself; "camera": the input is in normalized coordinates of
            a calibrated camera.
        min_confidence: Minimum confidence of a 2D keypoint that counts as known.
    """

    format: Literal[1] = 1
    task: Literal["lifting"] = "lifting"
    skeleton: SkeletonField
    root: tuple[str, ...]
    frame: Literal["pose", "camera"] = "pose"
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.1


class Lifter:
    """A lifting model in an .onnx file.

    Example:
        lifter = cairn.Lifter("person-lift")
        lifter(model("photo.jpg"))["left_wrist"]

    Attributes:
        path: The file.
        spec: The specification in the file.
        device: The device in use, such as "cpu" or "cuda:0".
    """

    def __init__(self, path: str | Path, threads: int = 0, device: str = "cpu") -> None:
        """Opens a file.

        Args:
            path: Name of a bundled model, path of an .onnx file, or folder of a training run.
            threads: Number of CPU cores; 0 is all.
            device: Device to run on.

        Raises:
            ModelError: The file is not a lifting model, or the device is not available.
        """
        self.path = model_file(path)
        self._session, self.device, self.spec = open_model(self.path, LifterSpec, threads, device, path)

    def __repr__(self) -> str:
        return f"Lifter({self.spec.name}: {self.spec.skeleton.name}, {len(self.spec.skeleton)} keypoints)"

    def __call__(self, poses: Poses, camera: Camera | None = None) -> Poses3D:
        """Lifts 2D poses.

        Args:
            poses: Poses of one image, in pixels. Joints are matched by name.
            camera: The camera of the image. Without it, each pose is taken as seen by a camera that faces it; a model
                whose frame is "camera" needs it.

        Returns:
            3D poses relative to the root, in meters, in the frame of the camera: x right, y down, z forward. Keypoints
            that are not detected are NaN, and so are poses with fewer than `MIN_KEYPOINTS`.

        Raises:
            ModelError: The skeletons have too few joints in common, or the camera is missing.
        """
        self.check(poses.skeleton)
        mapped = poses.mapped(self.spec.skeleton)
        if camera is None and self.spec.frame == "camera":
            raise ModelError(f"{self.spec.name} was trained for calibrated cameras: give the camera of the image")
        known = mapped.confidence >= max(self.spec.min_confidence, 1e-6)
        points, turned = mapped.keypoints.astype(np.float64), None
        if camera is not None:
            points = camera.undistort(points)
            known &= np.isfinite(points).all(axis=-1)
            if self.spec.frame == "pose":
                points, turned = _faced(points, known)
        lifted = self.lift(points, known)
        if turned is not None:
            lifted = lifted @ turned  # the transposes of the rotations: back into the frame of the camera
        known &= (known.sum(axis=1) >= MIN_KEYPOINTS)[:, None]
        return Poses3D(
            np.where(known[..., None], lifted, np.nan),
            np.where(known, mapped.confidence, np.float32(0)),
            self.spec.skeleton,
            ids=mapped.ids,
        )

    def check(self, skeleton: Skeleton) -> None:
        """Checks that poses of a skeleton can be lifted.

        Raises:
            ModelError: It has too few joints of this model.
        """
        shared = sum(bool(part) for part in self.spec.skeleton.parts_in(skeleton))
        if shared < MIN_KEYPOINTS:
            raise ModelError(
                f"{self.spec.name} lifts keypoints of {self.spec.skeleton.name}, and {skeleton.name} has {shared} of "
                f"them: expected at least {MIN_KEYPOINTS}"
            )

    def lift(self, points: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Runs the network.

        Args:
            points: (B, K, 2), with y down.
            known: (B, K).

        Returns:
            (B, K, 3) meters relative to the root, of unknown keypoints too.
        """
        inputs = np.concatenate([np.where(known[..., None], points, 0), known[..., None]], axis=-1).astype(np.float32)
        if not len(inputs):
            return np.zeros((0, len(self.spec.skeleton), 3))
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: inputs})
        return np.asarray(outputs[0], np.float64)


def toward(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the rotations R (B, 3, 3) that turn a camera toward directions d (B, 3), so that R d is along z.

    They do not roll the camera.
    """
    z = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    x = np.cross(np.broadcast_to([0.0, 1.0, 0.0], z.shape), z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _faced(points: NDArray[np.float64], known: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns normalized coordinates (B, K, 2) as seen by cameras that face the poses, and their rotations."""
    weights = known[..., None].astype(np.float64)
    rays = np.concatenate([np.where(weights > 0, points, 0), np.ones((*points.shape[:2], 1))], axis=-1)
    middle = (weights * rays).sum(axis=1)
    rotations = toward(np.where(middle[:, 2:] > 0, middle, [0.0, 0.0, 1.0]))
    seen = rays @ np.swapaxes(rotations, 1, 2)
    return seen[..., :2] / np.where(np.abs(seen[..., 2:]) > 1e-6, seen[..., 2:], 1e-6), rotations
