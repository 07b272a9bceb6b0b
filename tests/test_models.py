"""The embedded models: what they are allowed to be, one golden picture each, and the figures of their cards."""

import re
from pathlib import Path

import numpy as np
import pytest

from cairn import zoo
from cairn.annotations.coco import read_coco
from cairn.evaluation.run import evaluate
from cairn.load import load

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".data"
CARDS = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
MEGABYTES = {"person": 12, "person-single": 8, "face-landmarks": 4}
VAL = {"person": ("coco-people", "AP"), "person-single": ("lspet", "PCK"), "face-landmarks": ("faces", "NME")}


@pytest.mark.parametrize("name", zoo.embedded())
def test_a_model_is_small_and_says_where_it_comes_from(name):
    path = zoo.path_of(name)
    spec = load(name, threads=1).spec
    assert path.stat().st_size <= MEGABYTES[name] * 1e6
    assert spec.name == name
    assert spec.licence
    assert spec.sources
    assert {"seed", "epoch", "trained", "commit"} <= set(spec.provenance)


@pytest.mark.data
@pytest.mark.parametrize("name", zoo.embedded())
def test_the_figure_of_the_card_holds(name):
    """`| AP | 4.56 |` in the model's section of docs/models.md, measured again, to the digit given."""
    data, figure = VAL[name]
    if not (DATA / data / "val.json").is_file():
        pytest.skip(f"{data} is not unpacked in .data (CONTRIBUTING.md says how)")
    model = load(name, threads=1)
    labels = read_coco(DATA / data / "val.json", skeleton=model.spec.skeleton)
    result = evaluate(model, labels, model.spec.input.fit)
    measured = (result.oks or {"PCK": result.pck.value, "NME": result.error.value})[figure]
    section = CARDS.split(f"## {name}\n")[1].split("\n## ")[0]
    stated = re.search(rf"\| {figure} \| ([\d.]+) \|", section)
    assert stated, f"the card of {name} states no {figure}"
    digits = len(stated[1].partition(".")[2])
    assert measured == pytest.approx(float(stated[1]), abs=0.51 * 10**-digits)


HOPPER, COLLINS = (
    {"right_eye": (189, 162), "left_eye": (260, 160), "left_shoulder": (392, 352), "right_shoulder": (62, 355)},
    {"right_eye": (640, 101), "left_eye": (683, 104), "nose": (662, 128)},
)
"""Labelled by hand in examples/portraits.jpg; Collins's shoulders are hidden by her suit."""


@pytest.mark.parametrize("truth", [HOPPER, COLLINS], ids=["Hopper", "Collins"])
def test_person_finds_the_people_of_the_example(truth):
    poses = load("person", threads=1)(ROOT / "examples" / "portraits.jpg")
    for joint, place in truth.items():
        found = poses.keypoints[:, poses.skeleton.index(joint)]
        assert np.nanmin(np.linalg.norm(found - place, axis=1)) < 35, joint  # a third of the width of a head
