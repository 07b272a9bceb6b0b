"""`cairn.triangulate`: keypoints in 3D from several calibrated cameras."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.progress import Progress
from cairn.api.settings import optional_path
from cairn.arguments import checked
from cairn.errors import CairnError, OutputError

if TYPE_CHECKING:
    from cairn.api.run import Run
    from cairn.inference.predictor import Predictor
    from cairn.multiview.reconstruction import Reconstruction, ReconstructionOptions
    from cairn.structures.camera import Rig

log = logging.getLogger(__name__)

MAX_PEOPLE = 1000


@checked
def triangulate(
    inputs: Any,
    cameras: str | Path | Rig,
    *,
    out: str | Path | None = None,
    write: str | Sequence[str] | None = None,
    model: str | Path | Run | Predictor = "person",
    skeleton: str | Path | None = None,
    unit: str | None = None,
    offsets: str | Path | Mapping[str, float] | None = None,
    rate: float | None = None,
    min_confidence: float = 0.2,
    max_error: float | None = None,
    min_views: int = 2,
    people: int | None = None,
    gap: float = 1.0,
    fill: float = 0.0,
    smooth: float = 0.0,
    limbs: bool = False,
    draw: bool = False,
    videos: Sequence[str | Path] | Mapping[str, str | Path] | None = None,
    device: str = "auto",
    threads: int = 0,
    progress: Progress | None = None,
) -> Reconstruction:
    """Triangulates keypoints: the people or animals of all cameras are matched, located in 3D and tracked.

    Example:
        result = cairn.triangulate({"cam1": poses1, "cam2": poses2}, rig)
        result.trajectories.keypoints  # (F, P, K, 3) in meters

    Args:
        inputs: Camera -> input, or inputs, each the 2D keypoints of one camera: results or labels in any format that
            Cairn reads, a video or a folder of images to detect in, or the `Poses` of each frame. Inputs without a
            camera are matched by their names, otherwise by order.
        cameras: The calibrated cameras: a `Rig`, or a file in any format of `cairn.multiview.cameras`.
        out: Folder to write into. Default: nothing is written; see `Reconstruction.save`.
        write: Formats: json, trc, c3d, csv, parquet, html. Default: json, trc and html.
        model: Name of a bundled model, .onnx file, run, or predictor that detects in videos and images.
        skeleton: Skeleton of the keypoints, where the files name none: its name, or a .toml file.
        unit: Unit of lengths in the file of the cameras: m, cm or mm. Default: as the file states, otherwise m.
        offsets: Camera -> number of frames by which it started later than the others; as a mapping, as
            "cam2=3,cam3=-1", or as a file.
        rate: Frames per second. Default: that of the inputs.
        min_confidence: Minimum confidence of a detected keypoint.
        max_error: Reprojection error in pixels above which cameras are dropped, and a keypoint is missing. Default: 1%
            of the diagonal of the images.
        min_views: Minimum number of cameras of a keypoint, at least 2.
        people: Number of instances to keep: those with the most keypoints. Default: all.
        gap: Seconds for which an instance may be lost and keeps its track ID.
        fill: Seconds up to which gaps of a keypoint are filled by interpolation.
        smooth: Strength of smoothing over time: 0 for none, 1 for the default strength.
        limbs: Whether limbs keep a constant length.
        draw: Whether to write a video of each camera with the reprojected keypoints.
        videos: The videos to draw on, where the inputs are keypoints; matched to the cameras as the inputs are.
        device: Device to run the model on, as of `cairn.load`.
        threads: Number of threads; 0 for all cores.
        progress: Called with the task, the number of frames done, and their total.

    Returns:
        The tracks in 3D, with the cameras and the reprojection errors.

    Raises:
        CameraError: The cameras cannot be used, or the inputs do not fit them.
        LabelError: Keypoints cannot be read.
        OutputError: The folder has results already, or cannot be written to.
    """
    from cairn.api.camera_recordings import read_offsets
    from cairn.multiview.cameras import read_cameras
    from cairn.multiview.results.writing import check_formats
    from cairn.structures.camera import Rig

    formats = _formats(write)
    check_formats(formats)
    folder = optional_path(out)
    if folder is None and (draw or write is not None):
        raise CairnError("write and draw need a folder: give out")
    if videos is not None and not draw:
        raise CairnError("videos are drawn on: turn on draw too")
    options = _options(min_confidence, max_error, min_views, people, gap, fill, smooth, limbs)
    if rate is not None and not 0 < rate < float("inf"):
        raise CairnError(f"rate must be a positive number of frames per second, got {rate:g}")
    shifts = read_offsets(offsets)
    rig = cameras if isinstance(cameras, Rig) else read_cameras(cameras, unit)
    if isinstance(cameras, Rig) and unit is not None:
        raise CairnError("unit is for a file of cameras: a rig is in meters")
    if folder is not None:
        _check_folder(folder, formats)
    job = _Job(inputs, rig, skeleton, shifts, rate, progress)
    drawn = job.videos(videos, folder) if draw and folder is not None else {}
    predictor = cache(lambda: _predictor(model, device, threads))
    result = job.run(predictor, options)
    for line in result.warnings:
        log.warning("%s", line)
    if folder is not None:
        from cairn.files import ensure_writable_folder

        ensure_writable_folder(folder)
        result.save(folder, formats)
        job.draw(result, drawn, threads)
    return result


class _Job:
    """The inputs of one call, by camera."""

    def __init__(
        self,
        inputs: Any,
        rig: Rig,
        skeleton: str | Path | None,
        offsets: Mapping[str, float],
        rate: float | None,
        progress: Progress | None,
    ) -> None:
        from cairn.api.camera_names import cameras_of
        from cairn.structures.skeleton import load_skeleton

        if isinstance(inputs, str | Path):
            inputs = [inputs]
        self.inputs, note = cameras_of(inputs, rig.names)
        if note:
            log.warning("%s", note)
        if missing := [name for name in rig.names if name not in self.inputs]:
            log.warning("no input is of camera %s: it is not used", ", ".join(missing))
        self.rig = rig[list(self.inputs)]
        self.skeleton = None if skeleton is None else load_skeleton(skeleton)
        self.offsets, self.rate, self.progress = offsets, rate, progress
        self.shifts: Mapping[str, int] = {}

    def run(self, predictor: Callable[[], Predictor], options: ReconstructionOptions) -> Reconstruction:
        """Reads or detects, aligns and reconstructs."""
        from cairn.api.camera_recordings import aligned, in_pixels_of, open_recording
        from cairn.multiview.reconstruction import reconstruct

        recordings = {}
        for camera in self.rig:
            recording = open_recording(
                self.inputs[camera.name], self.skeleton, predictor, self._reporter(f"detecting {camera.name}")
            )
            recordings[camera.name] = in_pixels_of(camera, recording)
        common = aligned(recordings, self.offsets, self.rate)
        self.shifts = common.shifts
        return reconstruct(self.rig, common.frames, common.rate, options, common.start)

    def videos(self, given: Any, folder: Path) -> dict[str, tuple[Path, Path]]:
        """Returns camera -> its video and the file to draw, without suffix.

        Raises:
            CairnError: A camera has no video, or the file exists.
        """
        from cairn.api.camera_names import cameras_of

        inputs, note = cameras_of(given, self.rig.names) if given is not None else (self.inputs, None)
        if note:
            log.warning("%s", note)
        drawn = {}
        for name, video in inputs.items():
            if not isinstance(video, str | Path) or not Path(video).is_file():
                raise CairnError(f"camera {name} has no video to draw on: give videos, or do not draw")
            target = folder / f"{name}.reprojected"
            if taken := sorted(folder.glob(f"{target.name}.*")):
                raise OutputError(f"{taken[0]} already exists: give another folder with --out")
            drawn[name] = (Path(video), target)
        return drawn

    def draw(self, result: Reconstruction, videos: Mapping[str, tuple[Path, Path]], threads: int) -> None:
        """Writes a video of each camera with the reprojected keypoints."""
        from cairn.multiview.results.overlay import draw_video

        for name, (video, target) in videos.items():
            draw_video(result, name, video, target, self.shifts[name], self._reporter(f"drawing {name}"), threads)

    def _reporter(self, task: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(task, done, total) if self.progress else None


def _formats(write: str | Sequence[str] | None) -> list[str]:
    from cairn.multiview.reconstruction import SAVED

    if write is None:
        return list(SAVED)
    return list(dict.fromkeys(each for each in (write.split(",") if isinstance(write, str) else write) if each))


def _options(
    min_confidence: float,
    max_error: float | None,
    min_views: int,
    people: int | None,
    gap: float,
    fill: float,
    smooth: float,
    limbs: bool,
) -> ReconstructionOptions:
    from cairn.multiview.reconstruction import ReconstructionOptions

    if not 0 <= min_confidence <= 1:
        raise CairnError(f"min_confidence must be from 0 to 1, got {min_confidence:g}")
    if max_error is not None and not 0 < max_error < float("inf"):
        raise CairnError(f"max_error must be a positive number of pixels, got {max_error:g}")
    if min_views < 2:
        raise CairnError(f"min_views must be at least 2, since one camera tells no depth; got {min_views}")
    if people is not None and not 1 <= people <= MAX_PEOPLE:
        raise CairnError(f"people must be from 1 to {MAX_PEOPLE}, got {people}")
    for name, value in (("gap", gap), ("fill", fill), ("smooth", smooth)):
        if not 0 <= value < float("inf"):
            raise CairnError(f"{name} must be a number from 0, got {value:g}")
    return ReconstructionOptions(min_confidence, max_error, min_views, people, gap, fill, smooth, limbs)


def _check_folder(folder: Path, formats: Sequence[str]) -> None:
    """Checks before the work that no results are in the way."""
    from cairn.multiview.results.writing import FORMATS, STEM

    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is no folder: give another one")
    for name in formats:
        for taken in sorted(folder.glob(f"{STEM}*{FORMATS[name].suffix}")) if folder.is_dir() else ():
            raise OutputError(f"{taken} already exists: give another folder with --out")


def _predictor(model: Any, device: str, threads: int) -> Predictor:
    from cairn.api.models import open_model

    return open_model(model, {"device": device, "threads": threads})
