"""Damaged files of every format end in labels or in a one-line error; benchmarks/fuzz_labels.py reads more of them."""

import random
from pathlib import Path

import pytest

from cairn.datasets.containers import trial
from cairn.datasets.formats import FORMATS
from label_examples import Example, examples
from mutations import mutate, options, outcome, run_here

for package in ("yaml", "h5py", "sleap_io", "scipy", "pyarrow"):
    pytest.importorskip(package, reason="examples of all formats need the extras")

TRIALS = {"json": 60, "text": 60, "mat": 8, "bytes": 60, "hdf5": 30}
"""Files of each example; MATLAB files are read in a process of their own first."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    # Deep, so that names with .. stay inside.
    return examples(tmp_path_factory.mktemp("examples") / "a/b/c/d/e")


@pytest.mark.parametrize("name", [known.name for known in FORMATS if known.read])
def test_damaged_files_end_in_labels_or_one_line(
    tmp_path: Path, made: dict[str, Example], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own = {variant: example for variant, example in made.items() if example.format == name}
    assert own, f"{name} has no example"
    for variant, example in own.items():
        if example.kind == "hdf5":  # their structure is sound
            monkeypatch.setattr(trial, "run_apart", run_here)
        data = example.file.read_bytes()
        generator = random.Random(variant)
        assert outcome(example, options(tmp_path / "frames", False)) == "result"
        ends = set()
        before = sorted(example.file.parent.iterdir())
        for number in range(TRIALS[example.kind]):
            mutate(example, data, generator)
            ends.add(outcome(example, options(tmp_path / "frames", number % 2 == 1)))
        example.file.write_bytes(data)
        assert len(ends - {"result"}) > 1
        assert sorted(example.file.parent.iterdir()) == before
