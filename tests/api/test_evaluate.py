"""`cairn.evaluate`: the report equals that of the command line, and accepts every kind of model."""

import json
from pathlib import Path

import pytest

import cairn
from cairn.cli import main
from cairn.errors import CairnError, OutputError
from support.fake_network import SPEC, write_totem_model
from support.totem_labels import write_totem_labels

pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")
pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_totem_labels(tmp_path_factory.mktemp("labels"), [[(80, 100), (200, 180)], [(160, 160)], []])


def without_time(metrics: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in metrics.items() if name not in ("milliseconds_per_image", "worst")}


def test_a_report_has_the_metrics_of_the_command_line(totem_model: Path, labels: Path, tmp_path: Path) -> None:
    options = {"metric": "box", "threshold": 0.3, "mean": "pooled", "threads": 1, "limit": 2}
    report = cairn.evaluate(totem_model, labels, settings={"peak_threshold": 0.3}, **options)
    given = [f"--{name}={value}" for name, value in options.items()]
    out = ["--out", str(tmp_path / "report"), "--set", "peak_threshold=0.3"]
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(totem_model), str(labels), *given, *out])
    assert not ended.value.code
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert without_time(report.to_dict()) == without_time(written)


def test_metrics_are_flat_and_in_percent(totem_model: Path, labels: Path) -> None:
    report = cairn.evaluate(totem_model, labels, threads=1)
    assert report.metrics["AP"] == pytest.approx(100)
    assert report.metrics["PCK@0.05"] == 100
    assert 0 <= report.metrics["NME"] < 5
    assert [row["keypoint"] for row in report.per_keypoint] == ["top", "middle", "base"]
    assert all((row["labels"], row["pck"]) == (3, 100) for row in report.per_keypoint)
    assert repr(report) == f"Report(totems on {labels}: AP 100.0, PCK@0.05 100.0, 3 images)"


def test_every_kind_of_model_gives_the_same_metrics(totem_model: Path, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(totem_model.read_bytes())
    expected = cairn.evaluate(totem_model, labels).metrics
    for model in (str(totem_model), tmp_path, cairn.load(totem_model)):
        assert cairn.evaluate(model, labels).metrics == expected


def test_a_list_of_models_is_a_comparison(totem_model: Path, labels: Path, tmp_path: Path) -> None:
    other = write_totem_model(tmp_path / "other.onnx", SPEC.model_copy(update={"name": "other"}))
    comparison = cairn.evaluate([totem_model, other], labels)
    assert list(comparison) == ["totems", "other"]
    assert comparison["other"].metrics == comparison["totems"].metrics
    assert comparison.metrics["other"]["AP"] == pytest.approx(100)
    assert "\n" not in repr(comparison)
    saved = comparison.save(tmp_path / "report")
    assert saved.folder == tmp_path / "report"
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["labels"] == str(labels)
    assert set(comparison.to_dict()["models"]) == {"totems", "other"}


def test_nothing_is_written_unless_a_folder_is_given(
    totem_model: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = cairn.evaluate(totem_model, labels)
    assert (report.folder, report.files) == (None, ())
    assert not list(tmp_path.iterdir())
    saved = report.save("report")
    written = cairn.evaluate(totem_model, labels, out="again")
    assert {path.name for path in saved.files} == {path.name for path in written.files}
    assert {path.name for path in (tmp_path / "again").iterdir()} == {path.name for path in written.files}
    with pytest.raises(OutputError, match=r"metrics\.json"):
        report.save("report")


def test_progress_counts_the_images_of_each_model(totem_model: Path, labels: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    cairn.evaluate(totem_model, labels, progress=lambda *call: calls.append(call))
    assert calls == [("totems", 1, 3), ("totems", 2, 3), ("totems", 3, 3)]


def test_contradicting_arguments_are_errors(totem_model: Path, labels: Path) -> None:
    predictor = cairn.load(totem_model)
    for options, message in (
        ({"size": 320}, "size: only for a model that is loaded by name or path"),
        ({"settings": {"flip": True}}, "flip: only for a model"),
        ({"mean": "geometric"}, "mean must be joints or pooled"),
        ({"split": "dev"}, "split must be train, val or test, got 'dev'"),
        ({"threshold": -1}, "threshold must be positive"),
        ({"settings": {"threads": 3}}, "settings are for the decoder, got threads"),
    ):
        with pytest.raises(CairnError, match=message):
            cairn.evaluate(predictor, labels, **options)
    with pytest.raises(CairnError, match="a model is given twice"):
        cairn.evaluate([totem_model, totem_model], labels)
