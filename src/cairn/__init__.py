"""Cairn detects keypoints: of people out of the box, of other objects after training on labels.

Example:
    import cairn

    model = cairn.load("person")
    poses = model("photo.jpg")
    image = cairn.draw("photo.jpg", poses)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cairn.api.load import load
from cairn.errors import (
    CairnError,
    CameraError,
    CloudError,
    ImageError,
    LabelError,
    MissingExtra,
    ModelError,
    OutputError,
    RecipeError,
    SkeletonError,
    VideoError,
)
from cairn.structures.skeleton import Skeleton, load_skeleton

if TYPE_CHECKING:
    from cairn.api.calibrate import Calibration, calibrate
    from cairn.api.check import check
    from cairn.api.convert import convert
    from cairn.api.crop import crop
    from cairn.api.dataset.run import DatasetRun
    from cairn.api.detect import detect
    from cairn.api.detect_dataset import detect_dataset
    from cairn.api.discover import discover
    from cairn.api.evaluate import evaluate
    from cairn.api.export import export
    from cairn.api.import_model import import_model
    from cairn.api.keypoints import keypoints
    from cairn.api.register import register
    from cairn.api.relative_pose import RelativePose, relative_pose
    from cairn.api.report import Report
    from cairn.api.run import Run
    from cairn.api.split import split
    from cairn.api.sync import Offsets, sync
    from cairn.api.teach import teach
    from cairn.api.track import track
    from cairn.api.train import train
    from cairn.api.triangulate import triangulate
    from cairn.inference.keypoints3d import Detection3D, Keypoints3D
    from cairn.inference.lifter import Lifter
    from cairn.inference.model_spec import ModelSpec
    from cairn.inference.predictor import Predictor
    from cairn.inference.resolution import Resolution
    from cairn.media.images import read_image, write_image
    from cairn.pointclouds.io import read_cloud
    from cairn.pointclouds.io.landmarks import read_landmarks, write_landmarks
    from cairn.server.serve import serve
    from cairn.structures.annotation import Annotation
    from cairn.structures.camera import Camera, Rig
    from cairn.structures.cloud import Cloud, CloudKeypoints, Landmarks
    from cairn.structures.geometry import Affine
    from cairn.structures.poses import Pose, Poses
    from cairn.structures.poses3d import Poses3D, Trajectories
    from cairn.tracking.tracker import Tracker
    from cairn.visualization.overlay import draw

__version__ = "0.2.0"

__all__ = [
    "Affine",
    "Annotation",
    "CairnError",
    "Calibration",
    "Camera",
    "CameraError",
    "Cloud",
    "CloudError",
    "CloudKeypoints",
    "DatasetRun",
    "Detection3D",
    "ImageError",
    "Keypoints3D",
    "LabelError",
    "Landmarks",
    "Lifter",
    "MissingExtra",
    "ModelError",
    "ModelSpec",
    "Offsets",
    "OutputError",
    "Pose",
    "Poses",
    "Poses3D",
    "Predictor",
    "RecipeError",
    "RelativePose",
    "Report",
    "Resolution",
    "Rig",
    "Run",
    "Skeleton",
    "SkeletonError",
    "Tracker",
    "Trajectories",
    "VideoError",
    "calibrate",
    "check",
    "convert",
    "crop",
    "detect",
    "detect_dataset",
    "discover",
    "draw",
    "evaluate",
    "export",
    "import_model",
    "keypoints",
    "load",
    "load_skeleton",
    "read_cloud",
    "read_image",
    "read_landmarks",
    "register",
    "relative_pose",
    "serve",
    "split",
    "sync",
    "teach",
    "track",
    "train",
    "triangulate",
    "write_image",
    "write_landmarks",
]

# Imported at first access: `import cairn` and `cairn --help` import no numpy.
_MODULES = {
    "Affine": "structures.geometry",
    "Annotation": "structures.annotation",
    "Calibration": "api.calibrate",
    "Camera": "structures.camera",
    "Cloud": "structures.cloud",
    "CloudKeypoints": "structures.cloud",
    "DatasetRun": "api.dataset.run",
    "Detection3D": "inference.keypoints3d",
    "Keypoints3D": "inference.keypoints3d",
    "Landmarks": "structures.cloud",
    "Lifter": "inference.lifter",
    "ModelSpec": "inference.model_spec",
    "Offsets": "api.sync",
    "Pose": "structures.poses",
    "Poses": "structures.poses",
    "Poses3D": "structures.poses3d",
    "Predictor": "inference.predictor",
    "RelativePose": "api.relative_pose",
    "Report": "api.report",
    "Resolution": "inference.resolution",
    "Rig": "structures.camera",
    "Run": "api.run",
    "Tracker": "tracking.tracker",
    "Trajectories": "structures.poses3d",
    "calibrate": "api.calibrate",
    "check": "api.check",
    "convert": "api.convert",
    "crop": "api.crop",
    "detect": "api.detect",
    "detect_dataset": "api.detect_dataset",
    "discover": "api.discover",
    "draw": "visualization.overlay",
    "evaluate": "api.evaluate",
    "export": "api.export",
    "import_model": "api.import_model",
    "keypoints": "api.keypoints",
    "read_cloud": "pointclouds.io",
    "read_image": "media.images",
    "read_landmarks": "pointclouds.io.landmarks",
    "register": "api.register",
    "relative_pose": "api.relative_pose",
    "serve": "server.serve",
    "split": "api.split",
    "sync": "api.sync",
    "teach": "api.teach",
    "track": "api.track",
    "train": "api.train",
    "triangulate": "api.triangulate",
    "write_image": "media.images",
    "write_landmarks": "pointclouds.io.landmarks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'cairn' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"cairn.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
