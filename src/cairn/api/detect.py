"""`cairn.detect`: keypoints of images and videos, written to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cairn.api.outputs import DrawingOptions, OutputOptions
from cairn.api.planning import LiftOptions, ModelOptions, RunOptions, plan_detection
from cairn.api.settings import optional_path
from cairn.arguments import checked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cairn.api.detection import DetectionRun, Hooks
    from cairn.inference.lifter import Lifter
    from cairn.inference.predictor import Predictor
    from cairn.inference.resolution import Resolution
    from cairn.structures.camera import Camera

Sources = str | PathLike[str] | int | Sequence[str | PathLike[str] | int]
"""Images, videos, folders, globs, lists (.txt), numbered images (frame_%05d.png), webcam numbers or addresses."""


@checked
def detect(
    sources: Sources,
    *,
    model: str | Path | Predictor | None = None,
    boxes: str | Path | ArrayLike | Mapping[Any, ArrayLike] | None = None,
    refine: bool | str | Path | None = None,
    hands: str | Path | None = None,
    face: str | Path | None = None,
    out: str | Path | None = None,
    write: str | Sequence[str] | None = None,
    draw: bool | None = None,
    draw_as: str | None = None,
    draw_threshold: float | None = None,
    draw_colors: str = "limb",
    track: bool = False,
    smooth: float | None = None,
    min_confidence: float = 0.0,
    size: int | Resolution | None = None,
    device: str = "auto",
    threads: int = 0,
    fps: float | None = None,
    reconnect: int = 0,
    keypoint_scale: int = 0,
    part_candidates: bool = False,
    overwrite: bool = False,
    decimals: int | None = None,
    empty: bool = False,
    image_ids: str | Path | None = None,
    lines: TextIO | None = None,
    lift: str | Path | Lifter | None = None,
    camera: str | Path | Camera | None = None,
    hooks: Hooks | None = None,
) -> DetectionRun:
    """Detects keypoints in images and videos and writes the results to files.

    Args:
        sources: Images, videos, folders, globs, lists (.txt), numbered images (frame_%05d.png), webcam numbers, or
            addresses (rtsp://, rtmp://, http://); or MPII's annotations (.mat), for its test images.
        model: Bundled model, .onnx file, run folder, or a loaded predictor. None is "person", and "person-single"
            with `boxes`.
        boxes: Bounding boxes for a model of one instance per crop: a JSON file, (P, 4) x, y, width, height for one
            image, or path -> (P, 4); or "motion", what moves in each frame of a static camera.
        refine: Predict the keypoints of each instance again in a crop; see `cairn.load`.
        hands: Model of one hand.
        face: Model of one face.
        out: Output folder. None is the current one for one image or clip, else "cairn-results".
        write: Formats: json, coco, openpose, csv, parquet, maps, mpii; comma-separated or a sequence. None is json.
        draw: Whether to draw overlays. None draws one image or clip, and not several.
        draw_as: Format of drawn videos: mp4, webm or jpg.
        draw_threshold: Minimum keypoint confidence to draw; None is the model's own.
        draw_colors: What colors distinguish: "limb" or "object".
        track: Assign track IDs in videos.
        smooth: Strength of temporal smoothing, with `track`.
        min_confidence: Minimum keypoint confidence to keep.
        size: Input size; see `cairn.load`.
        device: Device; see `cairn.load`.
        threads: Number of CPU cores; 0 is all.
        fps: Frames per second of numbered images, and of the pages of TIFF files; None is 25.
        reconnect: Number of attempts to open a stream or webcam again that broke off.
        keypoint_scale: Scale of keypoints in the format openpose: 0 pixels, 3 from 0 to 1, 4 from -1 to 1.
        part_candidates: List every peak of every heatmap in the format openpose.
        overwrite: Replace results of other sources in the output folder, too.
        decimals: Decimals of coordinates in the formats json, csv and openpose. None is 2, and 4 for openpose.
        empty: Give an image without detections a row in the formats csv and parquet.
        image_ids: COCO label file whose image IDs the format coco takes. None numbers the images.
        lines: Stream that gets one line of JSON for each image.
        lift: Model that lifts the poses to 3D, relative to the root of each instance: "person-lift", an .onnx file, a
            run folder, or a loaded one. Writes NAME.cairn3d.json and a page NAME.cairn3d.html; videos need `track`.
        camera: Calibrated camera of all images, for `lift`: the camera, or a file of cameras, with :NAME where it has
            several.
        hooks: How the run reports progress; None logs warnings.

    Returns:
        Counts, errors, and where the results are.

    Raises:
        CairnError: An option is invalid, the output folder has results of other sources in the way, nothing could be
            read, or nothing could be written.
    """
    from cairn.api.detection import Hooks, run_detection

    formats = [each for each in write.split(",") if each] if isinstance(write, str) else write
    job = plan_detection(
        [sources] if isinstance(sources, str | PathLike | int) else list(sources),
        ModelOptions(model, boxes, refine, hands, face, size, device),
        OutputOptions(
            optional_path(out),
            formats,
            keypoint_scale,
            part_candidates,
            lines,
            overwrite,
            decimals,
            empty,
            optional_path(image_ids),
        ),
        DrawingOptions(draw, draw_as, draw_threshold, draw_colors),
        RunOptions(track, smooth, min_confidence, threads, fps, reconnect),
        LiftOptions(lift, camera),
        hooks or Hooks(),
    )
    return run_detection(job, hooks or Hooks())
