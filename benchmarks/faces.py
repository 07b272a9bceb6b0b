"""Landmarks of faces by the protocol of the paper: five points, regressed on all training labels, NME by the eyes.

    python benchmarks/faces.py .data/faces runs/faces-10 runs/faces-30 runs/face-landmarks

Compares each run with its network before training, and all of them with the mean shape.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from cairn.datasets.formats.coco import read_coco
from cairn.evaluation.protocols import protocol_of
from cairn.methods.landmarks import teaching, training
from cairn.methods.landmarks.images import landmark_skeleton, without_labels
from cairn.structures.skeleton import load_skeleton
from cairn.training.recipe_tables import check_recipe, read_recipe

DATA, RUNS = Path(sys.argv[1]), [Path(run) for run in sys.argv[2:]]
EYES = protocol_of("eyes")
torch.set_num_threads(1)
LABELS = [read_coco(DATA / name, None, load_skeleton("face5")) for name in ("train.json", "val.json")]


def errors(module: training.LandmarksModule) -> str:
    train, val = (
        teaching.examples_of(teaching.landmark_predictor(module.eval().detector, module.spec()), labels)
        for labels in LABELS
    )
    figures = [teaching.error(teaching.fit(train, kind), val, EYES) for kind in ("paper", "ridge")]
    return "  ".join(f"{figure:10.2f}" for figure in figures)


print("K   network                    as the paper     --ridge   NME of 5 points, % of the distance of the eyes")
for run in RUNS:
    recipe = check_recipe(training.Recipe, read_recipe(run / "recipe.toml"))
    landmarks = landmark_skeleton(recipe.network.landmarks)
    torch.manual_seed(0)
    untrained = training.LandmarksModule(recipe, landmarks, without_labels((), landmarks))
    print(f"{len(landmarks):<3} untrained                  {errors(untrained)}", flush=True)
    print(f"{len(landmarks):<3} {run.name:<26} {errors(teaching.load_run(run, recipe, run.name)[0])}", flush=True)

train, val = (
    np.stack([(row.keypoints[0] - (np.array(p.size[::-1]) - 1) / 2) / (max(p.size) / 2)
              for p in labels for row in [p.annotation]])
    for labels in LABELS
)  # fmt: skip
lengths = np.linalg.norm(val[:, 0] - val[:, 1], axis=-1)
mean_shape = 100 * (np.linalg.norm(val - train.mean(axis=0), axis=-1) / lengths[:, None]).mean()
print(f"    mean shape                 {mean_shape:10.2f}")
