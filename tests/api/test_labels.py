"""`cairn.check`, `cairn.convert` and `cairn.split`: the same files as the command line, and what they return."""

import json
from pathlib import Path

import pytest

import cairn
from cairn.cli import main
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.errors import CairnError, LabelError, OutputError
from cairn.wording import counted
from support.made_data import made_labels
from support.made_labels import assert_same, make_labels


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    made_labels(folder, 24)
    return folder / "labels.json"


@pytest.fixture
def moths(tmp_path: Path) -> Path:
    write_coco(make_labels(tmp_path), tmp_path / "moths.json")
    return tmp_path / "moths.json"


def test_a_check_has_the_findings_of_the_command_line(labels: Path, tmp_path: Path) -> None:
    report = cairn.check(labels)
    status = run("check", labels, "--out", tmp_path / "out")
    assert status == report.status
    assert json.loads((tmp_path / "out" / "check.json").read_text()) == report.to_dict()
    saved = report.save(tmp_path / "saved")
    for name in ("check.json", "examples.jpg", "check.html"):
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert saved.folder == tmp_path / "saved"
    assert report.verdict in (tmp_path / "saved" / "check.html").read_text()
    found = counted(len(report.findings), "finding")
    assert repr(report).startswith(f"CheckReport(labels.json: status {status}, {found}, ")


def test_a_check_reports_data_leakage_between_splits(labels: Path, tmp_path: Path) -> None:
    made_labels(tmp_path / "val", 3)  # the same images
    report = cairn.check([labels, tmp_path / "val" / "labels.json"])
    assert report.status >= 1
    assert {"leakage"} & {finding.kind for finding in report.findings}
    with pytest.raises(LabelError, match="a label file is given twice"):
        cairn.check(labels, val=labels)


def test_a_check_counts_progress(labels: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    cairn.check(labels, progress=lambda *call: calls.append(call))
    tasks = list(dict.fromkeys(task for task, _, _ in calls))
    assert tasks == ["reading", "comparing"]
    assert [call for call in calls if call[0] == "reading"][-1] == ("reading", 24, 24)
    assert calls[-1][1] == calls[-1][2]


def test_a_conversion_returns_the_written_files(moths: Path, tmp_path: Path) -> None:
    conversion = cairn.convert(moths, tmp_path / "out.csv")
    assert (conversion.num_images, conversion.num_instances) == (3, 4)
    assert conversion.skeleton == read_coco(moths).skeleton
    assert conversion.skeleton_file == tmp_path / "out.skeleton.toml"
    assert repr(conversion) == f"Conversion({tmp_path / 'out.csv'}: 3 images, 4 instances, skeleton moth)"
    back = cairn.convert(tmp_path / "out.csv", tmp_path / "back.json", skeleton=str(conversion.skeleton_file))
    assert_same(read_coco(moths), read_coco(back.target), 1e-4, but=("areas", "tracks"))


def test_a_conversion_writes_the_files_of_the_command_line(moths: Path, tmp_path: Path) -> None:
    cairn.convert(moths, tmp_path / "api.csv")
    assert run("convert", moths, tmp_path / "cli.csv") == 0
    assert (tmp_path / "api.csv").read_bytes() == (tmp_path / "cli.csv").read_bytes()
    assert (tmp_path / "api.skeleton.toml").read_bytes() == (tmp_path / "cli.skeleton.toml").read_bytes()
    with pytest.raises(OutputError, match="exists: choose another target"):
        cairn.convert(moths, tmp_path / "api.csv")
    cairn.convert(moths, tmp_path / "api.csv", overwrite=True)


def test_skipped_records_are_returned(moths: Path, tmp_path: Path) -> None:
    content = json.loads(moths.read_text())
    content["annotations"][0]["keypoints"] = [1]
    moths.write_text(json.dumps(content))
    with pytest.raises(LabelError, match="keypoints must be"):
        cairn.convert(moths, tmp_path / "out.csv")
    conversion = cairn.convert(moths, tmp_path / "out.csv", skip_bad=True)
    assert len(conversion.skipped) == 1
    assert conversion.num_instances == 3


def test_a_split_is_that_of_the_command_line(labels: Path, tmp_path: Path) -> None:
    parts = cairn.split(labels, tmp_path / "api", share=0.25, seed=4)
    assert run("split", labels, tmp_path / "cli", "--share", "0.25", "--seed", "4") == 0
    for file in (parts.train_file, parts.val_file, parts.split_file):
        assert file.read_bytes() == (tmp_path / "cli" / file.name).read_bytes()
    assert len(parts.train) + len(parts.val) == 24
    assert not {image.id for image in parts.train} & {image.id for image in parts.val}
    again = cairn.split(labels, tmp_path / "again", split_file=parts.split_file)
    assert [image.id for image in again.val] == [image.id for image in parts.val]
    assert (
        repr(parts)
        == f"Split({tmp_path / 'api'}: {len(parts.train)} images to train on, {len(parts.val)} to validate on)"
    )


def test_an_impossible_share_is_an_error_and_leaves_no_files(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(CairnError, match=r"share must be between 0 and 1, got 1\.5"):
        cairn.split(labels, tmp_path / "out", share=1.5)
    with pytest.raises(LabelError, match="cannot be split"):
        cairn.split(labels, tmp_path / "out", share=0.99)
    assert not (tmp_path / "out").exists()


def test_a_split_file_leaves_no_share_to_choose(labels: Path, tmp_path: Path) -> None:
    parts = cairn.split(labels, tmp_path / "first")
    for given in ({"share": 0.5}, {"seed": 0}):
        with pytest.raises(CairnError, match=f"give either {next(iter(given))} or a split file"):
            cairn.split(labels, tmp_path / "out", split_file=parts.split_file, **given)
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_of_the_user_stays_where_the_command_fails(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(LabelError, match="cannot be split"):
        cairn.split(labels, tmp_path / "mine", share=0.99)
    assert (tmp_path / "mine").is_dir()
