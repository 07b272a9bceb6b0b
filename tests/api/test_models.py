"""The bundled models: size, provenance, detections in an example image, and the metrics of their model cards."""

import subprocess
import sys

import numpy as np
import pytest

from accuracy.cards import MODELS, agrees, has_data, stated
from cairn.api.load import load
from cairn.inference import zoo
from cairn.inference.lifter import Lifter
from support import DATA, ROOT

MEGABYTES = {"person": 12, "person-fp16": 12, "person-refine": 8, "person-single": 8, "face-landmarks": 4}
MEGABYTES |= {"person-lift": 6}
LIFT = "person-lift"
TOTAL, OF_IMAGES = 33, 30
METRIC = {"person": "AP", "person-fp16": "AP", "person-refine": "AP", "person-single": "PCK", "face-landmarks": "NME"}
METRIC |= {"person-lift": "MPJPE"}


@pytest.mark.parametrize("name", zoo.embedded())
def test_bundled_model_is_small_and_states_its_provenance(name):
    path = zoo.path_of(name)
    spec = (Lifter if name == LIFT else load)(name, threads=1).spec
    assert path.stat().st_size <= MEGABYTES[name] * 1e6
    assert spec.name == name
    assert spec.license
    assert spec.sources
    assert {"seed", "epoch", "trained", "commit"} <= set(spec.provenance)


def test_the_bundled_models_are_small_together():
    sizes = {name: zoo.path_of(name).stat().st_size for name in zoo.embedded()}
    assert sum(sizes.values()) <= TOTAL * 1e6
    assert sum(size for name, size in sizes.items() if name != LIFT) <= OF_IMAGES * 1e6


@pytest.mark.data
@pytest.mark.parametrize("name", zoo.embedded())
def test_metrics_of_the_model_card_hold(name):
    """Measures each row `| AP | 4.56 |` of the model card in docs/models.md again, within 1 %."""
    folder, measure = MODELS[name]
    if not has_data(DATA / folder):
        pytest.skip(f"{folder} is not unpacked in .data (CONTRIBUTING.md says how)")
    measured, card = measure(DATA / folder).metrics, stated(name)
    assert METRIC[name] in card
    wrong = {
        metric: (written, measured[metric]) for metric, written in card.items() if not agrees(written, measured[metric])
    }
    assert not wrong


def test_the_script_of_the_cards_runs_by_itself_and_skips_absent_data(tmp_path):
    script = [sys.executable, str(ROOT / "benchmarks" / "accuracy" / "cards.py"), str(tmp_path)]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == list(MODELS)
    assert all("skipped" in line for line in lines)


HOPPER, COLLINS = (
    {"right_eye": (189, 162), "left_eye": (260, 160), "left_shoulder": (392, 352), "right_shoulder": (62, 355)},
    {"right_eye": (640, 101), "left_eye": (683, 104), "nose": (662, 128)},
)
"""Annotated in examples/portraits.jpg; Collins's shoulders are occluded by her suit."""


@pytest.mark.parametrize("expected", [HOPPER, COLLINS], ids=["Hopper", "Collins"])
def test_person_detects_the_people_of_the_example(expected):
    poses = load("person", threads=1)(ROOT / "examples" / "portraits.jpg")
    for joint, place in expected.items():
        found = poses.keypoints[:, poses.skeleton.index(joint)]
        assert np.nanmin(np.linalg.norm(found - place, axis=1)) < 35, joint  # a third of the width of a head
