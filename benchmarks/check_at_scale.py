"""Time and peak memory of `cairn check` on labels of the size of COCO's train2017.

    python benchmarks/check_at_scale.py [--folder FOLDER] [--images 118000] [--annotations 262000] [--parts 8 4 1]

Labels alone, without their images: each part of 1/8, 1/4 and all of them is checked in a process of its own. With
`--photos FOLDER` it measures instead how long the images of that folder take to read, by the number of
cores (Linux), and to group.
Labels are made by `labels_at_scale.py`.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from labels_at_scale import make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cairn-check-at-scale")
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--annotations", type=int, default=262_000)
    parser.add_argument("--parts", type=int, nargs="+", default=[8, 4, 1])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    elif options.photos:
        photos(options.photos)
    else:
        for part in options.parts:
            labels = options.folder / f"{options.images // part}-{options.annotations // part}" / "labels.json"
            if not labels.is_file():
                labels.parent.mkdir(parents=True, exist_ok=True)
                made = labels.parent / "made" / "labels.json"
                made.parent.mkdir()
                make(made, options.images // part, options.annotations // part, 32)
                made.rename(labels)
                shutil.rmtree(made.parent)  # its empty images
            subprocess.run([sys.executable, __file__, "--measure", labels], check=True)


def measure(labels: Path) -> None:
    """Prints seconds, seconds on a processor, peak memory, and the load of the machine."""
    import cairn

    start, busy = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        cairn.check(labels, out=Path(folder) / "report")
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    size = labels.stat().st_size / 1e6
    print(
        f"{size:4.0f} MB: {seconds:6.1f} s, {busy:6.1f} s on a processor, {peak:5.0f} MB, load {os.getloadavg()[0]:.1f}"
    )


def photos(folder: Path) -> None:
    """Prints images per second by the number of cores, and the time to group them."""
    from cairn.datasets.similarity import group_similar, read_signatures

    paths = sorted(path for path in folder.iterdir() if path.is_file())
    cores = sorted(os.sched_getaffinity(0))
    for count in sorted({1, 2, 4, 8, 16, len(cores)} & set(range(len(cores) + 1))):
        os.sched_setaffinity(0, cores[:count])
        start, busy = time.perf_counter(), time.process_time()
        signatures = read_signatures(paths)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        rate = f"{len(paths) / seconds:.0f} images/s, {1000 * busy / len(paths):.2f} ms on a processor per image"
        print(f"{count} cores: {rate}, load {os.getloadavg()[0]:.1f}")
    start = time.process_time()
    groups = len(np.unique(group_similar(signatures)))
    print(f"{len(paths)} images in {groups} groups: {time.process_time() - start:.1f} s on a processor")


if __name__ == "__main__":
    main()
