"""`cairn check` and `cairn split`: exit status, output and files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cairn.cli import main
from cairn.datasets.formats.coco import read_coco
from cairn.media.images import write_image

SIZE = 64


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    return int(stopped.value.code or 0)


def labels_in(folder: Path, count: int, first: int = 0, **fields: object) -> Path:
    """Writes dissimilar images, with one triangle of joints in each."""
    images, annotations = [], []
    for i in range(count):
        rng = np.random.default_rng(first + i)
        coarse = rng.integers(0, 256, (7, 7, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        write_image(folder / "images" / f"{first + i}.png", image)
        images.append({"id": i + 1, "file_name": f"{first + i}.png", "width": SIZE, "height": SIZE, **fields})
        x, y = rng.uniform(20, 40, 2).round(1).tolist()
        points = [x, y, 2, x - 9, y + 12, 2, x + 9, y + 12, 2]
        annotations.append({"id": i + 1, "image_id": i + 1, "category_id": 1, "keypoints": points})
    category = {"id": 1, "name": "kite", "keypoints": ["top", "left", "right"], "skeleton": [[1, 2], [1, 3]]}
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def test_exit_status_states_whether_training_can_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train, val = labels_in(tmp_path / "a", 25), labels_in(tmp_path / "b", 5, first=50)
    assert run("check", train, "--val", val) == 0
    output = capsys.readouterr()
    assert "No problems found: training can start." in output.out
    assert "check.html -> check-labels" in output.err
    assert (tmp_path / "check-labels" / "check.json").is_file()
    leaking = labels_in(tmp_path / "c", 5, first=22)
    assert run("check", train, "--val", leaking) == 1
    output = capsys.readouterr()
    assert "3 of 5 images of" in output.out
    assert "22.png = 22.png" in output.out
    assert "-> check-labels-2" in output.err
    (tmp_path / "a" / "images" / "3.png").unlink()
    assert run("check", train, "--out", "third") == 2
    assert "3.png" in capsys.readouterr().out
    assert json.loads((tmp_path / "third" / "check.json").read_text())["status"] == 2


def test_invalid_records_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = labels_in(tmp_path, 24)
    content = json.loads(labels.read_text())
    content["annotations"][3]["keypoints"][0] = "left"
    labels.write_text(json.dumps(content))
    assert run("check", labels, "--out", tmp_path / "out") == 2
    output = capsys.readouterr().out
    assert "1 record cannot be used" in output
    assert "annotation 4" in output


def test_invalid_input_is_one_line_and_leaves_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = labels_in(tmp_path, 4)
    assert run("check", tmp_path / "none.json", "--out", tmp_path / "out") == 2
    assert run("check", train, "--val", train, "--out", tmp_path / "out") == 2
    assert run("split", train, tmp_path / "out", "--share", "1.5") == 2
    assert run("split", train, tmp_path / "out", "--share", "0.99") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("cairn: ") for line in lines)
    assert not (tmp_path / "out").exists()


def test_split_writes_two_files_and_is_reproducible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = labels_in(tmp_path, 20), tmp_path / "parts"
    assert run("split", labels, out, "--share", "0.25", "--seed", "4") == 0
    assert "15 images -> " in capsys.readouterr().out
    learn, val = read_coco(out / "train.json"), read_coco(out / "val.json")
    assert (len(learn), len(val)) == (15, 5)
    assert {p.path.name for p in learn} | {p.path.name for p in val} == {f"{i}.png" for i in range(20)}
    assert run("check", out / "train.json", "--val", out / "val.json", "--out", tmp_path / "report") == 1
    assert "fewer than 20 labels" in capsys.readouterr().out
    assert run("split", labels, tmp_path / "again", "--from", out / "split.json") == 0
    for name in ("train.json", "val.json", "split.json"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    assert run("split", labels, out) == 2
    others = labels_in(tmp_path / "others", 20, first=100)
    assert run("split", others, tmp_path / "no", "--split-file", out / "split.json") == 2
    assert "the split is of other labels" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_single_video_is_divided_with_a_notice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = labels_in(tmp_path, 12, video="cage 4")
    assert run("split", labels, tmp_path / "parts") == 0
    assert "12 of 12 images are of one video, or near-duplicates, and had to be divided" in capsys.readouterr().err
    assert (
        run("check", tmp_path / "parts" / "train.json", tmp_path / "parts" / "val.json", "--out", tmp_path / "r") == 1
    )
    assert "video cage 4" in capsys.readouterr().out
