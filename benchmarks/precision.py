"""Size, speed and accuracy of fp16 and int8 against fp32.

    python benchmarks/precision.py runs/person/model.onnx .data/coco-people/train.json .data/coco-people/val.json

int8 is calibrated on the first labels; metrics are measured on the second. Times are processor times on one core, of
the network alone and of an image from file to poses. The models take turns on every image; printed are the median over
the rounds and the quartiles. The column x is the median of fp32's time over the model's in the same turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cairn.datasets.formats import ReadOptions
from cairn.datasets.reading import read_labels
from cairn.evaluation.evaluate import evaluate
from cairn.evaluation.prediction import predict_all_boxes, predict_all_images
from cairn.inference.network import Network, OnnxNetwork
from cairn.inference.predictor import BottomUpPredictor
from cairn.methods import get_method
from cairn.training.exporting.quantization import network_inputs, quantize, spread

TIMED = 40  # images
ROUNDS = 5


def predictor_of(network: Network) -> BottomUpPredictor:
    return get_method(network.spec.method).predictor(network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an .onnx file in fp32")
    parser.add_argument("calibration", type=Path)
    parser.add_argument("labels", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    source = given.model
    spec = OnnxNetwork(source, threads=1).spec
    calibration = read_labels(given.calibration, ReadOptions(skeleton=spec.skeleton))
    labels = read_labels(given.labels, ReadOptions(skeleton=spec.skeleton))
    with tempfile.TemporaryDirectory() as folder:
        files = {"fp32": source, "fp16": Path(folder) / "fp16.onnx", "int8": Path(folder) / "int8.onnx"}
        quantize(source, files["fp16"], "fp16", predictor_of, calibration)
        quantize(source, files["int8"], "int8", predictor_of, calibration)
        networks = {name: OnnxNetwork(path, threads=1) for name, path in files.items()}
        sizes = {name: path.stat().st_size / 1e6 for name, path in files.items()}
    timed = spread(labels, TIMED)
    inputs = list(network_inputs(networks["fp32"], predictor_of, timed))
    alone = seconds({name: [lambda n=n, x=x: n(x) for x in inputs] for name, n in networks.items()})
    look = predict_all_boxes if spec.task == "crop" else predict_all_images
    predictors = {name: predictor_of(network) for name, network in networks.items()}
    ones = [replace(timed, images=(image,)) for image in timed.images]
    whole = seconds({name: [lambda f=f, o=o: list(look(f, o)) for o in ones] for name, f in predictors.items()})
    print(f"{given.model} on {len(labels)} images of {given.labels}, one core, medians of {ROUNDS} x {len(ones)}\n")
    print(f"{'':6s}{'MB':>6s}{'network, ms':>22s}{'x':>6s}{'image, ms':>22s}{'x':>6s}   metrics")
    for name, predictor in predictors.items():
        result = evaluate(predictor, labels, spec.task)
        metrics = {key: result.oks[key] for key in ("AP", "AP50", "APL", "AR")} if result.oks else {}
        metrics |= {"PCK": result.pck.value, "NME": result.error.value}
        print(
            f"{name:6s}{sizes[name]:6.1f}{spreads(alone[name]):>22s}{ratio(alone, name):6.2f}"
            f"{spreads(whole[name]):>22s}{ratio(whole, name):6.2f}   "
            + ", ".join(f"{key} {value:.2f}" for key, value in metrics.items()),
            flush=True,
        )


def seconds(steps: dict[str, list]) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Returns the times (ROUNDS x steps,) of each model, in turns; the first round warms up and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS + 1):
        for turn in zip(*steps.values(), strict=True):
            for name, step in zip(steps, turn, strict=True):
                started = time.process_time()
                step()
                taken[name].append(time.process_time() - started)
    return {name: np.array(values[len(steps[name]) :]) for name, values in taken.items()}


def spreads(values: np.ndarray) -> str:
    low, middle, high = 1000 * np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"


def ratio(times: dict[str, np.ndarray], name: str) -> float:
    return float(np.median(times["fp32"] / times[name]))


if __name__ == "__main__":
    main()
