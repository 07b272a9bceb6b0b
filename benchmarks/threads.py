"""Speed of training and of inference on one core, on several idle cores, and beside a busy process.

    python benchmarks/threads.py [--seconds 30] [--repeats 3] [--cores 2] [--only training]

The conditions alternate in each repeat; each number is the median over the repeats. A core is busy with a process of
low priority in a session of its own, as that of another terminal: Linux divides cores between sessions first. The last
column is what all other processes of the machine used meanwhile, in cores: "idle" means that it is close to 0.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IMAGES, SIDE, KEYPOINTS = 166, 128, 32
"""The data set that is made: as many images, of this size, with one instance of so many keypoints in each."""

PHOTO = Path(__file__).parents[1] / "examples" / "portraits.jpg"

BUSY = "import os; os.nice(10)\nwhile True: pass"


def make_labels(folder: Path) -> Path:
    """Writes images of dots and their labels; returns the label file."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, IMAGES + 1):
        image = rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        points = rng.integers(10, SIDE - 10, (KEYPOINTS, 2))
        for point in points:
            cv2.circle(image, tuple(map(int, point)), 3, (255, 255, 255), -1)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        annotations.append(
            {
                "id": number, "image_id": number, "category_id": 1, "num_keypoints": KEYPOINTS, "iscrowd": 0,
                "keypoints": [int(value) for x, y in points for value in (x, y, 2)],
                "bbox": [int(left), int(top), int(right - left), int(bottom - top)],
                "area": float((right - left) * (bottom - top)),
            }
        )  # fmt: skip
    names = [f"k{i}" for i in range(KEYPOINTS)]
    category = {"id": 1, "name": "thing", "keypoints": names, "skeleton": []}
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def train(seconds: float, threads: int, workers: int | None) -> float:
    """Returns the samples per second of a run that is stopped after some time, from its second step on."""
    from dataclasses import replace

    from cairn.methods.autoconfig import configure, training_of
    from cairn.training.engine.loop import train as run_training
    from cairn.training.engine.quiet import without_advice
    from cairn.training.recipe_tables import check_recipe

    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder, without_advice():
        labels = make_labels(Path(folder))
        run = {"epochs": 1000, "validate_every": 1000, "threads": threads}
        run |= {} if workers is None else {"workers": workers}
        tables = configure({"data": {"train": [{"labels": str(labels)}]}, "run": run}).tables
        method = training_of(tables)

        def timed(*arguments):  # type: ignore[no-untyped-def]
            module = method.module(*arguments)

            def on_train_batch_end(*_: object) -> None:
                times.append(time.perf_counter())
                if times[-1] - times[0] > seconds:
                    raise KeyboardInterrupt

            module.on_train_batch_end = on_train_batch_end
            return module

        recipe = check_recipe(method.recipe, tables)
        with suppress(KeyboardInterrupt):
            run_training(replace(method, module=timed), recipe, Path(folder) / "run")
    return (len(times) - 1) * recipe.run.batch_size / (times[-1] - times[0])


def infer(seconds: float) -> float:
    """Returns the mean milliseconds of `person` for a photo that is in memory."""
    import cairn

    model = cairn.load("person")
    image = cairn.read_image(PHOTO)
    model(image)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        model(image)
        count += 1
    return 1000 * (time.perf_counter() - started) / count


@contextmanager
def busy_process() -> Iterator[None]:
    """Keeps a core busy."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def used() -> tuple[float, float, float]:
    """Returns the seconds that the machine's cores were busy, those of finished children, and the time."""
    fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
    return busy, children.ru_utime + children.ru_stime, time.perf_counter()


def measure(cores: list[int], *arguments: object) -> tuple[float, float]:
    """Runs this script in a process on some cores; returns its result, and the cores that others used meanwhile."""
    before = used()
    process = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--child", *map(str, arguments)],
        stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )  # fmt: skip
    after = used()
    others = (after[0] - before[0] - (after[1] - before[1])) / (after[2] - before[2])
    return float(process.stdout.split()[-1]), max(0.0, others)


def table(title: str, kinds: dict[str, tuple[object, ...]], cores: list[int], repeats: int, is_rate: bool) -> None:
    """Measures each kind under three conditions, and prints the results and their ratios to one core."""
    conditions = ("1 core", f"{len(cores)} cores", f"{len(cores)} cores, one busy")
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(repeats):
        for kind, arguments in kinds.items():
            for condition in conditions:
                if condition == conditions[2]:
                    with busy_process():
                        value, others = measure(cores, *arguments)
                    others -= min(1.0, others)  # about what the busy process used
                else:
                    value, others = measure(cores[:1] if condition == conditions[0] else cores, *arguments)
                results.setdefault((kind, condition), []).append((value, others))
    print(f"\n{title:60s}  median       range   speed   others, cores")
    for kind in kinds:
        one = statistics.median(value for value, _ in results[kind, conditions[0]])
        for condition in conditions:
            values = [value for value, _ in results[kind, condition]]
            others = [other for _, other in results[kind, condition]]
            speed = statistics.median(values) / one if is_rate else one / statistics.median(values)
            print(
                f"{kind + ', ' + condition:60s}{statistics.median(values):8.1f} {min(values):6.1f}-{max(values):6.1f}"
                f"  {speed:5.2f}x  {min(others):.1f}-{max(others):.1f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="Seconds of each measurement.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only", choices=["training", "inference"])
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, seconds, *rest = options.child
        if what == "train":
            print(train(float(seconds), int(rest[0]), None if rest[1] == "default" else int(rest[1])))
        else:
            print(infer(float(seconds)))
        return
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    print(f"{len(cores)} cores; load before: {os.getloadavg()[0]:.2f}", flush=True)
    if options.only != "training":
        table("inference, ms an image", {"person": ("infer", options.seconds)}, cores, options.repeats, False)
    if options.only != "inference":
        kinds = {
            "threads by trial": ("train", options.seconds, 0, "default"),
            f"always {len(cores)} threads, and a worker": ("train", options.seconds, len(cores), 1),
        }
        table("training, samples a second", kinds, cores, options.repeats, True)


if __name__ == "__main__":
    main()
