"""Ablation study: short runs of one recipe, one change at a time, with the same samples and seeds.

    python benchmarks/accuracy/study.py [FOLDER] [VARIANT ...]

A small hourglass (one stack of 64 features, 64 pixels) on lspet, two epochs, a few minutes per run on one core: enough
to distinguish large effects from none, not to rank small ones. Each run is in FOLDER (runs/study); an existing run is
read, not repeated. Prints PCK@0.2 and its difference from the first run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from cairn.training.engine.callbacks import read_metrics

DATA = Path(".data")
PLAIN = [
    "loss=cross_entropy", "input.size=64", "input.margin=1.1", "network.stacks=1", "network.features=64",
    "network.depth=2", "augmentation.rotation=30", "optimizer.learning_rate=2e-3", "optimizer.ema=0.99",
    "optimizer.weight_decay=0.02", "run.validate_every=2",
]  # fmt: skip
VARIANTS: dict[str, list[str]] = {
    "plain": [],
    "plain, seed 1": ["seed=1"],
    "the paper's squared error": ["loss=squared"],
    "sigma 0.7 cells": ["sigma=0.7"],
    "sigma 1.5 cells": ["sigma=1.5"],
    "rotation 60": ["augmentation.rotation=60"],
    "no colors": ["augmentation.color=0", "augmentation.gray=0"],
    "no weight average": ["optimizer.ema=0"],
    "learning rate 5e-4": ["optimizer.learning_rate=5e-4"],
    "learning rate 5e-3": ["optimizer.learning_rate=5e-3"],
    "two stacks": ["network.stacks=2"],
    "128 features": ["network.features=128"],
    "96 pixels": ["input.size=96"],
}


def run(name: str, folder: Path) -> tuple[float, float]:
    """Returns PCK and minutes of one variant."""
    target = folder / name.replace(" ", "-").replace(",", "").replace("'", "")
    if not (target / "model.onnx").is_file():
        command = [sys.executable, "-m", "cairn", "train", "--method", "hourglass", "--out", str(target)]
        command += ["--data", str(DATA / "lspet" / "train.json"), "--val", str(DATA / "lspet" / "val.json")]
        for setting in [*PLAIN, *VARIANTS[name]]:
            command += ["--set", setting]
        subprocess.run([*command, "--epochs", "2", "--batch", "16"], check=True, capture_output=True)
    last = read_metrics(target / "metrics.csv")[-1]
    return last["PCK"], last["minutes"]


def main(folder: Path, names: list[str]) -> None:
    started, first = time.time(), None
    print("run                          PCK@0.2   difference   minutes")
    for name in names or VARIANTS:
        value, minutes = run(name, folder)
        first = value if first is None else first
        print(f"{name:28} {value:7.1f}   {value - first:+10.1f}   {minutes:7.1f}", flush=True)
    print(f"in {(time.time() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/study"), sys.argv[2:])
