"""The figures of the embedded models' cards, measured again.

    python benchmarks/accuracy/cards.py [DATA]

DATA (.data) is where the data sets are unpacked; a model whose set is not there is passed over. Prints every figure
beside what docs/models.md states, and the joints. Exit status 1 where one does not hold to the digit that is given.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cairn.api.load import load
from cairn.datasets.formats.coco import read_coco
from cairn.evaluation.evaluate import Evaluation, evaluate
from cairn.evaluation.prediction import predict_in_skeleton
from cairn.evaluation.protocols import protocol_of
from cairn.inference import zoo
from cairn.structures.skeleton import load_skeleton

CARDS = Path(__file__).parents[2] / "docs" / "models.md"


@dataclass(frozen=True)
class Measured:
    """figures: in percent, by the name that the card has them under; joints: PCK of each, in percent."""

    figures: dict[str, float]
    joints: dict[str, float]


def stated(name: str) -> dict[str, str]:
    """The card's figures as they are written: its rows `| figure | 12.34 |`."""
    section = CARDS.read_text(encoding="utf-8").split(f"## {name}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+?) \| ([\d.]+) \|$", section, flags=re.MULTILINE))


def holds(written: str, value: float) -> bool:
    """Whether a figure is what is written, to the digit given."""
    return abs(value - float(written)) <= 0.51 * 10 ** -len(written.partition(".")[2])


def people(name: str, data: Path) -> Measured:
    result = _evaluated(name, data)
    return Measured(dict(result.oks or {}) | {"PCK": result.pck.value}, _joints(result))


def one_person(data: Path) -> Measured:
    plain, flipped = (_evaluated("person-single", data, flip=flip) for flip in (False, True))
    figures = {"PCK": plain.pck.value, "AUC": plain.pck.area, "NME": plain.error.value}
    figures |= {"PCK, flip test": flipped.pck.value, "AUC, flip test": flipped.pck.area}
    return Measured(figures, _joints(plain))


def faces(data: Path) -> Measured:
    whole = _evaluated("face-landmarks", data)
    five = load_skeleton("face5")
    labels = read_coco(data / "val.json", None, five)
    model = load("face-landmarks", threads=1)
    usual = evaluate(predict_in_skeleton(model, five, labels), labels, model.spec.task, protocol_of("eyes"))
    return Measured({"NME": whole.error.value, "NME, five points": usual.error.value}, {})


MODELS: dict[str, tuple[str, Callable[[Path], Measured]]] = {
    "person": ("coco-people", partial(people, "person")),
    "person-fp16": ("coco-people", partial(people, "person-fp16")),
    "person-single": ("lspet", one_person),
    "face-landmarks": ("faces", faces),
}
"""The data set that each is measured on, and what measures it in the folder of that set."""


def _evaluated(name: str, data: Path, **settings: object) -> Evaluation:
    model = load(name, threads=1, **settings)
    labels = read_coco(data / "val.json", None, model.spec.skeleton)
    return evaluate(model, labels, model.spec.task)


def _joints(result: Evaluation) -> dict[str, float]:
    return dict(zip(result.labels.skeleton.joints, result.pck.per_joint.tolist(), strict=True))


def main(data: Path) -> int:
    wrong = 0
    for name in zoo.embedded():
        folder, measure = MODELS[name]
        if not (data / folder / "val.json").is_file():
            print(f"{name}: passed over, {folder} is not in {data}")
            continue
        card, measured = stated(name), measure(data / folder)
        print(f"{name} on {folder} val, %          stated   measured")
        for figure, value in measured.figures.items():
            written = card.get(figure, "-")
            kept = written == "-" or holds(written, value)
            wrong += not kept
            print(f"  {figure:24} {written:>10} {value:10.2f}{'' if kept else '   does not hold'}")
        if missing := set(card) - set(measured.figures):
            print(f"  stated, and not measured here: {', '.join(sorted(missing))}")
        for joint, value in measured.joints.items():
            print(f"  PCK of {joint:17} {'':>10} {value:10.1f}")
        if measured.joints:
            print(f"  mean over joints {'':>18} {np.nanmean(list(measured.joints.values())):10.1f}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".data")))
