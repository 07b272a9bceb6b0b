"""The metrics of the bundled models, measured again.

    python benchmarks/accuracy/cards.py [DATA]

DATA (.data) is the folder with the unpacked data sets; models whose data set is absent are skipped. Prints every metric
beside the one that docs/models.md states, and PCK by joint. Exit status 1 where one differs by more than 1%: processors
round int8 networks differently, which moved the AP of 137 people by 0.1 points between two of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script, this file finds its own folder only
import cairn
from accuracy.motion_coco import convert
from cairn.evaluation.evaluate import Evaluation

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "docs" / "models.md"


@dataclass(frozen=True)
class Measured:
    """The metrics of a model.

    Attributes:
        metrics: Percentages, or millimeters, by the name in the model card.
        joints: PCK of each joint in percent.
    """

    metrics: dict[str, float]
    joints: dict[str, float]


def stated(name: str) -> dict[str, str]:
    """Returns the metrics of a model card as written: its rows `| metric | 12.34 |`."""
    section = CARDS.read_text(encoding="utf-8").split(f"## {name}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+?) \| ([\d.]+) \|$", section, flags=re.MULTILINE))


def agrees(written: str, value: float) -> bool:
    """Returns whether a value equals the written one within its last digit or 1 %, whichever is more."""
    digit = 10 ** -len(written.partition(".")[2])
    return abs(value - float(written)) <= max(0.51 * digit, 0.01 * float(written))


def people(name: str, data: Path) -> Measured:
    result = _evaluated(name, data, refine=False)
    return Measured(dict(result.oks or {}) | {"PCK": result.pck.value}, _joints(result))


def refined(data: Path) -> Measured:
    result = _evaluated("person", data, refine=True)
    return Measured(dict(result.oks or {}) | {"PCK": result.pck.value}, _joints(result))


def one_person(data: Path) -> Measured:
    twice, alone = _evaluated("person-single", data), _evaluated("person-single", data, refine=False)
    flipped = _evaluated("person-single", data, refine=False, settings={"flip": True})
    metrics = {"PCK, flip test": flipped.pck.value, "AUC, flip test": flipped.pck.area}
    for result, suffix in ((twice, ", refined"), (alone, "")):
        values = {"PCK": result.pck.value, "AUC": result.pck.area, "NME": result.error.value}
        metrics |= {f"{name}{suffix}": value for name, value in values.items()}
    return Measured(metrics, _joints(twice))


def faces(data: Path) -> Measured:
    whole = _evaluated("face-landmarks", data)
    five = _evaluated("face-landmarks", data, skeleton="face5", metric="eyes")
    return Measured({"NME": whole.error.value, "NME, five points": five.error.value}, {})


def lifted(data: Path) -> Measured:
    """Measures on the held-out takes, seen by the same random cameras and with the same noise as in training."""
    from cairn.methods.lifting.recipe import Recipe
    from cairn.methods.lifting.training import errors, read_data
    from cairn.training.recipe_tables import check_recipe, read_recipe

    tables = read_recipe(ROOT / "recipes" / "person-lift.toml")
    with TemporaryDirectory() as folder:
        files = convert(data, Path(folder))
        tables["data"] = {split: [{"path": str(path)}] for split, path in files.items()}
        view, noisy = read_data(check_recipe(Recipe, tables)).measured
    lifter = cairn.Lifter("person-lift", threads=1)
    metrics = {}
    for name, keypoints in (("", view.keypoints), (", noisy 2D", noisy)):
        measured = errors(lifter.lift(keypoints[..., :2], keypoints[..., 2] > 0), view.target)
        metrics |= {f"{metric}{name}": value for metric, value in measured.items()}
    return Measured(metrics, {})


MODELS: dict[str, tuple[str, Callable[[Path], Measured]]] = {
    "person": ("coco-full", partial(people, "person")),
    "person-fp16": ("coco-people", partial(people, "person-fp16")),
    "person-refine": ("coco-full", refined),
    "person-single": ("lspet", one_person),
    "face-landmarks": ("faces", faces),
    "person-lift": ("motion", lifted),
}
"""The data set of each model, and the function that measures the model in the folder of that set."""


def has_data(folder: Path) -> bool:
    """Returns whether a data set is unpacked."""
    return any((folder / name).is_file() for name in ("val.json", "val.npz"))


def _evaluated(name: str, data: Path, **options: object) -> Evaluation:
    return cairn.evaluate(name, data / "val.json", threads=1, **options).evaluation


def _joints(result: Evaluation) -> dict[str, float]:
    return dict(zip(result.labels.skeleton.joints, result.pck.per_joint.tolist(), strict=True))


def main(data: Path) -> int:
    wrong = 0
    for name in MODELS:
        folder, measure = MODELS[name]
        if not has_data(data / folder):
            print(f"{name}: skipped, {folder} is not in {data}")
            continue
        card, measured = stated(name), measure(data / folder)
        print(f"{name} on {folder} val          stated   measured")
        for metric, value in measured.metrics.items():
            written = card.get(metric, "-")
            equal = written == "-" or agrees(written, value)
            wrong += not equal
            print(f"  {metric:24} {written:>10} {value:10.2f}{'' if equal else '   differs'}")
        if missing := set(card) - set(measured.metrics):
            print(f"  stated, and not measured here: {', '.join(sorted(missing))}")
        for joint, value in measured.joints.items():
            print(f"  PCK of {joint:17} {'':>10} {value:10.1f}")
        if measured.joints:
            print(f"  mean over joints {'':>18} {np.nanmean(list(measured.joints.values())):10.1f}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".data")))
