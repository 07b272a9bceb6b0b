"""`cairn detect` with results in shards: options of `cairn.api.detect_dataset`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cairn.cli.progress import ProgressBar
from cairn.cli.stopping import graceful_stop
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.api.dataset.run import DatasetRun


def run_in_shards(sources: Sequence[str], out: Path, **options: Any) -> None:
    """Runs `cairn.detect_dataset` with a bar, prints the summary, and exits with the status of `cairn detect`."""
    from cairn.api.detect_dataset import detect_dataset
    from cairn.api.detection import Hooks

    with graceful_stop() as stop, ProgressBar("detecting") as progress:
        hooks = Hooks(lambda line: progress.notice(f"cairn: {line}"), progress.advance, stop)
        run = detect_dataset(sources, out, hooks=hooks, **options)
    print(dataset_summary(run), file=sys.stderr)
    if stop.number is not None:
        raise typer.Exit(128 + stop.number)
    if run.faults:
        raise typer.Exit(1)


def dataset_summary(run: DatasetRun) -> str:
    """Returns a run in one line."""
    parts = [counted(run.images, "image")] if run.images or not run.frames else []
    parts += [counted(run.frames, "frame")] if run.frames else []
    parts += [f"{run.damaged} damaged"] if run.damaged else []
    parts.append(counted(run.people, "person", "people"))
    parts.append(counted(run.shards, "shard") + (f" ({run.resumed} of them before)" if run.resumed else ""))
    if run.faults:
        parts.append(f"{run.faults} could not be read, listed in {run.faults_file}")
    if run.skipped:
        parts.append(str(run.skipped))
    ended = ", interrupted: go on with --resume" if run.interrupted else ""
    return ", ".join(parts) + f" -> {run.results}{ended}"
