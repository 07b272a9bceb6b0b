"""A run over a large data set: settings, progress, counts and faults."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.dataset.engines import Computed, Engine, Watch
from cairn.api.dataset.lock import only_run
from cairn.api.dataset.plan import Listing, Planner
from cairn.api.dataset.work import Interrupted, Work
from cairn.errors import CairnError, OutputError
from cairn.files import atomic_write, ensure_writable_folder
from cairn.media.address import is_url, without_credentials
from cairn.media.folders import SkippedFiles
from cairn.results.ownership import SourceIds
from cairn.results.shards import SHARDS, ShardRecord, read_record, shard_numbers, shard_path
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.api.detection import Hooks

SETTINGS = ".cairn.run.json"
"""File in the output folder with the settings of its shards, which a run that goes on must have too."""

FAULTS = "cairn.faults.csv"
"""File in the output folder with what could not be read."""


@dataclass
class DatasetRun:
    """Result of `cairn.detect_dataset`; the counts are those of all shards, whichever run computed them.

    Attributes:
        images: Number of images that are not part of a clip.
        frames: Number of frames of videos, damaged ones included.
        damaged: Number of damaged frames.
        people: Number of detected instances.
        faults: Number of images, videos, folders and tables that could not be read, or not to their end.
        shards: Number of complete shards.
        resumed: Number of shards that an earlier run had completed.
        seconds: Seconds that this run took.
        results: The folder with the shards, which is one table.
        faults_file: Table of the faults; None where there is none.
        interrupted: Whether the run was stopped before its end.
        skipped: Files in the folders that are not read, by type.
    """

    images: int = 0
    frames: int = 0
    damaged: int = 0
    people: int = 0
    faults: int = 0
    shards: int = 0
    resumed: int = 0
    seconds: float = 0.0
    results: Path = Path()
    faults_file: Path | None = None
    interrupted: bool = False
    skipped: SkippedFiles = field(default_factory=SkippedFiles)

    def __repr__(self) -> str:
        """One line: counts, faults and where the results are."""
        counts = [
            counted(self.images, "image"),
            counted(self.frames, "frame"),
            counted(self.people, "person", "people"),
        ]
        counts += [counted(self.faults, "fault"), counted(self.shards, "shard")]
        return f"DatasetRun({', '.join(counts)} -> {self.results})"

    def add(self, computed: Computed) -> None:
        """Counts a shard."""
        record = computed.record
        self.shards += 1
        self.resumed += computed.before
        self.images += record.images
        self.frames += record.frames
        self.damaged += record.damaged
        self.people += record.people
        self.faults += len(record.faults)


def run_dataset(
    planner: Planner, work: Work, engine: Engine, hooks: Hooks, resume: bool = False, overwrite: bool = False
) -> DatasetRun:
    """Computes the shards that are not complete, and lists the faults of all.

    Args:
        planner: The sources and shards.
        work: What to do with each shard.
        engine: Who does it.
        hooks: How the run reports.
        resume: Whether to go on with the shards of an earlier run.
        overwrite: Whether to remove them.

    Raises:
        CairnError: Another run writes there, the output has shards and neither `resume` nor `overwrite` is given, or
            of other settings; a source names nothing; nothing could be read; or a shard could not be written.
    """
    folder = planner.folder
    if resume and overwrite:
        raise CairnError("resume goes on with the shards that are there, and overwrite removes them: give one of them")
    if (folder / SHARDS).is_file():
        raise OutputError(f"{folder / SHARDS} is one table, of a run without shards: choose another folder with --out")
    ensure_writable_folder(folder)
    with only_run(folder):
        _prepare(folder, _settings(planner, work), resume, overwrite)
        run = DatasetRun(results=folder / SHARDS)
        _consume(run, planner, work, engine, hooks)
        if not run.interrupted:
            with suppress(OSError):  # hidden, and the next run removes them
                _remove_partial(folder)
    if run.faults and not (run.images or run.frames or run.interrupted):
        raise CairnError(f"nothing could be read: {run.faults_file} has the reasons")
    return run


def _consume(run: DatasetRun, planner: Planner, work: Work, engine: Engine, hooks: Hooks) -> None:
    started = time.perf_counter()
    expected = _Expected(planner)
    done = begun = 0  # images of complete shards, and of the shard that is being computed in this process
    listing = Listing()

    def advance() -> None:
        nonlocal begun
        begun += 1
        hooks.advance(done + begun, expected.total)

    watch = Watch(hooks.stopped, advance, hooks.notice)
    try:
        with expected, closing(engine.run(planner, work, watch)) as reports:
            for report in reports:
                if isinstance(report, Listing):
                    listing = report
                    continue
                if not shard_path(planner.folder, report.number).is_file():
                    raise OutputError(
                        f"{shard_path(planner.folder, report.number)} was written by a worker and is not on this "
                        "machine: choose a folder that all machines share"
                    )
                run.add(report)
                record = report.record
                done, begun = done + record.images + record.frames + len(record.faults), 0
                hooks.advance(done, expected.total)
    except Interrupted:
        run.interrupted = True
    except OutputError as error:
        raise OutputError(
            f"{error}; {counted(run.shards, 'shard')} complete: when that is solved, go on with --resume"
        ) from None
    finally:
        run.seconds = time.perf_counter() - started
        with suppress(OutputError):  # on a full disk the next run lists them
            _write_faults(run, planner.folder, listing)
    run.interrupted = run.interrupted or hooks.stopped()
    run.skipped = listing.skipped
    run.faults += len(listing.faults)


def _prepare(folder: Path, settings: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
    """Checks and writes the settings, and removes what must go."""
    path = folder / SETTINGS
    numbers = shard_numbers(folder)
    if numbers and not (resume or overwrite):
        raise OutputError(
            f"{folder} has {counted(len(numbers), 'shard')} of an earlier run: pass --resume to go on, --overwrite to "
            "start again, or choose another folder with --out"
        )
    if numbers and resume:
        _check_settings(path, settings)
    try:
        for number in numbers if overwrite else ():
            shard_path(folder, number).unlink(missing_ok=True)
        _remove_partial(folder)
    except OSError as error:
        raise OutputError(f"cannot remove the results in {folder}: {error.strerror or error}") from None
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _remove_partial(folder: Path) -> None:
    """Removes what processes left that were killed."""
    for left in (folder / SHARDS).glob(".cairn.*"):
        left.unlink(missing_ok=True)


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Raises OutputError where the shards of an earlier run have other settings."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(earlier, dict)
    except (OSError, ValueError, AssertionError):
        raise OutputError(
            f"{path.parent} has shards, but not their settings ({path.name} is missing or damaged): pass --overwrite "
            "to start again, or choose another folder with --out"
        ) from None
    for name in {**settings, **earlier}:
        if earlier.get(name) != settings.get(name):
            was, now = (_short(each.get(name)) for each in (earlier, settings))
            raise OutputError(
                f"the shards in {path.parent} have {name} {was}, and this run has {now}: pass the same, or choose "
                "another folder with --out"
            )


def _short(value: Any) -> str:
    text = str(value) if not isinstance(value, list) else ", ".join(map(str, value))
    return text if len(text) <= 120 else f"{text[:117]}..."


def _settings(planner: Planner, work: Work) -> dict[str, Any]:
    """Returns what all shards of an output have in common."""
    from cairn.inference.zoo import image_refinement, model_file, refiner_to_use

    ids = SourceIds(planner.folder)
    refine = refiner_to_use(work.model, work.refine)
    models = {"model": work.model, "refine": refine, "hands": work.hands, "face": work.face}
    return {
        "sources": [without_credentials(each) for each in planner.sources],
        "places": [ids.of(without_credentials(each), not is_url(each)) for each in planner.sources],
        "images per shard": planner.size,
        "column": planner.column,
        "divided videos": planner.split,
        **{name: _digest(model_file(model)) for name, model in models.items() if model},
        **({"refined by default": True} if work.refine is None and image_refinement(work.model) else {}),
        "size": None if work.size is None else str(work.size),
        "min-confidence": work.min_confidence,
        "track": work.track,
        "smooth": work.smooth,
        "empty": work.empty,
        "fps": work.rate,
    }


def _digest(path: Path) -> str:
    try:
        return f"{path.name} ({hashlib.sha256(path.read_bytes()).hexdigest()[:12]})"
    except OSError as error:
        raise CairnError(f"cannot read the model {path}: {error.strerror or error}") from None


def _write_faults(run: DatasetRun, folder: Path, listing: Listing) -> None:
    """Writes the faults of all shards, or removes the file where there is none."""
    path = folder / FAULTS
    if not (run.faults or listing.faults):
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return
    with (
        atomic_write(path) as beside,
        beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(("image", "error"))
        for number in shard_numbers(folder):
            table.writerows((read_record(shard_path(folder, number)) or ShardRecord()).faults)
        table.writerows(listing.faults)
    run.faults_file = path


class _Expected:
    """Counts the images of a run in a thread of its own, while the run is on. Used as a context manager.

    Attributes:
        total: Number of images and frames; None until all are counted.
    """

    def __init__(self, planner: Planner) -> None:
        self.total: int | None = None
        self._planner = planner
        self._ended = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._count, daemon=True, name="count").start()

    def __exit__(self, *ended: object) -> None:
        self._ended.set()

    def _count(self) -> None:
        total = 0
        with suppress(CairnError):  # the run reports it
            for item in replace(self._planner, split=False).items(Listing()):
                total += item.weight
                if self._ended.is_set():
                    return
            self.total = total
