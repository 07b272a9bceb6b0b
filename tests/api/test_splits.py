"""What each verb does with labels that hold several splits, and with labels that do not fit their images."""

import json
import logging
from pathlib import Path

import pytest

import cairn
from cairn.api.reading import calibration_labels, evaluation_labels, read_options, teaching_labels
from cairn.cli import main
from cairn.datasets.formats import ReadOptions
from cairn.datasets.reading import read_labels
from cairn.errors import CairnError, LabelError, OutputError
from cairn.media.images import read_image, write_image
from support.made_data import made_labels
from support.split_labels import made_splits, read_tagged, tagged

COUNTS = {"train": 6, "val": 3, "test": 2}


@pytest.fixture
def split_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return made_splits(tmp_path / "set", COUNTS, monkeypatch)


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


# Which images are used


@pytest.mark.parametrize(
    ("counts", "used"),
    [
        (COUNTS, "val"),
        ({"train": 3, "test": 2}, "test"),
        ({"train": 3}, "train"),
        ({"val": 2}, "val"),
    ],
)
def test_evaluation_is_on_val_then_test_then_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, counts: dict[str, int], used: str
) -> None:
    path = made_splits(tmp_path / "set", counts, monkeypatch)
    with caplog.at_level(logging.INFO):
        labels = evaluation_labels(read_tagged(path), path)
    assert labels.splits == (used,)
    assert len(caplog.records) == (0 if counts == {"val": 2} else 1)
    assert "train (" in caplog.text or not caplog.records


def test_labels_without_splits_are_used_whole_and_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = made_labels(tmp_path / "set", 3)
    with caplog.at_level(logging.INFO):
        assert evaluation_labels(labels, "a") is labels
        assert teaching_labels(labels, "a") == (labels, None)
        assert calibration_labels(labels, "a") is labels
    assert not caplog.records


def test_test_is_never_taught_nor_calibrated_on(split_labels: Path, caplog: pytest.LogCaptureFixture) -> None:
    every = read_tagged(split_labels)
    with caplog.at_level(logging.INFO):
        fit, held_out = teaching_labels(every, "a.yaml")
        kept = calibration_labels(every, "a.yaml")
    assert (fit.splits, held_out.splits if held_out else None) == (("train",), ("val",))
    assert kept.splits == ("train", "val")
    assert [record.message for record in caplog.records] == [
        "a.yaml has train (6 images), val (3) and test (2): using train and val",
        "a.yaml has train (6 images), val (3) and test (2): test is not used",
    ]
    with pytest.raises(LabelError, match="only images of the split test"):
        calibration_labels(every.of_split("test"), "a.yaml")
    with pytest.raises(LabelError, match="only images of the split test"):
        teaching_labels(every.of_split("test"), "a.yaml")
    rest = tagged(read_labels(split_labels)).of_split("val")
    assert teaching_labels(rest, "a.yaml") == (rest, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "split must be train, val or test, got 'dev'"),
        ({"confidence": 1.5}, "confidence must be from 0 to 1, got 1.5"),
        ({"confidence": -0.1}, "confidence must be from 0 to 1"),
    ],
)
def test_impossible_options_are_errors(options: dict[str, object], message: str) -> None:
    with pytest.raises(CairnError, match=message):
        read_options(**options)  # type: ignore[arg-type]


def test_options_reach_the_reader() -> None:
    options = read_options("a", "val", 0.2, "cat")
    assert (options.images, options.split, options.confidence, options.category) == (Path("a"), "val", 0.2, "cat")
    assert read_options().confidence == ReadOptions().confidence


# check


def test_a_check_treats_splits_as_sets_and_finds_leakage_between_them(
    split_labels: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = split_labels.parent / "images"
    write_image(images / "val1.png", read_image(images / "train2.png"))
    with caplog.at_level(logging.INFO):
        report = cairn.check(split_labels)
    assert list(report.result.sets) == ["labels.json train", "labels.json val", "labels.json test"]
    leakage = [finding for finding in report.findings if finding.kind == "leakage"]
    assert any("val1.png = train2.png" in finding.line for finding in leakage)
    assert {finding.level for finding in leakage} == {"warning"}
    assert "labels.json has train (6 images), val (3) and test (2): checked as separate sets" in caplog.text


def test_a_check_of_one_split_is_of_one_set(split_labels: Path) -> None:
    report = cairn.check(split_labels, split="val")
    assert {name: len(labels) for name, labels in report.result.sets.items()} == {"labels.json": 3}


# convert


def test_a_yolo_folder_keeps_the_splits(split_labels: Path, tmp_path: Path) -> None:
    cairn.convert(split_labels, tmp_path / "yolo")
    for name, count in COUNTS.items():
        assert stems(tmp_path / "yolo" / "images" / name) == [f"{name}{i}" for i in range(count)]
        assert stems(tmp_path / "yolo" / "labels" / name) == [f"{name}{i}" for i in range(count)]
    with pytest.raises(OutputError, match="exists"):
        cairn.convert(split_labels, tmp_path / "yolo", split="val")
    cairn.convert(split_labels, tmp_path / "yolo", split="val", overwrite=True)


def test_one_split_or_one_part_is_written_alone(split_labels: Path, tmp_path: Path) -> None:
    cairn.convert(split_labels, tmp_path / "one", split="val")
    assert stems(tmp_path / "one" / "images") == ["val"]
    cairn.convert(split_labels, tmp_path / "all", part="test")
    assert stems(tmp_path / "all" / "images") == ["test"]
    assert len(stems(tmp_path / "all" / "images" / "test")) == sum(COUNTS.values())


def test_a_format_without_splits_says_that_they_are_lost(split_labels: Path, tmp_path: Path) -> None:
    whole = cairn.convert(split_labels, tmp_path / "all.json")
    assert whole.lost == ("splits are not kept: coco has no field for them, so all images are in one file",)
    assert whole.num_images == 11
    one = cairn.convert(split_labels, tmp_path / "val.json", split="val")
    assert (one.lost, one.num_images) == ((), 3)


def test_images_of_another_size_are_not_written_as_shares_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = made_labels(tmp_path / "set", 4)
    path = tmp_path / "set" / "labels.json"
    write_image(labels.images[1].path, read_image(labels.images[1].path)[::2, ::2])
    with pytest.raises(LabelError, match=r"labels.json: 1 of 4 images of another size .*or pass --skip-bad"):
        cairn.convert(path, tmp_path / "yolo")
    assert not (tmp_path / "yolo").exists()
    written = cairn.convert(path, tmp_path / "yolo", skip_bad=True)
    assert stems(tmp_path / "yolo" / "images" / "train") == ["0", "2", "3"]
    (line,) = written.skipped
    assert "1.png is 48×48, in the labels 96×96" in line
    assert not caplog.records
    assert cairn.convert(path, tmp_path / "same.json").num_images == 4
    assert "1 of 4 images of another size than in the labels: 1.png" in caplog.text


def test_nothing_is_converted_where_all_sizes_are_wrong(tmp_path: Path) -> None:
    labels = made_labels(tmp_path / "set", 2)
    for image in labels:
        write_image(image.path, read_image(image.path)[::2, ::2])
    with pytest.raises(LabelError, match="no other image has an annotated instance"):
        cairn.convert(tmp_path / "set" / "labels.json", tmp_path / "yolo", skip_bad=True)
    assert not (tmp_path / "yolo").exists()


# split


def test_labels_with_splits_are_not_divided_again(split_labels: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"divided already, into train \(6 images\), val \(3\) and test \(2\)"):
        cairn.split(split_labels, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_of_one_split_are_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_splits(tmp_path / "set", {"train": 8}, monkeypatch)
    result = cairn.split(path, tmp_path / "out", share=0.25)
    assert len(result.train) + len(result.val) == 8


# evaluate, train


@pytest.fixture
def evaluated(totem_model: Path) -> Path:
    pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")
    return totem_model


def test_evaluate_warns_of_copies_and_stops_at_other_sizes(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from support.totem_labels import write_totem_labels

    path = write_totem_labels(tmp_path / "set", [[(80, 100), (200, 180)], [(160, 160)]])
    assert run("evaluate", evaluated, path, "--out", tmp_path / "right") == 0
    assert "instance" not in capsys.readouterr().err
    content = json.loads(path.read_text())
    content["annotations"].append(content["annotations"][0] | {"id": 99})
    path.write_text(json.dumps(content))
    assert run("evaluate", evaluated, path, "--out", tmp_path / "twice") == 0
    assert "labels.json: 1 instance occurs twice" in capsys.readouterr().err
    content["images"][0]["width"] = 640
    path.write_text(json.dumps(content))
    assert run("evaluate", evaluated, path, "--out", tmp_path / "wrong") == 2
    error = capsys.readouterr().err
    assert (
        "labels.json: 1 of 2 images of another size than in the labels: 0.png is 320×320, in the labels 640×320"
        in error
    )
    assert not (tmp_path / "wrong").exists()


def test_a_split_of_labels_without_splits_is_an_error(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_labels(tmp_path / "set", 2)
    path = tmp_path / "set" / "labels.json"
    for arguments in (
        ("evaluate", evaluated, path, "--split", "test"),
        ("check", path, "--split", "val", "--out", tmp_path / "check"),
        ("convert", path, tmp_path / "a.csv", "--split", "train"),
    ):
        assert run(*arguments) == 2
        assert "no splits, got split" in capsys.readouterr().err


def test_training_takes_split_confidence_and_category_into_the_recipe(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    from cairn.api.train import _Labels, _Request, _tables

    data = _Labels("a.yaml", None, "b.json", None, {"split": "test", "confidence": 0.3, "category": "cat"})
    tables = _tables(_Request(None, None, data, {}, None, False, None, False))
    assert tables["data"]["train"] == [{"labels": "a.yaml", "split": "test", "confidence": 0.3, "category": "cat"}]
    assert tables["data"]["val"] == [{"labels": "b.json", "confidence": 0.3, "category": "cat"}]
    with pytest.raises(CairnError, match="--split needs labels to train on"):
        cairn.train(method="openpose", split="val", recipe=None)
    with pytest.raises(CairnError, match="give no other option beside --out"):
        cairn.train(out=tmp_path, resume=True, category="cat")
