"""`cairn.relative_pose`: how the view of an object changed between two images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cairn.arguments import checked
from cairn.errors import ModelError
from cairn.inference.keypoints3d import Detection3D, Keypoints3D
from cairn.ops.rigid import rigid

if TYPE_CHECKING:
    from cairn.structures.camera import Camera


@dataclass(frozen=True, eq=False, repr=False)
class RelativePose:
    """A point x in the frame of the first camera is at R x + t in that of the second.

    Attributes:
        rotation: (3, 3), R.
        translation: (3,), t, in the unit of the world of the training cameras.
        angle: Degrees of the rotation.
        angle_error: Degrees: 68% of the validation pairs of the model, at the same residuals, err by less.
        translation_error: Standard error of the position of the object, from the residuals, in the unit of
            `translation`.
        residual: Root mean square distance of the keypoints after the motion, likewise.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    angle_error: float
    translation_error: float
    residual: float

    @property
    def angle(self) -> float:
        """Degrees of the rotation."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))

    def __repr__(self) -> str:
        x, y, z = self.translation
        return f"RelativePose({self.angle:.1f} ± {self.angle_error:.1f}°, t = ({x:.3g}, {y:.3g}, {z:.3g}))"


@checked
def relative_pose(
    a: Any,
    b: Any,
    *,
    model: str | Path | Keypoints3D | None = None,
    cameras: tuple[Camera | None, Camera | None] | None = None,
) -> RelativePose:
    """Returns the motion of an object from the camera of one image to that of another, by its 3D keypoints.

    Example:
        pose = cairn.relative_pose("a.png", "b.png", model="runs/skulls")
        pose.rotation, pose.angle_error

    Args:
        a: Image, as `cairn.Keypoints3D` takes it, or what that returned for it.
        b: The other image, or what was detected in it. The object may be another one of its class.
        model: Model of 3D keypoints: .onnx file, run folder, or a loaded one; needed for images.
        cameras: Cameras of both images. Default: their intrinsics are those of the training views.

    Raises:
        ModelError: The model is missing or not one of 3D keypoints, or the keypoints are of different models.
        ImageError: An image cannot be read.
    """
    detector = model if isinstance(model, Keypoints3D) or model is None else Keypoints3D(model)
    found = []
    for each, camera in zip((a, b), cameras or (None, None), strict=True):
        if isinstance(each, Detection3D):
            if camera is not None:
                raise ModelError("cameras are for images, and the keypoints are detected: give the camera to the model")
            found.append(each)
        elif detector is None:
            raise ModelError("relative_pose needs a model to detect the keypoints of images: model='runs/NAME'")
        else:
            found.append(detector(each, camera))
    first, second = found
    if first.points.skeleton != second.points.skeleton:
        names = " and ".join(each.points.skeleton.name for each in found)
        raise ModelError(f"the keypoints are of different models, {names}: detect both by one")
    if len(first.points.skeleton) < 3:
        raise ModelError(f"a pose needs at least 3 keypoints, and {first.points.skeleton.name} has fewer")
    points = [each.points.keypoints[:1] for each in found]
    motion = rigid(points[0], points[1])
    moved = points[0] @ np.swapaxes(motion.rotation, 1, 2) + motion.translation[:, None]
    residual = float(np.sqrt(((points[1] - moved) ** 2).sum(axis=-1).mean()))
    error = min(180.0, float(np.degrees(motion.angle_error[0])) * first.calibration)
    return RelativePose(motion.rotation[0], motion.translation[0], error, float(motion.translation_error[0]), residual)
