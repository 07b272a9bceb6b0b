"""Files of SLEAP and DeepLabCut with random damage end in labels or in a one-line error."""

import random
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import CairnError
from support.made_labels import make_labels

TRIALS = 40
FILES = {
    "csv": "p.dlc/labeled-data/clip one/CollectedData_cairn.csv",
    "h5": "p.dlc/labeled-data/clip one/CollectedData_cairn.h5",
    "config": "p.dlc/config.yaml",
    "slp": "a.slp",
}


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Cut, changed bytes, or a repeated part."""
    at, other = sorted(generator.randrange(len(data) + 1) for _ in range(2))
    kind = generator.randrange(4)
    if kind == 0:
        return data[:other]
    if kind == 1:
        return data[:other] + data[at:other] * generator.randrange(1, 3) + data[other:]
    changed = bytearray(data)
    for _ in range(generator.randrange(1, 6)):
        changed[generator.randrange(len(data))] = generator.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_end_in_labels_or_one_line(tmp_path: Path, name: str) -> None:
    pytest.importorskip("yaml")
    pytest.importorskip("sleap_io")
    labels = make_labels(tmp_path / "images")
    write_labels(labels, tmp_path / ("a.slp" if name == "slp" else "p.dlc"))
    path = tmp_path / FILES[name]
    data = path.read_bytes()
    source = tmp_path / "p.dlc" if name == "config" else path
    generator = random.Random(name)
    messages: list[str] = []
    read = 0
    for trial in range(TRIALS):
        path.write_bytes(mutated(data, generator) if trial else data)
        for skip in (False, True):
            options = ReadOptions(problems=Problems(skip, log_notes=False), frames=tmp_path / "frames")
            try:
                result = read_labels(source, options)
            except CairnError as error:
                messages.append(str(error))
            else:
                assert not np.isinf(np.concatenate([image.annotation.keypoints for image in result])).any()
                read += 1
    assert min(read, len(messages)) > TRIALS / 20
    assert all("\n" not in message and len(message) < 2000 for message in messages)
