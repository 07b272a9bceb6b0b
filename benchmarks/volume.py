"""Detection over large data sets: stages, engines, workers and memory.

    python benchmarks/volume.py stages FOLDER
    python benchmarks/volume.py engines FOLDER [IMAGES] [INPUT SIZE] [TURNS]
    python benchmarks/volume.py memory FOLDER [IMAGES]
    python benchmarks/volume.py listing [FILES]

FOLDER has photos; they are repeated up to the number of images. Processor time is that of the workers: the machine may
have other work. Times of engines alternate, and each is printed.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from itertools import cycle, islice, pairwise
from pathlib import Path

import cv2

import cairn
from cairn.media.images import open_image
from cairn.results import Detections
from cairn.results.shards import ShardRecord, open_shard, read_record, shard_numbers, shard_path

SIZE = 250
"""Images of a shard: several for each worker."""


def photos(folder: Path, number: int, place: Path) -> Path:
    """Links photos under new names, in order, so that each counts as an image of its own."""
    files = sorted(folder.glob("*.jpg"))
    target = place / f"photos{number}"
    target.mkdir()
    for i, file in enumerate(islice(cycle(files), number)):
        (target / f"{i:08d}.jpg").symlink_to(file)
    return target


def stages(folder: Path, number: int = 200) -> None:
    """Prints processor milliseconds of each stage on one core."""
    cv2.setNumThreads(1)
    model = cairn.load("person", threads=1)
    spent: dict[str, float] = {}
    files = sorted(folder.glob("*.jpg"))[:number]
    model(str(files[0]))
    with tempfile.TemporaryDirectory() as place, open_shard(Path(place), 0, ShardRecord(), (), False):
        pass  # what is loaded once does not count
    with tempfile.TemporaryDirectory() as place, open_shard(Path(place), 0, ShardRecord(), (), False) as table:
        for file in files:
            marks = [("", time.process_time())]
            encoded = open_image(file)
            marks.append(("read", time.process_time()))
            image = encoded.decode()[0]
            marks.append(("decode", time.process_time()))
            fit = model._fit(image)  # type: ignore[attr-defined]
            affine, size = fit[0]
            affine.warp(image, size)
            marks.append(("preprocess", time.process_time()))
            raw = model.infer(image)  # type: ignore[attr-defined]
            marks.append(("network", time.process_time()))
            poses = model.decode_raw(raw)  # type: ignore[attr-defined]
            marks.append(("decode poses", time.process_time()))
            from cairn.media.names import ImageName

            table.add(Detections(ImageName(file, Path(file.stem)), image.shape[:2], poses))
            marks.append(("write", time.process_time()))
            for (_, before), (name, after) in pairwise(marks):
                spent[name] = spent.get(name, 0.0) + after - before
        before = time.process_time()
        table.flush()
        spent["write"] += time.process_time() - before
    spent["network"] -= spent["preprocess"]  # it resizes too
    for name, seconds in spent.items():
        print(f"{name:14s} {1000 * seconds / len(files):7.2f} ms   {len(files) / seconds:9.1f} images/s")
    total = sum(spent.values())
    print(f"{'all':14s} {1000 * total / len(files):7.2f} ms   {len(files) / total:9.1f} images/s")


class Descendants:
    """Processor time of this process and of all that it starts, at any depth. Used as a context manager."""

    def __enter__(self) -> Descendants:
        self.seconds: dict[int, float] = {}
        self.first: dict[int, float] = {}
        self._ended = threading.Event()
        self._sample()
        self.first = dict(self.seconds)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._ended.set()
        self._sample()

    @property
    def total(self) -> float:
        return sum(seconds - self.first.get(process, 0.0) for process, seconds in self.seconds.items())

    def _watch(self) -> None:
        while not self._ended.wait(1):
            self._sample()

    def _sample(self) -> None:
        parents, seconds = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            process = int(path.parent.name)
            parents[process] = int(fields[1])
            seconds[process] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for process in parents:
            at = process
            while at not in (os.getpid(), 0, 1) and at in parents:
                at = parents[at]
            if at == os.getpid():
                self.seconds[process] = seconds[process]


def engines(folder: Path, number: int = 2000, size: int = 0, turns: int = 2) -> None:
    """Prints what each engine needs for the same images, alternating."""
    with tempfile.TemporaryDirectory() as root:
        source = photos(folder, number, Path(root))
        for turn in range(turns):
            for name, options in (
                ("local, 2 threads", {"threads": 2}),
                ("ray, 2 workers", {"engine": "ray", "workers": 2}),
                ("local, 1 thread", {"threads": 1}),
                ("ray, 1 worker", {"engine": "ray", "workers": 1}),
            ):
                out = Path(root) / f"{name}{turn}"
                started = time.perf_counter()
                with Descendants() as all_processes:
                    run = cairn.detect_dataset(source, out, size=size or None, shard_size=SIZE, **options)  # type: ignore[arg-type]
                wall = time.perf_counter() - started
                records = [read_record(shard_path(out, each)) for each in shard_numbers(out)]
                used = sum(each.processor_seconds for each in records if each)
                busy = sum(each.seconds for each in records if each)
                print(
                    f"{name:18s} {run.images / wall:6.1f} images/s, {wall:6.1f} s, of which shards {busy:6.1f} s, "
                    f"processor {1000 * used / run.images:6.1f} ms per image in shards, "
                    f"{1000 * all_processes.total / run.images:6.1f} in all processes",
                    flush=True,
                )


def memory(folder: Path, number: int = 20000) -> None:
    """Prints the memory of a run in this process, in megabytes, while it goes on."""
    with tempfile.TemporaryDirectory() as root:
        source = photos(folder, number, Path(root))
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(20):
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                shards = len(shard_numbers(Path(root) / "out"))
                print(f"{shards:4d} shards {pages * resource.getpagesize() / 1e6:7.0f} MB", flush=True)

        threading.Thread(target=watch, daemon=True).start()
        run = cairn.detect_dataset(source, Path(root) / "out", size=96, shard_size=SIZE)
        ended.set()
        print(run, f"{run.seconds:.0f} s", f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


def listing(files: int = 1_000_000) -> None:
    """Prints how long the first and the last of the files of one folder take to list, and the memory."""
    from cairn.media.items import ListOptions, list_items

    with tempfile.TemporaryDirectory() as root:
        for i in range(files):
            (Path(root) / f"{i:08d}.jpg").touch()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        items: Iterable[object] = list_items([root], ListOptions())
        count = 0
        for _ in items:
            count += 1
            if count == 1:
                print(f"first item after {time.process_time() - started:.2f} s")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
        print(
            f"{count} items in {time.process_time() - started:.1f} s of processor time, memory grew by {grown:.0f} MB"
        )


def main() -> None:
    task, *arguments = sys.argv[1:] or ["stages", "."]
    if task == "listing":
        listing(*map(int, arguments))
    else:
        folder, *numbers = arguments
        {"stages": stages, "engines": engines, "memory": memory}[task](Path(folder), *map(int, numbers))


if __name__ == "__main__":
    main()
