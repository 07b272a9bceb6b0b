"""Reads damaged label files of every format, and counts results, one-line errors and failures.

    nice python benchmarks/fuzz_labels.py [--files 10000] [--format NAME] [--seed 1] [--folder fuzz]

A failure is another exception than Cairn's own, a message of several lines, more than 5 seconds of the processor, more
than 2 GiB above what the process has at its start, a file written elsewhere than asked, or the end of the process.
FOLDER keeps the files that fail. `--format` takes the name of a format or of an example, and can be repeated.

HDF5 and MATLAB files are read in another process first (`datasets.containers.trial`), which takes half a second to
start. Here the same code runs in the process that reads many files; the file that ends it is read again by another one.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cairn.datasets.containers import matlab
from cairn.datasets.containers import trial as trials
from cairn.datasets.reading import read_labels
from label_examples import Example, examples
from mutations import mutate, options, outcome, run_here

CHUNK = 500  # files of one process
SECONDS = 5
WAIT = 120  # seconds; the process may have to wait for a core
MEMORY = 2 << 30  # bytes
MIB = 1 << 20


class TookTooLongError(BaseException):
    """Reading takes more than the limit; no reader catches it."""


@dataclass
class Tally:
    """What the files of an example ended in."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0
    peak: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--files", type=int, default=10000, help="mutated files of each example")
    arguments.add_argument("--format", action="append", help="name of a format or example; all by default")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--folder", type=Path, default=Path("fuzz"), help="where failing files are kept")
    given = arguments.parse_args()
    logging.disable()
    print(f"| {'example':18} | files | results | errors | failures | slowest s | peak MiB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "a/b/c/d/e"  # so that names with .. stay inside
        for name, example in examples(root).items():
            if not given.format or {name, example.format} & set(given.format):
                fuzz(name, example, Path(folder), given)


def fuzz(name: str, example: Example, root: Path, given: argparse.Namespace) -> None:
    """Reads mutated files of one example and prints a line of the table, then the failures."""
    tally, data = Tally(), example.file.read_bytes()
    read_labels(example.path, options(root / "frames", False))  # imports what the reader needs, once
    before = _files(root)
    trial = 0
    while trial < given.files:
        chosen = range(trial, min(trial + CHUNK, given.files))
        trial = _chunk(name, example, data, chosen, tally, root, given)
    example.file.write_bytes(data)
    if written := _files(root) ^ before:
        tally.failures.append((-1, f"wrote or removed {sorted(map(str, written))[:3]}"))
    shutil.rmtree(root / "frames", ignore_errors=True)
    total = sum(tally.counts.values())
    print(
        f"| {name:18} | {total} | {tally.counts['result']} | {tally.counts['error']} | {len(tally.failures)} "
        f"| {tally.slowest:.2f} | {tally.peak / MIB:.0f} |", flush=True,
    )  # fmt: skip
    texts = Counter(text.split("\n")[-1] for _, text in tally.failures)
    for text, number in texts.items():
        print(f"    {number} x {text[:300]}", flush=True)
    kept: set[str] = set()
    for failed, text in tally.failures:
        if failed >= 0 and text not in kept:
            kept.add(text)
            given.folder.mkdir(parents=True, exist_ok=True)
            mutate(example, data, _generator(name, given.seed, failed), structure=True)
            stem = f"{name}-{failed}".replace(" ", "_")
            shutil.copyfile(example.file, given.folder / f"{stem}{example.file.suffix}")
            (given.folder / f"{stem}.log").write_text(text)
    example.file.write_bytes(data)


def _chunk(
    name: str, example: Example, data: bytes, chosen: range, tally: Tally, root: Path, given: argparse.Namespace
) -> int:
    """Reads some files in a process of their own, a single one as Cairn does; returns the trial to go on with."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, name, example, data, chosen, root, given.seed))
    process.start()
    theirs.close()
    trial = chosen.start
    try:
        while trial in chosen:
            if not ours.poll(WAIT if len(chosen) > 1 else 2 * WAIT):  # the trial reading has a limit of its own
                raise TimeoutError
            kind, seconds, peak, text = ours.recv()
            tally.counts[kind] += 1
            tally.slowest, tally.peak = max(tally.slowest, seconds), max(tally.peak, peak)
            if kind == "failure":
                tally.failures.append((trial, text))
            trial += 1
    except (EOFError, OSError) as error:  # also TimeoutError
        process.kill()
        process.join()
        if len(chosen) > 1:
            return _chunk(name, example, data, range(trial, trial + 1), tally, root, given)
        ended = "does not end" if isinstance(error, TimeoutError) else f"the process ended with {process.exitcode}"
        tally.counts["failure"] += 1
        tally.failures.append((trial, ended))
        trial += 1
    process.join()
    return trial


def _child(
    connection: Connection, name: str, example: Example, data: bytes, chosen: range, root: Path, seed: int
) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    signal.signal(signal.SIGPROF, _too_long)
    if len(chosen) > 1:
        trials.run_apart = matlab.run_apart = run_here
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, also in a library that takes forever
    for trial in chosen:
        mutate(example, data, _generator(name, seed, trial), structure=True)
        start, result, text = time.perf_counter(), "failure", ""
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            text = outcome(example, options(root / "frames", trial % 2 == 1))
            result = "result" if text == "result" else "error"
        except BaseException:
            text = traceback.format_exc().strip()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        peak = max(resource.getrusage(user).ru_maxrss for user in users) * 1024
        connection.send((result, time.perf_counter() - start, peak, text if result == "failure" else ""))


def _too_long(*_: Any) -> None:
    raise TookTooLongError(f"more than {SECONDS} s")


def _generator(name: str, seed: int, trial: int) -> random.Random:
    return random.Random(f"{name} {seed} {trial}")


def _files(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if root / "frames" not in (path, *path.parents)}


if __name__ == "__main__":
    main()
