"""Landmarks on shapes from the command line: `cairn teach`, `cairn keypoints --model` and `cairn evaluate`."""

import csv
import json

import numpy as np
import pytest

import cairn
from cairn.cli import main
from cairn.pointclouds.io.landmarks import read_landmarks
from support.shapes import specimen, write_specimen


def run(*arguments):
    """Runs the command line, and returns its status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two labeled specimens, another one, and the model of the first two."""
    root = tmp_path_factory.mktemp("shapes")
    for seed, folder in ((0, "train"), (1, "train"), (5, "new")):
        write_specimen(root / folder, f"s{seed}", *specimen(seed))
    assert run("teach", root / "train", "--out", root / "bumps.cairn") == 0
    return root


def test_a_model_is_taught_and_used(folders, tmp_path, capsys):
    out = ("--out", tmp_path, "--write", "json,mrk,ply,csv,fcsv")
    assert run("keypoints", folders / "new" / "s5.off", "--model", folders / "bumps.cairn", *out) == 0
    assert "2 templates, mean spread" in capsys.readouterr().out
    found = read_landmarks(tmp_path / "s5.keypoints.mrk.json")
    truth = specimen(5)[1]
    assert found.names == truth.names
    assert (found.coordinate_system, found.unit) == ("LPS", "mm")
    assert np.linalg.norm(found.points - truth.points, axis=1).mean() < 0.3
    entry = json.loads((tmp_path / "s5.keypoints.json").read_text())["keypoints"][0]
    assert entry["name"] == "mark 1"
    assert entry["spread"] >= 0


def test_the_table_states_the_error_of_held_out_specimens(folders, tmp_path, capsys):
    assert run("teach", folders / "train", folders / "train", "--out", tmp_path / "a.cairn", "--name", "bumpy") == 0
    captured = capsys.readouterr()
    assert "templates" in captured.out
    assert "mean error, mm" in captured.out
    assert "ShapeModel(bumpy: 9 landmarks from 2 specimens" in captured.out
    assert (tmp_path / "a.cairn").read_bytes()


def test_errors_of_a_model_and_of_files(folders, tmp_path, capsys):
    model, new = folders / "bumps.cairn", folders / "new"
    assert run("evaluate", model, new, "--out", tmp_path / "report") == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["specimens"] == 1
    assert 0 < metrics["mean"] < 0.3
    with (tmp_path / "report" / "errors.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["specimen", "mark 1"]
    assert rows[1][0] == "s5"
    assert np.mean([float(value) for value in rows[1][1:]]) == pytest.approx(metrics["mean"], rel=1e-4)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "s5: mean error" in page
    assert "canvas" in page
    assert "largest" in capsys.readouterr().out
    written = tmp_path / "predicted"
    assert run("keypoints", new / "s5.off", "--model", model, "--out", written, "--write", "mrk") == 0
    report = cairn.evaluate(written, new)
    assert report.metrics["mean"] == pytest.approx(metrics["mean"], rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("teach", "{train}", "--out", "{tmp}/a.onnx"), "must end in .cairn"),
        (("teach", "{train}", "--ridge"), "ridge is for images"),
        (("teach", "{train}", "--coordinate-system", "XYZ", "--out", "{tmp}/a.cairn"), "LPS or RAS"),
        (("teach", "{tmp}"), "a run of cairn discover and labels of some images, or a folder of meshes"),
        (("teach", "{tmp}", "{tmp}", "--unit", "mm"), "are for shapes"),
        (("keypoints", "{new}/s5.off", "--model", "{tmp}/none.cairn"), "cannot read"),
        (("keypoints", "{new}/s5.off", "--model", "{root}/bumps.cairn", "--method", "iss"), "omit --method"),
        (
            ("keypoints", "{new}/s5.off", "--model", "{root}/bumps.cairn", "--num-keypoints", "3"),
            "all of its landmarks",
        ),
        (("evaluate", "person", "{root}/bumps.cairn", "{new}"), "one model of landmarks on shapes"),
        (("evaluate", "{root}/bumps.cairn", "{tmp}"), "expected shapes"),
        (("evaluate", "person", "labels.json", "--shapes", "{new}"), "shapes is for landmarks on shapes"),
    ],
)
def test_mistakes_are_one_line(folders, tmp_path, capsys, arguments, message):
    places = {"root": folders, "train": folders / "train", "new": folders / "new", "tmp": tmp_path}
    assert run(*(each.format(**places) for each in arguments)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error.splitlines()[-1]
    assert "Traceback" not in error
    assert not list(tmp_path.glob("*.cairn"))
