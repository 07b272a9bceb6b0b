"""Time and peak memory of reading a COCO file of the size of COCO's train2017.

    python benchmarks/labels_at_scale.py [--folder FOLDER] [--images 118000] [--annotations 262000]

Makes FOLDER/labels.json, about 250 MB with outlines, and an empty file for each image, which reading does not open.
Nothing is made anew where the folder has the same sizes already. Each measurement is a process of its own; the table
has the median time over the rounds and the largest peak of resident memory, of which an empty process that imports
the same modules is the first row.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 15
SIZE = (480, 640)
UNLABELED = 0.41
"""Share of train2017's people without a labeled keypoint."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cairn-labels-at-scale")
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--annotations", type=int, default=262_000)
    parser.add_argument("--outline", type=int, default=32, help="mean number of points of an outline")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = options.folder / "labels.json"
    if options.measure:
        measure(options.measure, path)
        return
    sizes = [options.images, options.annotations, options.outline]
    stamp = options.folder / "sizes.json"
    if not stamp.is_file() or json.loads(stamp.read_text()) != sizes:
        make(path, *sizes)
        stamp.write_text(json.dumps(sizes))
    print(f"{path.stat().st_size / 1e6:.0f} MB, {sizes[0]} images, {sizes[1]} annotations")
    print(f"{'':12} {'seconds':>8} {'on a processor':>15} {'peak MB':>8}")
    for name in MEASURED:
        rows = np.array([in_process(name, options.folder) for _ in range(options.rounds)])
        print(f"{name:12} {np.median(rows[:, 0]):8.1f} {np.median(rows[:, 1]):15.1f} {rows[:, 2].max():8.0f}")


def make(path: Path, images: int, annotations: int, outline: int) -> None:
    """Writes a label file like train2017's, and an empty file for each image."""
    from cairn.datasets.formats.category import category_from_skeleton
    from cairn.structures.skeleton import load_skeleton

    random = np.random.default_rng(SEED)
    folder = path.parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    height, width = SIZE
    numbers = np.sort(random.choice(600_000, images, replace=False)).tolist()
    for number in numbers:
        (folder / f"{number:012}.jpg").touch()
    owners = random.choice(numbers, annotations).tolist()
    with path.open("w") as file:
        file.write('{"info": {"description": "made data"}, "licenses": [], "images": [')
        for i, number in enumerate(numbers):
            file.write("," * (i > 0) + json.dumps(image_record(number, width, height)))
        file.write('], "annotations": [')
        for i, owner in enumerate(owners):
            corner = random.uniform(0, 0.5, 2) * (width, height)
            box = np.round([*corner, *(random.uniform(0.05, 0.5, 2) * (width, height))], 2)
            v = random.choice(3, 17, p=(0.3, 0.2, 0.5)) * (random.random() > UNLABELED)
            points = np.where(v[:, None] > 0, box[:2] + random.random((17, 2)) * box[2:], 0).astype(int)
            angles = np.linspace(0, 2 * np.pi, int(random.integers(4, 2 * outline - 3)), endpoint=False)
            ring = box[:2] + box[2:] * (1 + np.stack([np.cos(angles), np.sin(angles)], 1)) / 2
            row = {
                "segmentation": [np.round(ring, 2).ravel().tolist()],
                "num_keypoints": int((v > 0).sum()),
                "area": round(0.53 * float(box[2] * box[3]), 4),
                "iscrowd": 0,
                "keypoints": np.column_stack([points, v]).ravel().tolist(),
                "image_id": owner,
                "bbox": box.tolist(),
                "category_id": 1,
                "id": i + 1,
            }
            file.write("," * (i > 0) + json.dumps(row))
        file.write('], "categories": [' + json.dumps(category_from_skeleton(load_skeleton("coco17"))) + "]}")


def image_record(number: int, width: int, height: int) -> dict[str, Any]:
    name = f"{number:012}.jpg"
    return {
        "license": 3,
        "file_name": name,
        "coco_url": f"http://images.example.org/train2017/{name}",
        "height": height,
        "width": width,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm.example.org/9012/{number}_ac3b1d1d3c_z.jpg",
        "id": number,
    }


def in_process(name: str, folder: Path) -> list[float]:
    """Seconds, seconds on a processor and peak MB of one measurement."""
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(map(float, done.stdout.split()[-3:]))


def measure(name: str, path: Path) -> None:
    import cairn.datasets.reading  # noqa: F401  (not part of the time)

    start, busy = time.perf_counter(), time.process_time()
    MEASURED[name](path)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    print(seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def nothing(path: Path) -> None:
    """Imports alone."""


def read(path: Path) -> None:
    from cairn.datasets.reading import read_labels

    read_labels(path)


MEASURED: dict[str, Callable[[Path], None]] = {"imports": nothing, "read": read}


if __name__ == "__main__":
    main()
