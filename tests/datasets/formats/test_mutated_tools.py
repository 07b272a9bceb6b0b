"""Files of labeling tools with random damage end in labels or in a one-line error."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import FORMATS, ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import CairnError
from support.made_labels import make_labels

TRIALS = 150
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    1e308,
    float("nan"),
    "",
    "x",
    "1",
    [],
    [1],
    {},
    {"a": 1},
    [[]],
)


def examples(folder: Path) -> dict[str, Path]:
    """A valid file of each format."""
    labels = make_labels(folder)
    paths = {name: folder / target for name, target in (("cvat", "c.xml"), ("label_studio", "l.label_studio.json"))}
    for path in paths.values():
        write_labels(labels, path)
    write_labels(labels, folder / "m.labelme")
    paths["labelme"] = folder / "m.labelme/a.json"
    people = [value for i in range(17) for value in (2.0 + i, 3.0, 0.9)]
    person = {"image_id": "a.png", "category_id": 1, "keypoints": people, "score": 1, "box": [1, 2, 3, 4]}
    point = {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {"joint": "a", "id": 1}}
    rectangle = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}
    regions = [point, {"shape_attributes": rectangle, "region_attributes": {"id": 1}}]
    contents: dict[str, Any] = {
        "alphapose": [person, person],
        "openpose": {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": people[:45]}]},
        "via": {"a.png1": {"filename": "a.png", "size": 1, "regions": regions}},
    }
    for name, content in contents.items():
        paths[name] = folder / ("a_keypoints.json" if name == "openpose" else f"{name}.json")
        paths[name].write_text(json.dumps(content))
    return paths


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Cut, changed bytes, a repeated part, or another value in JSON."""
    kind = generator.randrange(4)
    at, other = sorted(generator.randrange(len(data) + 1) for _ in range(2))
    if kind == 0:
        return data[:other]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(generator.randrange(1, 4)):
            changed[generator.randrange(len(data))] = generator.choice(b'0919-+eE.,;:"{}[]<>/&\\\x00\xff anul')
        return bytes(changed)
    if kind == 2 or data[:1] == b"<":
        return data[:other] + data[at:other] * generator.randrange(1, 3) + data[other:]
    content = json.loads(data)
    place, key = content, None
    while isinstance(place, dict | list) and place:
        key = generator.choice(list(place)) if isinstance(place, dict) else generator.randrange(len(place))
        if generator.random() < 0.3 or not isinstance(place[key], dict | list) or not place[key]:
            place[key] = generator.choice(VALUES)
            break
        place = place[key]
    return json.dumps(content).encode()


@pytest.mark.parametrize("name", ["alphapose", "cvat", "label_studio", "labelme", "openpose", "via"])
def test_damaged_files_end_in_labels_or_one_line(tmp_path: Path, name: str) -> None:
    (known,) = (known for known in FORMATS if known.name == name)
    path = examples(tmp_path)[name]
    data = path.read_bytes()
    generator = random.Random(name)
    messages: list[str] = []
    read = 0
    assert known.read is not None
    for trial in range(TRIALS):
        path.write_bytes(mutated(data, generator) if trial else data)
        for skip in (False, True):
            options = ReadOptions(problems=Problems(skip, log_notes=False), frames=tmp_path / "frames")
            try:
                labels = known.read(path, options)
            except CairnError as error:
                messages.append(str(error))
            else:
                points = np.concatenate([image.annotation.keypoints for image in labels])
                assert not np.isinf(points).any()
                read += 1
        try:
            read_labels(path, ReadOptions(problems=Problems(log_notes=False)))  # also the detection of the format
        except CairnError as error:
            messages.append(str(error))
    assert min(read, len(messages)) > TRIALS / 10
    assert all("\n" not in message and len(message) < 2000 for message in messages)
