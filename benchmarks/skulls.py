"""Landmark errors on skulls against the number of templates, beside rigid ICP; poses are random.

Usage: python benchmarks/skulls.py FOLDER [--step N]

FOLDER has NAME.ply, NAME.mrk.json and split.json with the names of train and val.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from cairn.pointclouds.shapes.model import ShapeModel
from cairn.pointclouds.shapes.shape import Shape
from cairn.pointclouds.shapes.similarity import Similarity
from cairn.pointclouds.shapes.specimens import Specimen, read_specimens
from cairn.pointclouds.shapes.teaching import build


def random_pose(specimen: Specimen, seed: int, mirrored: bool = False, scale: float = 1.0) -> Specimen:
    """Returns a specimen in another place; mirrored, its faces are turned so that they point outward."""
    rotation = Rotation.random(random_state=seed).as_matrix() @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
    move = Similarity(scale, rotation, 20 * np.random.default_rng(seed).normal(size=3))
    cloud = specimen.cloud
    faces = cloud.faces[:, ::-1] if mirrored and cloud.faces is not None else cloud.faces
    return Specimen(
        specimen.name,
        replace(cloud, points=move(cloud.points), faces=faces),
        replace(specimen.landmarks, points=move(specimen.landmarks.points)),
    )


def measure(model: ShapeModel, specimen: Specimen, counts: tuple[int, ...]) -> dict[str, float]:
    """Returns mean errors by the number of templates, of one template, of rigid ICP, and the processor time."""
    truth, start = specimen.landmarks.points, time.process_time()
    shape = Shape.of(specimen.cloud)
    placed = model.place(shape)
    placed.combined()
    seconds = time.process_time() - start
    back = placed.alignment.transform.inverse()
    rigid = shape.closest(np.mean([back(each.landmarks) for each in model.templates], axis=0))
    order = np.argsort([each.name for each in model.templates], kind="stable")  # not the reference first
    results = {str(count): error(placed.combined(order[:count].tolist())[0], truth) for count in counts}
    singles = float(np.mean([error(each, truth) for each in placed.points]))
    return results | {"one, mean": singles, "rigid": error(rigid, truth), "seconds": seconds}


def error(points: np.ndarray, truth: np.ndarray) -> float:
    """Returns the mean distance."""
    return float(np.nanmean(np.linalg.norm(points - truth, axis=1)))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", type=int, default=1, help="Every so many specimens with ten templates.")
    arguments = parser.parse_args()
    split = json.loads((arguments.folder / "split.json").read_text())
    by_name = {each.name: each for each in read_specimens(arguments.folder)}
    names = [*split["train"], *split["val"]]
    for num_templates, counts, step in ((5, (5,), 1), (10, (1, 3, 5, 10), arguments.step)):
        model, _, _ = build([by_name[name] for name in names[:num_templates]], "skulls")
        rows = []
        for seed, name in enumerate(names[num_templates::step]):
            rows.append(measure(model, random_pose(by_name[name], seed), counts))
            print(name, {key: round(value, 3) for key, value in rows[-1].items()}, flush=True)
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        print(f"{num_templates} templates, {len(rows)} specimens:", {k: round(v, 3) for k, v in means.items()})
        print("largest:", {key: round(max(row[key] for row in rows), 3) for key in rows[0]}, flush=True)
        if num_templates == 5:
            for seed, name in enumerate(names[5:35:10]):
                original = measure(model, by_name[name], (5,))["5"]
                mirrored = model.place(Shape.of(random_pose(by_name[name], seed, mirrored=True).cloud))
                scaled = measure(model, random_pose(by_name[name], seed, scale=0.001), (5,))["5"] * 1000
                print(
                    f"{name}: as it is {original:.3f}, in a thousandth of the size {scaled:.3f}, "
                    f"mirrored detected: {mirrored.mirrored}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
