"""`cairn detect`: results that fail, results of several runs in one folder, and image IDs of a label file."""

import ast
import csv
import json
import locale
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cairn as package
from cairn.inference.predictor import BottomUpPredictor
from cairn.media.images import write_image
from cairn.media.names import short_stem
from cairn.media.video import has_pyav, write_video
from cairn.results.ownership import RECORD
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import SPEC, totems

VIDEO = "mp4" if has_pyav() else "webm"
ONE, TWO = [(80, 120)], [(80, 120), (240, 120)]


@pytest.fixture
def cairn(tmp_path: Path, totem_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Cairn:
    """Runs `cairn detect` with the totem model in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        return run_cairn(capsys, "detect", "--model", str(totem_model), "--threads", "1", *arguments)

    return run


def image(path: Path | str, middles: list[tuple[int, int]] = ONE) -> None:
    write_image(path, totems((240, 320), middles))


def video(path: Path, middles: list[tuple[int, int]] = ONE, frames: int = 2) -> None:
    path.parent.mkdir(exist_ok=True)
    with write_video(path, (240, 320), 10) as writer:
        for i in range(frames):
            writer.write(totems((240, 320), middles), i / 10)


def files(place: Path | str) -> set[str]:
    """The files there, without the record of whose results they are."""
    found = (path for path in Path(place).rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(place).as_posix() for path in found}


def rows(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


ALL = "json,csv,coco,openpose,maps"


def test_a_name_that_is_too_long_gets_a_short_one_and_the_others_are_detected(cairn: Cairn, tmp_path: Path) -> None:
    long = ["m" * 251, "\u65e5" * 83, "m" * 250]
    for name in ["a", *long, "z"]:
        image(tmp_path / "long" / "image.png")
        (tmp_path / "long" / "image.png").rename(tmp_path / "long" / f"{name}.png")
    ended = cairn("long", "--write", ALL, "--draw", "--out", "out")
    assert ended.status == 0, ended.stderr
    assert "5 images, 5 people" in ended.stderr
    for name in long:
        content = json.loads((tmp_path / "out" / f"{short_stem(name)}.cairn.json").read_text())
        assert content["image"] == f"long/{name}.png"
    assert len({row["image"] for row in rows("out/cairn.csv")}) == 5
    assert len(json.loads((tmp_path / "out" / "cairn.coco.json").read_text())) == 5
    first = files("out")
    assert cairn("long", "--write", ALL, "--draw", "--out", "out").status == 0
    assert files("out") == first
    assert all(len(os.fsencode(Path(name).name)) <= 255 for name in first)


@pytest.mark.parametrize(
    ("blocked", "missing"),
    [
        ("b.cairn.json", {"b.cairn.json"}),
        ("b.cairn.jpg", {"b.cairn.jpg"}),
        ("cairn.openpose/b_keypoints.json", {"cairn.openpose/b_keypoints.json"}),
        ("cairn.maps/b.npz", {"cairn.maps/b.npz"}),
        ("cairn.csv", {"cairn.csv"}),
        ("cairn.coco-images.json", {"cairn.coco.json", "cairn.coco-images.json"}),
    ],
)
def test_a_result_that_cannot_be_written_is_one_fault(
    cairn: Cairn, tmp_path: Path, blocked: str, missing: set[str]
) -> None:
    for name in "abc":
        image(tmp_path / "pics" / f"{name}.png")
    assert cairn("pics", "--write", ALL, "--draw", "--out", "whole").status == 0
    (tmp_path / "out" / blocked).mkdir(parents=True)
    ended = cairn("pics", "--write", ALL, "--draw", "--out", "out")
    assert ended.status == 1
    fault, summary = ended.stderr.splitlines()
    assert fault == f"cairn: cannot write out/{blocked}: a folder has that name"
    assert "3 images, 3 people" in summary
    assert "1 could not be written" in summary
    assert files("out") == files("whole") - missing


def test_faults_of_reading_and_writing_are_counted_apart(cairn: Cairn, tmp_path: Path) -> None:
    for name in "abc":
        image(tmp_path / "pics" / f"{name}.png")
    (tmp_path / "pics" / "d.png").write_text("no image")
    (tmp_path / "out" / "a.cairn.json").mkdir(parents=True)
    ended = cairn("pics", "--out", "out")
    assert ended.status == 1
    assert "1 could not be read, 1 could not be written ->" in ended.stderr
    assert files("out") == {"b.cairn.json", "c.cairn.json"}


def test_status_is_2_only_where_nothing_could_be_written(cairn: Cairn, tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "a.cairn.json").mkdir()
    ended = cairn("a.png")
    assert ended.status == 1
    assert "cannot write a.cairn.json" in ended.stderr
    assert "1 could not be written" in ended.stderr
    assert files(tmp_path) == {"a.png", "a.cairn.jpg"}
    ended = cairn("a.png", "--no-draw")
    assert (ended.status, ended.stderr) == (2, "cairn: cannot write a.cairn.json: a folder has that name\n")
    image(tmp_path / "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").touch()  # a file where a folder is needed
    for name in "xy":
        image(tmp_path / "pics" / "sub" / f"{name}.png")
    ended = cairn("pics", "--out", "out")
    assert ended.status == 2
    assert "cairn: nothing could be written" in ended.stderr


def test_frames_of_a_clip_that_cannot_be_written_are_one_fault(cairn: Cairn, tmp_path: Path) -> None:
    video(tmp_path / "clips" / f"a.{VIDEO}", frames=4)
    video(tmp_path / "clips" / f"b.{VIDEO}", frames=4)
    for i in range(4):
        (tmp_path / "out" / "cairn.openpose" / f"a_{i:012d}_keypoints.json").mkdir(parents=True)
    (tmp_path / "out" / f"b.cairn.{VIDEO}").mkdir()
    ended = cairn("clips", "--write", "json,openpose,csv", "--draw", "--draw-as", VIDEO, "--out", "out")
    assert ended.status == 1
    assert "2 could not be written" in ended.stderr
    assert len(ended.stderr.splitlines()) == 3
    expected = {f"{clip}.cairn.{suffix}" for clip in "ab" for suffix in ("jsonl", "csv")}
    assert files("out") == expected | {f"a.cairn.{VIDEO}"} | {
        f"cairn.openpose/b_{i:012d}_keypoints.json" for i in range(4)
    }


def test_each_clip_has_its_own_tables(cairn: Cairn, tmp_path: Path) -> None:
    video(tmp_path / "mixed" / f"base.{VIDEO}", ONE)
    video(tmp_path / "mixed" / f"gop.{VIDEO}", TWO)
    image(tmp_path / "mixed" / "photo.png", TWO)
    for name in ("base", "gop"):
        assert cairn(f"mixed/{name}.{VIDEO}", "--out", "o", "--write", "csv,coco", "--no-draw").status == 0
    endings = ("csv", "coco.json", "coco-images.json")
    assert files("o") == {f"{clip}.cairn.{ending}" for clip in ("base", "gop") for ending in endings}
    assert cairn("mixed", "--out", "all", "--write", "csv,coco").status == 0
    assert files("all") == files("o") | {"cairn.csv", "cairn.coco.json", "cairn.coco-images.json"}
    for clip, people in (("base", 1), ("gop", 2)):
        table = Path("all", f"{clip}.cairn.csv").read_text()
        assert table == Path("o", f"{clip}.cairn.csv").read_text()
        assert len(rows(f"all/{clip}.cairn.csv")) == 2 * 3 * people
    assert {row["image"] for row in rows("all/cairn.csv")} == {"mixed/photo.png"}
    assert cairn("mixed/photo.png", "--out", "o", "--write", "csv", "--no-draw").status == 0
    assert len(rows("o/photo.cairn.csv")) == 3 * 2


@pytest.mark.parametrize(
    ("write", "name"),
    [("json", "a"), ("csv", "a"), ("coco", "a"), ("openpose", "a"), ("maps", "clip"), ("json", "clip"), ("", "clip")],
)
def test_results_of_another_source_are_kept_and_nothing_is_detected(
    cairn: Cairn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str, name: str
) -> None:
    options = ["--out", "o", "--write", write, "--no-draw" if write else "--draw"]
    name += ".png" if name == "a" else f".{VIDEO}"
    for folder, middles in (("x", ONE), ("y", TWO)):
        if name == "a.png":
            image(tmp_path / folder / name, middles)
        else:
            video(tmp_path / folder / name, middles)
    for source in (f"x/{name}", f"x/{name}", str(tmp_path / "x" / name)):  # a run replaces its own results
        assert cairn(source, *options).status == 0
    before = {path: (tmp_path / "o" / path).read_bytes() for path in files("o")}
    with monkeypatch.context() as patched:
        patched.setattr(BottomUpPredictor, "maps", lambda *_: pytest.fail("nothing must be detected"))
        ended = cairn(f"y/{name}", *options)
    assert ended.status == 2
    assert re.fullmatch(
        rf"cairn: o/\S+ has the results of x/{name}( \(and 1 more file\))?: "
        "choose another folder with --out, or pass --overwrite\n",
        ended.stderr,
    ), ended.stderr
    assert {path: (tmp_path / "o" / path).read_bytes() for path in files("o")} == before
    assert cairn(f"y/{name}", *options, "--overwrite").status == 0
    assert {path: (tmp_path / "o" / path).read_bytes() for path in files("o")} != before
    assert cairn(f"x/{name}", *options).status == 2


def test_sources_are_told_apart_where_their_names_are_the_same(
    cairn: Cairn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a loop over folders, and where only the suffix differs."""
    for folder in ("x", "y"):
        image(tmp_path / folder / "a.png")
        monkeypatch.chdir(tmp_path / folder)
        ended = cairn("a.png", "--out", "../o")
        assert ended.status == (0 if folder == "x" else 2)
    assert "../o/a.cairn.j" in ended.stderr
    write_image(tmp_path / "x" / "a.jpg", totems((240, 320), TWO))
    monkeypatch.chdir(tmp_path)
    assert cairn("x/a.jpg", "--out", "o").status == 2
    assert cairn("x", "--out", "o").status == 0  # a.png.cairn.json and a.jpg.cairn.json


def test_the_table_of_a_folder_is_not_replaced_by_that_of_another(cairn: Cairn, tmp_path: Path) -> None:
    for i, folder in enumerate(("x", "y")):
        image(tmp_path / folder / f"{i}.png")
    write = ["--write", "csv,coco,json"]
    assert cairn("x", *write).status == 0
    ended = cairn("y", *write)
    assert ended.status == 2
    assert "cairn: cairn-results/cairn.csv has the results of x (and 2 more files): " in ended.stderr
    assert {row["image"] for row in rows("cairn-results/cairn.csv")} == {"x/0.png"}
    assert cairn("y").status == 0  # its own JSON file is in no other file's way
    assert files("cairn-results") >= {"0.cairn.json", "1.cairn.json"}
    image(tmp_path / "x" / "2.png")
    assert cairn("x", *write).status == 0  # the same command, with one more image
    assert len({row["image"] for row in rows("cairn-results/cairn.csv")}) == 2
    assert cairn("x/0.png", "y/1.png", "--out", "list", *write).status == 0
    assert cairn("y/1.png", "x/0.png", "x/2.png", "--out", "list", *write).status == 0
    assert cairn("x/0.png", "x/2.png", "--out", "list", *write).status == 2


def test_a_file_that_cairn_did_not_write_is_kept(cairn: Cairn, tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "a.cairn.csv").write_text("mine")
    ended = cairn("a.png", "--write", "csv")
    assert ended.status == 2
    assert "a.cairn.csv is not a result that Cairn wrote here: choose another folder with --out" in ended.stderr
    assert files(tmp_path) == {"a.png", "a.cairn.csv"}
    assert (tmp_path / "a.cairn.csv").read_text() == "mine"


def test_runs_at_the_same_time_lose_nothing(
    tmp_path: Path, totem_model: Path, environment: dict[str, str], cairn: Cairn
) -> None:
    for clip in ("base", "gop"):
        video(tmp_path / "clips" / f"{clip}.{VIDEO}", ONE if clip == "base" else TWO, frames=8)
    start = [sys.executable, "-m", "cairn", "detect", "--model", str(totem_model), "--out", "o", "--no-draw"]
    commands = [[*start, "--write", "json,csv,coco", f"clips/{clip}.{VIDEO}"] for clip in ("base", "gop")]
    running = [subprocess.Popen(each, env=environment, stderr=subprocess.PIPE) for each in commands]
    assert [each.communicate()[1] and each.returncode for each in running] == [0, 0]
    endings = ("jsonl", "csv", "coco.json", "coco-images.json")
    assert files("o") == {f"{clip}.cairn.{ending}" for clip in ("base", "gop") for ending in endings}
    for clip, people in (("base", 1), ("gop", 2)):
        assert len(rows(f"o/{clip}.cairn.csv")) == 8 * 3 * people
        assert len(json.loads(Path("o", f"{clip}.cairn.coco.json").read_text())) == 8 * people
        assert len(Path("o", f"{clip}.cairn.jsonl").read_text().splitlines()) == 8


def labels(path: Path, names: dict[str, int | str], middles: dict[str, list[tuple[int, int]]], **image: Any) -> None:
    """Writes a COCO label file of totems with other IDs than the order of the files."""
    annotations: list[dict[str, Any]] = []
    for name, number in names.items():
        for x, y in middles[name]:
            flat = [v for dy in (-40, 0, 40) for v in (x, y + dy, 2)]
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 5, "keypoints": flat}
            annotations.append(entry | {"num_keypoints": 3, "bbox": [x - 5, y - 40, 10, 80], "area": 800, "iscrowd": 0})
    size = {"width": 320, "height": 240} | image
    images = [{"id": number, "file_name": f"elsewhere/{name}", **size} for name, number in names.items()]
    categories = [{"id": 5, "name": "totem", "keypoints": list(SPEC.skeleton.joints), "skeleton": []}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


MIDDLES = {"1.png": [(60, 100)], "2.png": [(200, 120), (100, 130)], "3.png": [(150, 110)]}


@pytest.fixture
def labeled(tmp_path: Path) -> Path:
    for name, middles in MIDDLES.items():
        image(tmp_path / "images" / name, middles)
    return tmp_path / "labels.json"


def average_precision(labels: Path, results: str) -> float:
    evaluation = pytest.importorskip("faster_coco_eval")
    ground_truth = evaluation.COCO(str(labels))
    run = evaluation.COCOeval_faster(ground_truth, ground_truth.loadRes(results), "keypoints", kpt_oks_sigmas=[0.1] * 3)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0])


@pytest.mark.parametrize("ids", [(2, 3, 1), (7, 5, 6), ("x", "b", "m")])
def test_results_with_the_ids_of_the_labels_are_evaluated(cairn: Cairn, labeled: Path, ids: tuple[Any, ...]) -> None:
    names = dict(zip(MIDDLES, ids, strict=True))
    labels(labeled, names, MIDDLES)
    ended = cairn("images", "--write", "coco", "--image-ids", "labels.json", "--out", "r")
    assert ended.status == 0
    assert len(ended.stderr.splitlines()) == 1
    images = json.loads(Path("r/cairn.coco-images.json").read_text())["images"]
    assert {Path(each["file_name"]).name: each["id"] for each in images} == names
    if not isinstance(ids[0], str):  # faster-coco-eval reads numbers alone
        assert average_precision(labeled, "r/cairn.coco.json") > 0.9
    if ids == (2, 3, 1):  # without the option, the same numbers mean other images
        cairn("images", "--write", "coco", "--out", "s")
        assert average_precision(labeled, "s/cairn.coco.json") < 0.1


def test_numbered_images_take_ids_of_a_label_file_too(cairn: Cairn, labeled: Path) -> None:
    labels(labeled, {"1.png": 9, "3.png": 4}, MIDDLES)
    ended = cairn("images/%d.png", "--write", "coco", "--image-ids", "labels.json", "--no-draw")
    assert "labels.json lacks 1 of 3 images, the first is images/2.png" in ended.stderr
    results = json.loads(Path("sequence.cairn.coco.json").read_text())
    assert [row["image_id"] for row in results] == [9, 4]
    assert {row["category_id"] for row in results} == {5}


def test_images_that_the_labels_lack_are_left_out_with_a_line(cairn: Cairn, labeled: Path) -> None:
    labels(labeled, {"2.png": 8, "3.png": 1}, MIDDLES)
    ended = cairn("images", "--write", "coco,csv", "--image-ids", "labels.json", "--out", "r")
    assert ended.status == 0
    note, _ = ended.stderr.splitlines()
    assert note.startswith("cairn: labels.json lacks 1 of 3 images, the first is images/1.png")
    assert [each["id"] for each in json.loads(Path("r/cairn.coco-images.json").read_text())["images"]] == [8, 1]
    assert len({row["image"] for row in rows("r/cairn.csv")}) == 3


def test_images_of_another_size_than_in_the_labels_are_one_line(cairn: Cairn, labeled: Path) -> None:
    labels(labeled, {"1.png": 1, "2.png": 2, "3.png": 3}, MIDDLES, width=640)
    ended = cairn("images", "--write", "coco", "--image-ids", "labels.json", "--out", "r")
    note, _ = ended.stderr.splitlines()
    assert "3 of 3 images have another size, the first is images/1.png: 640x240 in the labels, 320x240 on disk" in note


def test_image_ids_are_for_images_and_coco(cairn: Cairn, labeled: Path, tmp_path: Path) -> None:
    labels(labeled, {"1.png": 1}, MIDDLES)
    video(tmp_path / f"clip.{VIDEO}")
    for arguments, message in (
        (["images"], "image-ids is for the format coco: write coco too"),
        ([f"clip.{VIDEO}", "--write", "coco"], f"image-ids is for images: clip.{VIDEO} has frames"),
    ):
        ended = cairn(*arguments, "--image-ids", "labels.json")
        assert ended.status == 2
        assert message in ended.stderr


def test_images_without_detections_have_a_row_where_it_is_asked_for(cairn: Cairn, tmp_path: Path) -> None:
    video(tmp_path / f"clip.{VIDEO}", [], frames=3)
    image(tmp_path / "a.png", [])
    for source, stem, expected in ((f"clip.{VIDEO}", "clip", ["0", "1", "2"]), ("a.png", "a", [""])):
        assert cairn(source, "--write", "csv", "--no-draw").status == 0
        assert rows(f"{stem}.cairn.csv") == []
        assert cairn(source, "--write", "csv", "--no-draw", "--empty").status == 0
        table = rows(f"{stem}.cairn.csv")
        assert [row["frame"] for row in table] == expected
        assert {value for row in table for key, value in row.items() if key not in ("image", "frame", "seconds")} == {
            ""
        }
    ended = cairn("a.png", "--write", "json", "--empty")
    assert (ended.status, "empty is for the formats csv and parquet" in ended.stderr) == (2, True)


@pytest.mark.parametrize("decimals", [0, 1, 5])
def test_decimals_of_text_results(cairn: Cairn, tmp_path: Path, decimals: int) -> None:
    image(tmp_path / "a.png", TWO)
    ended = cairn("a.png", "--write", "csv,openpose,json", "--decimals", str(decimals), "--size", "256", "--no-draw")
    assert ended.status == 0
    for row in rows("a.cairn.csv"):
        pattern = r"\d+" + (rf"\.\d{{{decimals}}}" if decimals else "")
        assert re.fullmatch(pattern, row["x"])
        assert re.fullmatch(rf"[01]\.\d{{{max(decimals, 4)}}}", row["confidence"])
    (tops, *_) = (
        person["pose_keypoints_2d"]
        for person in json.loads(Path("cairn.openpose/a_keypoints.json").read_text())["people"]
    )
    assert tops[:2] == [round(value, decimals) for value in tops[:2]]
    (person, *_) = json.loads(Path("a.cairn.json").read_text())["people"]
    x, y, _ = person["keypoints"]["top"]
    assert (x, y) == (round(x, decimals), round(y, decimals))
    assert cairn("a.png", "--write", "coco", "--decimals", "3").status == 2
    assert cairn("a.png", "--decimals", "10").status == 2


def test_the_decimal_point_is_a_point_in_every_locale(cairn: Cairn, tmp_path: Path) -> None:
    """Where the system has a locale with a comma; the law on the sources holds everywhere."""
    image(tmp_path / "a.png", TWO)
    formats = ["--write", "csv,openpose,json,coco", "--no-draw"]
    assert cairn("a.png", *formats).status == 0
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    saved = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "German_Germany"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        try:
            assert f"{1.5:n}" == "1,5"
            assert cairn("a.png", *formats).status == 0
        finally:
            locale.setlocale(locale.LC_ALL, saved)
        break
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    header, first, *_ = (tmp_path / "a.cairn.csv").read_text().splitlines()
    assert header.count(",") == first.count(",") == 9
    for path in Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert "locale" not in names, path
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                assert not ast.unparse(node.format_spec).rstrip("'\"").endswith("n"), path  # {value:n}


def test_the_function_has_the_words_of_the_command(cairn: Cairn, totem_model: Path, labeled: Path) -> None:
    labels(labeled, {"1.png": 9, "2.png": 8, "3.png": 7}, MIDDLES)
    image("images/4.png", [])
    options = {"write": "coco,csv", "image_ids": "labels.json", "decimals": 1, "empty": True, "out": "api"}
    run = package.detect("images", model=totem_model, threads=1, **options)
    assert run.errors == []
    words = ["--write", "coco,csv", "--image-ids", "labels.json", "--decimals", "1", "--empty", "--out", "cli"]
    assert cairn("images", *words).status == 0
    assert files("api") == files("cli")
    assert all(Path("api", name).read_bytes() == Path("cli", name).read_bytes() for name in files("api"))
    image("other/1.png")
    with pytest.raises(package.OutputError, match=r"api/cairn\.csv has the results of images"):
        package.detect("other", model=totem_model, threads=1, write="csv", out="api")
    package.detect("other", model=totem_model, threads=1, write="csv", out="api", overwrite=True)
    assert {row["image"] for row in rows("api/cairn.csv")} == {"other/1.png"}
    np.testing.assert_equal(len(rows("api/cairn.csv")), 3)
