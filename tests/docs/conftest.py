"""The folder in which the commands and snippets of the documentation run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from cairn.media.images import read_image, write_image
from cairn.media.video import write_video
from cairn.structures.skeleton import load_skeleton
from support import warm
from support.made_data import made_labels

ROOT = Path(__file__).parents[2]
PORTRAITS = ROOT / "examples" / "portraits.jpg"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with photo.jpg, images/, clip.mp4, boxes.json, and the labels of labels, train, val and people.json."""
    image = cv2.resize(read_image(PORTRAITS), (480, 360))
    for name in ("photo.jpg", "images/a.jpg", "images/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, image)
    (tmp_path / "boxes.json").write_text(json.dumps({"photo.jpg": [[20, 10, 200, 340], [240, 10, 220, 340]]}))
    write_clip(tmp_path / "clip.mp4")
    for name, seed in (("labels", 0), ("val", 1)):
        write_labels(tmp_path, name, seed)
    write_labels(tmp_path, "train", seed=2, images=5, people=4)
    write_people(tmp_path / "people.json")
    return tmp_path


def write_labels(folder: Path, name: str, seed: int, images: int = 6, people: int = 1) -> None:
    """NAME.json, and its images in images/."""
    made_labels(folder / ".made" / name, images, people, seed=seed)
    labels = json.loads((folder / ".made" / name / "labels.json").read_text())
    for entry in labels["images"]:
        source = folder / ".made" / name / "images" / Path(entry["file_name"]).name
        entry["file_name"] = f"{name}-{source.name}"
        shutil.copy(source, folder / "images" / entry["file_name"])
    (folder / f"{name}.json").write_text(json.dumps(labels))


def write_people(path: Path) -> None:
    """Labels of the two people of images/a.jpg, with COCO's keypoints: the same rough shape for both."""
    shape = np.array(
        [
            *([0, -8], [3, -11], [-3, -11], [7, -9], [-7, -9], [20, 15], [-20, 15], [25, 45], [-25, 45]),
            *([20, 60], [-20, 60], [12, 65], [-12, 65], [12, 95], [-12, 95], [12, 120], [-12, 120]),
        ]
    )
    annotations = []
    for number, center in enumerate([(120, 110), (360, 110)], start=1):
        points = shape + center
        low, extent = points.min(axis=0), np.ptp(points, axis=0)
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [*low.tolist(), *extent.tolist()],
                "area": float(extent.prod()),
                "keypoints": [int(value) for x, y in points for value in (x, y, 2)],
                "num_keypoints": len(shape),
            }
        )
    image = {"id": 1, "file_name": "a.jpg", "width": 480, "height": 360}
    category = {"id": 1, "name": "person", "keypoints": list(load_skeleton("coco17").joints)}
    path.write_text(json.dumps({"images": [image], "annotations": annotations, "categories": [category]}))


def write_clip(path: Path, frames: int = 4) -> None:
    """The portraits in motion, 320×240, 25 frames per second."""
    image = cv2.resize(read_image(PORTRAITS), (340, 240))
    with write_video(path, (240, 320), 25) as video:
        for i in range(frames):
            video.write(image[:, 4 * i : 4 * i + 320])


@pytest.fixture(scope="session")
def program(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """How a program with torch loaded starts; `cairn` and its arguments follow, or `code` and Python lines."""
    socket = tmp_path_factory.mktemp("warm") / "socket"
    command = [sys.executable, warm.__file__, "serve", str(socket)]
    with subprocess.Popen(command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdin
        if server.stdout.readline() != b"ready\n":
            pytest.fail("the server of programs did not start")
        yield [sys.executable, "-IS", warm.__file__, "run", str(socket)]
        server.stdin.close()


@pytest.fixture
def shell(workspace: Path, environment: Mapping[str, str], program: list[str]) -> Callable[[str], str]:
    """Runs shell lines in the workspace, with the tested `cairn` on the path, and returns what they print."""
    folder = workspace / ".bin"
    folder.mkdir()
    command = folder / "cairn"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(program)} cairn "$@"\n')
    command.chmod(0o755)
    variables = {**environment, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def run(lines: str) -> str:
        return _run(["bash", "-euo", "pipefail", "-c", lines], workspace, variables, lines)

    return run


@pytest.fixture
def script(workspace: Path, environment: Mapping[str, str], program: list[str]) -> Callable[[str], str]:
    """Runs Python lines in the workspace, in a process of their own, and returns what they print."""

    def run(lines: str) -> str:
        return _run([*program, "code", lines], workspace, environment, lines)

    return run


def _run(command: list[str], folder: Path, variables: Mapping[str, str], lines: str) -> str:
    result = subprocess.run(command, cwd=folder, env=dict(variables), capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(f"exit status {result.returncode} of\n{lines}\n{result.stderr}", pytrace=False)
    return result.stdout
