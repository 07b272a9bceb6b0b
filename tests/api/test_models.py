"""The embedded models: what they are allowed to be, one golden image each, and the figures of their cards."""

import numpy as np
import pytest

from accuracy.cards import MODELS, holds, stated
from cairn.api.load import load
from cairn.inference import zoo
from support import DATA, ROOT

MEGABYTES = {"person": 12, "person-fp16": 12, "person-single": 8, "face-landmarks": 4}
FIGURE = {"person": "AP", "person-fp16": "AP", "person-single": "PCK", "face-landmarks": "NME"}


@pytest.mark.parametrize("name", zoo.embedded())
def test_a_model_is_small_and_says_where_it_comes_from(name):
    path = zoo.path_of(name)
    spec = load(name, threads=1).spec
    assert path.stat().st_size <= MEGABYTES[name] * 1e6
    assert spec.name == name
    assert spec.license
    assert spec.sources
    assert {"seed", "epoch", "trained", "commit"} <= set(spec.provenance)


@pytest.mark.data
@pytest.mark.parametrize("name", zoo.embedded())
def test_the_figures_of_the_card_hold(name):
    """Each row `| AP | 4.56 |` of the model's section of docs/models.md, measured again, to the digit given."""
    folder, measure = MODELS[name]
    if not (DATA / folder / "val.json").is_file():
        pytest.skip(f"{folder} is not unpacked in .data (CONTRIBUTING.md says how)")
    measured, card = measure(DATA / folder).figures, stated(name)
    assert FIGURE[name] in card
    wrong = {
        figure: (written, measured[figure]) for figure, written in card.items() if not holds(written, measured[figure])
    }
    assert not wrong


HOPPER, COLLINS = (
    {"right_eye": (189, 162), "left_eye": (260, 160), "left_shoulder": (392, 352), "right_shoulder": (62, 355)},
    {"right_eye": (640, 101), "left_eye": (683, 104), "nose": (662, 128)},
)
"""Labeled by hand in examples/portraits.jpg; Collins's shoulders are hidden by her suit."""


@pytest.mark.parametrize("truth", [HOPPER, COLLINS], ids=["Hopper", "Collins"])
def test_person_finds_the_people_of_the_example(truth):
    poses = load("person", threads=1)(ROOT / "examples" / "portraits.jpg")
    for joint, place in truth.items():
        found = poses.keypoints[:, poses.skeleton.index(joint)]
        assert np.nanmin(np.linalg.norm(found - place, axis=1)) < 35, joint  # a third of the width of a head
