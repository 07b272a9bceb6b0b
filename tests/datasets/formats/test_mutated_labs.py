"""Files of SLEAP and DeepLabCut with random damage end in labels or in a one-line error.

HDF5 files are cut, or get other arrays and attributes. Their structure is not damaged here, which could crash the
library within the tests; see `check_readable`.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import CairnError
from support.made_labels import make_labels

TRIALS = 16
FILES = {
    "csv": "p.dlc/labeled-data/clip one/CollectedData_cairn.csv",
    "config": "p.dlc/config.yaml",
    "h5": "p.dlc/labeled-data/clip one/CollectedData_cairn.h5",
    "slp": "a.slp",
}


def mutated_text(path: Path, generator: random.Random) -> None:
    """Cuts the file, changes bytes, or repeats a part."""
    data = path.read_bytes()
    at, other = sorted(generator.randrange(len(data) + 1) for _ in range(2))
    kind = generator.randrange(4)
    changed = bytearray(
        data[:other] if kind == 0 else data[:other] + data[at : other if kind == 1 else at] + data[other:]
    )
    for _ in range(generator.randrange(1, 6) if kind > 1 else 0):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    path.write_bytes(changed)


def mutated_arrays(path: Path, generator: random.Random) -> None:
    """Cuts the file, removes an array or an attribute, or gives it other values."""
    import h5py

    if generator.random() < 0.1:
        data = path.read_bytes()
        path.write_bytes(data[: generator.randrange(len(data))])
        return
    with h5py.File(path, "a") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        owner = generator.choice(items)
        if len(owner.attrs) and generator.random() < 0.5:
            key = generator.choice(sorted(owner.attrs))
            value = owner.attrs[key]
            owner.attrs[key] = generator.choice(
                [7, "", "text", value[:-3] if isinstance(value, bytes) else -1, [1.5, 2]]
            )
        elif isinstance(owner, h5py.Dataset):
            name, values = owner.name, owner[()]
            del file[name]
            replaced: list[Any] = [
                None,
                3,
                "text",
                values[:-1] if np.ndim(values) else 0,
                np.arange(4),
                np.full((2, 2), 9e9),
            ]
            if values.dtype.names:
                values[generator.choice(values.dtype.names)][:1] = generator.choice([0, 1, 5, 2**7])
                replaced += [values] * 5
            if (value := generator.choice(replaced)) is not None:
                file[name] = value


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_end_in_labels_or_one_line(tmp_path: Path, name: str) -> None:
    pytest.importorskip("yaml")
    pytest.importorskip("sleap_io")
    labels = make_labels(tmp_path / "images")
    write_labels(labels, tmp_path / ("a.slp" if name == "slp" else "p.dlc"))
    path = tmp_path / FILES[name]
    data = path.read_bytes()
    generator = random.Random(name)
    messages: list[str] = []
    read = 0
    for trial in range(TRIALS):
        path.write_bytes(data)
        if trial:
            (mutated_arrays if name in ("slp", "h5") else mutated_text)(path, generator)
        options = ReadOptions(problems=Problems(trial % 2 == 1, log_notes=False), frames=tmp_path / "frames")
        try:
            result = read_labels(tmp_path / "p.dlc" if name == "config" else path, options)
        except CairnError as error:
            messages.append(str(error))
        else:
            assert not np.isinf(np.concatenate([image.annotation.keypoints for image in result])).any()
            read += 1
    assert min(read, len(messages)) > TRIALS / 10
    assert all("\n" not in message and len(message) < 2000 for message in messages)
