"""Planning of `detect`: from options to a job that can run, with all checks before any work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.outputs import RESULTS_FOLDER, DrawingOptions, OutputOptions, make_writers, result_paths
from cairn.errors import CairnError, ImageError, OutputError
from cairn.results import WriterOptions

if TYPE_CHECKING:
    from cairn.api.detection import DetectionJob, Hooks
    from cairn.api.mpii_test import MpiiTest
    from cairn.inference.lifter import Lifter
    from cairn.inference.predictor import Predictor
    from cairn.inference.resolution import Resolution
    from cairn.inference.stream import StreamBoxes, StreamOptions
    from cairn.media.folders import SkippedFiles
    from cairn.media.sources import Source
    from cairn.results.lifted import LiftedWriter
    from cairn.results.writer import LabelIds
    from cairn.structures.camera import Camera


MOTION = "motion"
"""Value of `boxes` for boxes of what moves, where no file has that name."""


@dataclass(frozen=True)
class ModelOptions:
    """The model; see `cairn.load`."""

    model: str | Path | Predictor | None = None
    boxes: Any = None
    refine: bool | str | Path | None = None
    hands: str | Path | None = None
    face: str | Path | None = None
    size: int | Resolution | None = None
    device: str = "auto"

    @property
    def by_motion(self) -> bool:
        """Whether the boxes are those of what moves."""
        return isinstance(self.boxes, str | Path) and str(self.boxes) == MOTION and not Path(MOTION).exists()


@dataclass(frozen=True)
class RunOptions:
    """Tracking, thresholds and resources of a run."""

    track: bool = False
    smooth: float | None = None
    min_confidence: float = 0.0
    threads: int = 0
    fps: float | None = None
    reconnect: int = 0


@dataclass(frozen=True)
class LiftOptions:
    """Lifting to 3D: the model, and the camera of all images.

    Attributes:
        model: Bundled model, .onnx file, run folder, or loaded model of the method `lifting`; None does not lift.
        camera: The camera; or a file of cameras, with `:NAME` where it has several. None: it is not calibrated.
    """

    model: str | Path | Lifter | None = None
    camera: str | Path | Camera | None = None


def plan_detection(
    names: Sequence[str | PathLike[str] | int],
    model: ModelOptions,
    output: OutputOptions,
    drawing: DrawingOptions,
    run: RunOptions,
    lift: LiftOptions,
    hooks: Hooks,
) -> DetectionJob:
    """Returns the job: sources are found, options checked, the model loaded and the output folder made.

    Raises:
        CairnError: An option is invalid or would be ignored, or a source names nothing.
    """
    from cairn.api.detection import DetectionJob
    from cairn.api.output_files import claimed_files
    from cairn.files import ensure_writable_folder
    from cairn.media.folders import SkippedFiles
    from cairn.results.overlays import Drawings
    from cairn.results.ownership import Claims

    formats = output.formats
    skipped = SkippedFiles()
    annotations = _mpii_annotations(formats, names, model)
    predictor = _predictor(model, run, several=True) if annotations else None
    test = _mpii_test(annotations, predictor, hooks) if annotations and predictor else None
    found, single = _find(test.paths if test else names, skipped)
    single = None if test else single
    draw = (single is not None and output.lines is None) if drawing.draw is None else drawing.draw
    folder = output.out or Path("." if single else RESULTS_FOLDER)
    if not (formats or draw or output.lines or lift.model is not None):
        raise CairnError("nothing would be written: turn on write, draw or json")
    drawing.check(draw, any(source.is_clip for source in found))
    _check_run(run, model, found)
    if lift.camera is not None and lift.model is None:
        raise CairnError("camera is for lift: give a model that lifts, as in lift person-lift")
    if limits := _limits_without_pyav(found, drawing.format if draw else None):
        hooks.notice(f"PyAV is not installed (pip install 'cairn-pose[video]'): {limits}")

    images = [source.name.path for source in found if not source.is_clip]
    predictor = predictor or _predictor(model, run, several=len(images) < len(found) or len(found) > 1)
    if output.maps and not predictor.has_maps:
        raise CairnError(
            f"maps and part-candidates need a model that runs on whole images; {predictor.name} runs on crops "
            "(a run with a refiner without it: --no-refine, or refine=False)"
        )
    values = WriterOptions(
        folder,
        predictor.spec.name,
        images,
        output.keypoint_scale,
        single=single is not None,
        decimals=output.decimals,
        empty=output.empty,
        label_ids=_label_ids(output, found, predictor, hooks),
        notice=hooks.notice,
        mpii=test,
    )
    writers = make_writers(output, values, predictor.spec)
    if lift.model is not None:
        writers.append(_lifted_writer(lift, folder, predictor, found, run))
    drawings = Drawings(folder, drawing.format, run.threads) if draw else None
    files = claimed_files([*writers, drawings] if drawings else writers, found, [str(name) for name in names], folder)
    if output.overwrite and not files:
        raise CairnError("overwrite is for files, and none are written: turn on write or draw")
    if files and all(os.path.isdir(path) for path in files):  # noqa: PTH112 (Path.is_dir may raise)
        raise OutputError(f"cannot write {next(iter(files))}: a folder has that name")
    job = DetectionJob(
        sources=found,
        predictor=predictor,
        stream=_stream_options(run, output, _boxes(model, predictor, found, test)),
        writers=writers,
        drawings=drawings,
        draw_threshold=drawing.threshold,
        draw_by="object" if drawing.colors == "object" else "limb",
        single=single,
        results=result_paths(folder, formats, single, drawing.format if draw else None, lift.model is not None),
        skipped=skipped,
        claims=Claims(folder, files, output.overwrite) if files else None,
    )
    if formats or draw or lift.model is not None:
        ensure_writable_folder(folder)
    if run.threads:
        import cv2

        cv2.setNumThreads(run.threads)
    return job


def _lifted_writer(
    lift: LiftOptions, folder: Path, predictor: Predictor, found: Sequence[Source], run: RunOptions
) -> LiftedWriter:
    """Returns the writer of lifted poses; checks that the model and the sources suit it."""
    from cairn.inference.lifter import Lifter
    from cairn.results.lifted import LiftedWriter

    clip = next((source for source in found if source.is_clip), None)
    if clip is not None and not run.track and predictor.spec.task == "multi_instance":
        raise CairnError(f"lift needs track, so that each instance of {clip.name.text} keeps its ID: turn on track")
    lifter = lift.model if isinstance(lift.model, Lifter) else Lifter(lift.model or "", run.threads)
    lifter.check(predictor.skeleton)
    return LiftedWriter(folder, lifter, _camera(lift.camera))


def _camera(camera: str | Path | Camera | None) -> Camera | None:
    """Returns the camera that lifting uses."""
    from cairn.multiview.cameras import read_cameras
    from cairn.structures.camera import Camera

    if camera is None or isinstance(camera, Camera):
        return camera
    file, colon, name = str(camera).rpartition(":")
    if not colon or Path(str(camera)).is_file():
        file, name = str(camera), ""
    rig = read_cameras(file)
    if not name and len(rig) > 1:
        raise CairnError(f"{file} has the cameras {', '.join(rig.names)}: name one, as in {file}:{rig.names[0]}")
    return rig[name] if name else rig[0]


def _find(names: Sequence[Any], skipped: SkippedFiles) -> tuple[list[Source], Source | None]:
    """Returns all sources, and the one image or clip that was named itself, if there is one."""
    from cairn.media.inputs import describe
    from cairn.media.sources import find_sources

    if wrong := [name for name in names if not isinstance(name, str | PathLike | int)]:
        raise ImageError(
            f"detect reads files and webcams, got {describe(wrong[0])}: call the model on images in memory"
        )
    texts = [str(name) for name in names]
    if not texts:
        raise ImageError("there are no sources: name an image, a video or a folder")
    found = find_sources(texts, skipped)
    single = len(found) == len(texts) == 1 and (found[0].kind in _NAMED or found[0].name.path == Path(texts[0]))
    return found, found[0] if single else None


_NAMED = ("camera", "address")
"""Kinds of sources that no folder or list of one file contains."""


def _check_run(run: RunOptions, model: ModelOptions, found: Sequence[Source]) -> None:
    """Raises CairnError where an option does not apply to the sources."""
    if run.smooth is not None and not run.track:
        raise CairnError("smooth needs track: keypoints are smoothed along tracks")
    image = next((source for source in found if not source.is_clip), None)
    if run.track and image:
        raise CairnError(
            f"track is for videos, webcams and numbered images (frame_%05d.png): {image.name.text} is one image"
        )
    clip = next((source for source in found if source.is_clip), None)
    if model.boxes is not None and clip and not model.by_motion:
        raise CairnError(f"boxes are for images: {clip.name.text} has frames; --boxes motion finds what moves in them")
    live = next((source for source in found if source.is_live), None)
    if model.by_motion and live:
        raise CairnError(f"boxes of motion need all frames before the first: {live.name.text} is live, record it first")
    if run.reconnect < 0:
        raise CairnError(f"reconnect must be 0, for never, or more, got {run.reconnect}")
    if run.reconnect and not any(source.is_live for source in found):
        raise CairnError("reconnect is for streams (rtsp://...) and webcams, and there are none")
    if run.fps is not None and not any(source.kind in ("sequence", "pages") for source in found):
        raise CairnError("fps is for numbered images (frame_%05d.png), and there are none")


def _predictor(model: ModelOptions, run: RunOptions, several: bool) -> Predictor:
    """Loads the model; where there are several images, each one gets its share of the cores."""
    from cairn.api.load import load
    from cairn.api.models import open_model
    from cairn.inference.stream import share_cores
    from cairn.inference.zoo import DEFAULT_CROP_MODEL, DEFAULT_MODEL

    refine = model.refine is not None and model.refine is not False
    given = model.model
    if given is not None and not isinstance(given, str | PathLike):
        if refine or model.hands or model.face or model.size is not None or model.device != "auto":
            raise CairnError("refine, hands, face, size and device are options of cairn.load: the model is loaded")
        return open_model(given, {})
    return load(
        given if given is not None else DEFAULT_CROP_MODEL if model.boxes is not None else DEFAULT_MODEL,
        device=model.device,
        threads=share_cores(run.threads)[1] if several else run.threads,
        size=model.size,
        refine=model.refine,
        hands=model.hands,
        face=model.face,
    )


def _mpii_annotations(formats: Sequence[str], names: Sequence[Any], model: ModelOptions) -> Path | None:
    """Returns MPII's annotations, where they are the source."""
    if "mpii" not in formats and not any(str(name).lower().endswith(".mat") for name in names):
        return None
    from cairn.api.mpii_test import check_mpii

    annotations = check_mpii(formats, names)
    if annotations is not None and model.boxes is not None:
        raise CairnError(f"{annotations} has the boxes of its people: omit boxes")
    return annotations


def _mpii_test(annotations: Path, predictor: Predictor, hooks: Hooks) -> MpiiTest:
    """Returns MPII's test images: of the single-person benchmark for a model of crops, otherwise of several people."""
    from cairn.api.mpii_test import missing_joints, read_mpii_test

    if predictor.spec.task == "single_instance":
        raise CairnError(f"MPII's images show several people, and {predictor.name} detects one instance per image")
    if missing := missing_joints(predictor.skeleton):
        hooks.notice(f"{predictor.name} does not predict {', '.join(missing)}: the benchmark counts them as wrong")
    return read_mpii_test(annotations, multi=predictor.spec.task == "multi_instance")


def _boxes(model: ModelOptions, predictor: Predictor, found: Sequence[Source], test: MpiiTest | None) -> StreamBoxes:
    """Returns boxes by the path of each image, by motion, or those of MPII's test people."""
    if test is not None:
        return None if test.multi else test.boxes
    boxes = model.boxes
    if boxes is None:
        return None
    if predictor.spec.task == "multi_instance":
        if model.refine:
            raise CairnError("refine detects the boxes itself: give boxes or refine, not both")
        raise CairnError(
            f"boxes are for models of one instance per crop; {predictor.name} detects all instances of an image"
        )
    if model.by_motion:
        from cairn.api.motion import MotionBoxes

        return MotionBoxes(found)
    images = [source.name.path for source in found if not source.is_clip]
    if isinstance(boxes, str | PathLike):
        from cairn.datasets.formats.boxes import read_boxes

        return dict(zip(images, read_boxes(Path(boxes)).of(list(images)), strict=True))
    if isinstance(boxes, Mapping):
        return boxes
    if len(images) != 1:
        raise CairnError(f"an array of boxes is for one image, and there are {len(images)}: give path -> boxes")
    return {images[0]: boxes}


def _label_ids(output: OutputOptions, found: Sequence[Source], predictor: Predictor, hooks: Hooks) -> LabelIds | None:
    """Returns the image IDs of the label file, where one is given."""
    from cairn.api.label_ids import read_label_ids
    from cairn.media.sources import numbered_images

    if output.image_ids is None:
        return None
    images: list[Path] = []
    for source in found:
        if source.kind == "sequence":
            images += [path for _, path in numbered_images(source.name.path)]
        elif source.is_clip:
            raise CairnError(f"image-ids is for images: {source.name.path} has frames, which have no file names")
        else:
            images.append(source.name.path)
    return read_label_ids(output.image_ids, images, predictor.skeleton, hooks.notice, predictor.spec.classes)


def _stream_options(run: RunOptions, output: OutputOptions, boxes: StreamBoxes) -> StreamOptions:
    from cairn.inference.stream import StreamOptions
    from cairn.media.video.frames import DEFAULT_RATE

    return StreamOptions(
        track=run.track,
        smooth=run.smooth or 0.0,
        min_confidence=run.min_confidence,
        threads=run.threads,
        rate=run.fps or DEFAULT_RATE,
        boxes=boxes,
        on_error="yield",
        maps=output.maps,
        reconnect=run.reconnect,
    )


def _limits_without_pyav(found: Sequence[Source], drawn_as: str | None) -> str:
    """Returns the limits of OpenCV for these sources and drawings, where PyAV is not installed."""
    from cairn.media.video import has_pyav

    if has_pyav():
        return ""
    limits = []
    if drawn_as == "webm" and any(source.is_clip for source in found):
        limits.append("the video is drawn as WebM at a constant frame rate")
    if any(source.kind == "video" for source in found):
        limits.append("a damaged or truncated video is not noticed")
    return ", and ".join(limits)
