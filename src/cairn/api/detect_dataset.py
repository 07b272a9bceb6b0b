"""`cairn.detect_dataset`: keypoints of large data sets, written as shards of one table."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.arguments import checked
from cairn.errors import CairnError, ImageError

if TYPE_CHECKING:
    from cairn.api.dataset.run import DatasetRun
    from cairn.api.detection import Hooks
    from cairn.inference.resolution import Resolution

ENGINES = ("local", "ray")
"""Names of the engines."""

SHARD_SIZE = 1000
"""Default number of images of a shard: some seconds of work on a GPU, half a minute on a CPU core."""


@checked
def detect_dataset(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | Path,
    *,
    model: str | Path = "person",
    engine: str = "local",
    resume: bool = False,
    overwrite: bool = False,
    retry_faults: bool = False,
    shard_size: int = SHARD_SIZE,
    column: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    gpus: int | None = None,
    refine: bool | str | Path | None = None,
    hands: str | Path | None = None,
    face: str | Path | None = None,
    track: bool = False,
    smooth: float | None = None,
    min_confidence: float = 0.0,
    size: int | Resolution | None = None,
    device: str = "auto",
    threads: int = 0,
    fps: float | None = None,
    empty: bool = False,
    hooks: Hooks | None = None,
) -> DatasetRun:
    """Detects keypoints in any number of images and videos and writes them as shards of one Parquet table.

    The sources are listed while the model runs, never all at once. Each shard is complete or absent: a run that was
    killed goes on with `resume`. Both engines write the same shards.

    Args:
        sources: Folders, images, videos, lists (.txt), globs, addresses, or Parquet tables with a column of encoded
            images, paths or addresses.
        out: Output folder: `cairn.parquet/part-00000000.parquet` and so on, and `cairn.faults.csv` where something
            could not be read.
        model: Bundled model, .onnx file or run folder.
        engine: "local", or "ray" for workers on a Ray cluster.
        resume: Go on with the shards of an earlier run of the same sources and settings.
        overwrite: Remove the shards of an earlier run.
        retry_faults: Compute complete shards with faults again, with `resume`.
        shard_size: Number of images and frames of a shard. Videos that are longer are divided at keyframes, without
            `track`.
        column: The column of images of tables; None chooses it by its type and name.
        address: Address of a Ray cluster, or "auto"; None starts one on this machine.
        workers: Number of workers; None is one for each CPU core of the cluster, or for each GPU.
        gpus: Number of GPUs of the cluster, which the workers share evenly; None uses the CPU.
        refine: Predict the keypoints of each instance again in a crop; see `cairn.load`.
        hands: Model of one hand.
        face: Model of one face.
        track: Assign track IDs in videos, which are then not divided.
        smooth: Strength of temporal smoothing, with `track`.
        min_confidence: Minimum keypoint confidence to keep.
        size: Input size; see `cairn.load`.
        device: Device; see `cairn.load`.
        threads: Number of CPU cores; 0 is all, and one for each worker of a cluster.
        fps: Frames per second of numbered images; None is 25.
        empty: Give an image without detections a row.
        hooks: How the run reports progress; None logs warnings.

    Returns:
        Counts of all shards, and where they are.

    Raises:
        CairnError: An option is invalid, another run writes there, the output has shards of an earlier run and neither
            `resume` nor `overwrite` is given, nothing could be read, or a shard could not be written.
    """
    from cairn.api.dataset.engines import EngineOptions
    from cairn.api.dataset.plan import Planner
    from cairn.api.dataset.run import run_dataset
    from cairn.api.dataset.work import Work
    from cairn.api.detection import Hooks
    from cairn.extras import require
    from cairn.inference.stream import StreamOptions
    from cairn.inference.zoo import model_file
    from cairn.media.video.frames import DEFAULT_RATE

    names = [sources] if isinstance(sources, str | PathLike) else list(sources)
    if not names:
        raise ImageError("there are no sources: name a folder, a list, a video or a table of images")
    if wrong := [name for name in names if not isinstance(name, str | PathLike)]:
        raise ImageError(f"shards are for files, folders and addresses, got {wrong[0]!r:.80}")
    if shard_size < 1:
        raise CairnError(f"shard_size must be 1 or more, got {shard_size}")
    if retry_faults and not resume:
        raise CairnError("retry_faults is for a run that goes on: turn on resume too")
    require("pyarrow", extra="parquet", purpose="the format parquet")
    options = StreamOptions(track, smooth or 0.0, min_confidence, threads, fps or DEFAULT_RATE)
    if smooth is not None and not track:
        raise CairnError("smooth needs track: keypoints are smoothed along tracks")
    for each in (model, hands, face):
        if each is not None:
            model_file(each)  # a model that is absent ends the run before it begins
    chosen = EngineOptions(engine, address, workers, gpus).open()
    folder = Path(out).absolute()
    work = Work(
        folder,
        model,
        refine=refine,
        hands=hands,
        face=face,
        size=size,
        device=device,
        threads=threads,
        track=track,
        smooth=options.smooth,
        min_confidence=min_confidence,
        empty=empty,
        rate=options.rate,
        place=str(Path.cwd()),
    )
    planner = Planner(tuple(map(str, names)), folder, shard_size, not track, column, retry_faults)
    return run_dataset(planner, work, chosen, hooks or Hooks(), resume, overwrite)
