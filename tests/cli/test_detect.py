"""`cairn detect`: files, stdout, stderr and the exit status."""

import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from cairn.cli import main
from cairn.inference.network import OnnxNetwork
from cairn.inference.predictor import BottomUpPredictor
from cairn.media.images import read_image, write_image
from cairn.results.ownership import RECORD
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import SPEC, totems, write_totem_model


@pytest.fixture
def cairn(tmp_path: Path, totem_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Cairn:
    """Runs `cairn detect` with the totem model in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        return run_cairn(capsys, "detect", "--model", str(totem_model), "--threads", "1", *arguments)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", totems((240, 320), [(80, 120), (240, 120)]))
    return tmp_path / "photo.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, of one, two and no totems."""
    write_image(tmp_path / "pics" / "a.png", totems((240, 320), [(80, 120)]))
    write_image(tmp_path / "pics" / "sub" / "a.png", totems((240, 320), [(80, 120), (240, 120)]))
    write_image(tmp_path / "pics" / "sub" / "none.png", totems((240, 320), []))
    return tmp_path / "pics"


def files(place: Path) -> set[str]:
    """The files there, without the record of whose results they are."""
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file() and path.name != RECORD}


def test_one_image_gives_an_overlay_and_json_here(cairn: Cairn, photo: Path) -> None:
    before = photo.read_bytes()
    ended = cairn("photo.png")
    assert ended.status == 0
    assert ended.stdout == ""
    assert "1 image, 2 people" in ended.stderr
    assert "photo.cairn.jpg and photo.cairn.json" in ended.stderr
    assert files(photo.parent) == {"photo.png", "photo.cairn.jpg", "photo.cairn.json"}
    assert photo.read_bytes() == before

    form = json.loads((photo.parent / "photo.cairn.json").read_text())
    people = sorted(form["people"], key=lambda person: person["keypoints"]["top"][0])
    for person, x in zip(people, (80, 240), strict=True):
        for joint, y in (("top", 80), ("middle", 120), ("base", 160)):
            np.testing.assert_allclose(person["keypoints"][joint][:2], [x, y], atol=3)
    drawn, plain = read_image(photo.parent / "photo.cairn.jpg").astype(int), read_image(photo)
    change = np.abs(drawn - plain).max(axis=2)
    assert change[60:180, [80, 240]].max() > 60
    assert change[:, 140:180].max() < 20  # nothing between the two


def test_second_run_overwrites_the_first(cairn: Cairn, photo: Path) -> None:
    cairn("photo.png")
    first = files(photo.parent)
    assert cairn("photo.png").status == 0
    assert files(photo.parent) == first


def test_nothing_is_written_beside_an_image_elsewhere(cairn: Cairn, tmp_path: Path, folder: Path) -> None:
    before = files(folder)
    assert cairn("pics/sub/a.png").status == 0
    assert files(folder) == before
    assert (tmp_path / "a.cairn.json").is_file()
    assert cairn("pics/sub/a.png", "--out", "here").status == 0
    assert files(tmp_path / "here") == {"a.cairn.json", "a.cairn.jpg"}


def test_folder_gives_json_in_the_same_subfolders(cairn: Cairn, tmp_path: Path, folder: Path) -> None:
    before = files(folder)
    ended = cairn("pics")
    assert ended.status == 0
    assert "3 images, 3 people" in ended.stderr
    assert files(folder) == before
    assert files(tmp_path / "cairn-results") == {"a.cairn.json", "sub/a.cairn.json", "sub/none.cairn.json"}


def test_results_are_not_inputs_of_the_next_run(cairn: Cairn, folder: Path) -> None:
    for _ in range(2):
        ended = cairn("pics", "--out", "pics", "--draw", "--write", "json,csv,coco,openpose")
        assert ended.status == 0
        assert "3 images, 3 people" in ended.stderr


def test_requested_formats_are_written(cairn: Cairn, tmp_path: Path, folder: Path) -> None:
    assert cairn("pics", "--write", "coco,csv", "--out", "out").status == 0
    assert files(tmp_path / "out") == {"cairn.coco.json", "cairn.coco-images.json", "cairn.csv"}
    assert cairn("pics/a.png", "--write", "openpose", "--no-draw", "--out", "other").status == 0
    assert files(tmp_path / "other") == {"cairn.openpose/a_keypoints.json"}


def test_json_lines_on_stdout_without_files(cairn: Cairn, tmp_path: Path, folder: Path) -> None:
    (folder / "bad.jpg").write_text("no image")
    before = files(tmp_path)
    ended = cairn("pics", "--json", "-")
    assert ended.status == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {line["image"]: len(line["people"]) for line in lines} == {
        "pics/a.png": 1,
        "pics/sub/a.png": 2,
        "pics/sub/none.png": 0,
    }
    assert files(tmp_path) == before


def test_keypoints_below_the_minimum_confidence_are_removed(cairn: Cairn, tmp_path: Path) -> None:
    image = totems((240, 320), [(80, 120), (240, 120)])
    image[:, 160:] //= 2
    write_image(tmp_path / "photo.png", image)
    confidence = _confidence(cairn("photo.png", "--json", "-"))
    threshold = float(np.median(confidence))
    assert len(confidence) == 6
    for option in ("--min-confidence", "--threshold"):
        kept = _confidence(cairn("photo.png", "--json", "-", option, str(threshold)))
        assert len(kept) == 3
        assert min(kept) >= threshold - 1e-4


def test_low_confidence_keypoints_are_written_but_not_drawn(cairn: Cairn, photo: Path) -> None:
    cairn("photo.png", "--out", "all")
    cairn("photo.png", "--out", "few", "--draw-threshold", "1")
    every, few = (json.loads((photo.parent / out / "photo.cairn.json").read_text()) for out in ("all", "few"))
    assert every["people"] == few["people"] != []
    drawn, plain = (read_image(photo.parent / out / "photo.cairn.jpg").astype(int) for out in ("all", "few"))
    original = read_image(photo)
    assert np.abs(drawn - original).mean() > 2 * np.abs(plain - original).mean()


def _confidence(ended: Ended) -> list[float]:
    people = json.loads(ended.stdout)["people"]
    return [joint[2] for person in people for joint in person["keypoints"].values() if joint]


def test_size_is_the_size_of_the_network_input(cairn: Cairn, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    call = OnnxNetwork.__call__
    monkeypatch.setattr(OnnxNetwork, "__call__", lambda self, x: shapes.append(x.shape) or call(self, x))
    cairn("photo.png", "--size", "256")
    assert shapes == [(1, 3, 192, 256)]


def bad_images(place: Path) -> dict[str, str]:
    """Name -> the expected error message."""
    whole = place / "whole.jpg"
    write_image(whole, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = whole.read_bytes()
    whole.unlink()
    (place / "empty.jpg").touch()
    (place / "text.jpg").write_text("this is text")
    (place / "truncated.jpg").write_bytes(data[: len(data) // 2])
    jpeg_header = b"\xff\xd8\xff\xc0\x00\x11\x08" + (20_000).to_bytes(2, "big") * 2 + bytes(10) + b"\xff\xd9"
    (place / "huge.jpg").write_bytes(jpeg_header)
    return {
        "absent.jpg": "no image at",
        "empty.jpg": "is empty",
        "text.jpg": "is not an image",
        "truncated.jpg": "is truncated",
        "huge.jpg": "is 20000×20000 pixels; the limit is 200 million",
    }


def test_single_bad_image_is_one_line_and_status_2(cairn: Cairn, tmp_path: Path) -> None:
    for name, message in bad_images(tmp_path).items():
        before = files(tmp_path)
        ended = cairn(name)
        assert ended.status == 2
        assert ended.stdout == ""
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stderr.startswith("cairn: ")
        assert name in ended.stderr
        assert message in ended.stderr
        assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing argument"),
        (["photo.png", "--size", "3"], "32, got '3'; see cairn detect --help"),
        (["photo.png", "--size", "big"], "got 'big'"),
        (["photo.png", "--size"], "--size"),
        (["photo.png", "--threads", "-1"], "got '-1'"),
        (["photo.png", "--nosuch"], "--nosuch"),
    ],
)
def test_wrong_option_is_one_line_and_status_2(cairn: Cairn, photo: Path, arguments: list[str], message: str) -> None:
    before = files(photo.parent)
    ended = cairn(*arguments)
    assert ended.status == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("cairn: ")
    assert message in ended.stderr
    assert files(photo.parent) == before


def test_bad_images_beside_a_good_one_are_one_line_each_and_status_1(cairn: Cairn, tmp_path: Path, photo: Path) -> None:
    bad = bad_images(tmp_path)
    ended = cairn(*bad, "photo.png", "--write", "json,csv", "--out", "out")
    assert ended.status == 1
    *lines, summary = ended.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, (name, message) in zip(lines, bad.items(), strict=True):
        assert name in line
        assert message in line
    assert "1 image, 2 people" in summary
    assert "5 could not be read" in summary
    assert files(tmp_path / "out") == {"photo.cairn.json", "cairn.csv"}


def test_nothing_is_written_if_nothing_can_be_read(cairn: Cairn, tmp_path: Path) -> None:
    ended = cairn(*bad_images(tmp_path), "--write", "json,csv,coco,openpose", "--out", "out")
    assert ended.status == 2
    assert "cairn: nothing could be read" in ended.stderr
    assert files(tmp_path / "out") == set()


def test_one_pixel_is_an_image(cairn: Cairn, tmp_path: Path) -> None:
    write_image(tmp_path / "dot.png", np.zeros((1, 1, 3), np.uint8))
    ended = cairn("dot.png")
    assert ended.status == 0
    assert read_image(tmp_path / "dot.cairn.jpg").shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["photo.png", "--write", "xml"],
            "write: expected formats of json,coco,openpose,csv,parquet,maps,mpii, got xml",
        ),
        (["photo.png", "--json", "file.json"], "--json takes -"),
        (["photo.png", "--write", "", "--no-draw"], "nothing would be written"),
        (["photo.png", "--model", "horse"], "no model 'horse'"),
        (["photo.png", "--model", "absent.onnx"], "no model file at absent.onnx"),
        (["photo.png", "--model", "photo.png"], "is not an ONNX model"),
        (["photo.png", "--model", "foreign.onnx"], "not a Cairn model"),
        (["photo.png", "--out", "photo.png/out"], "cannot write into the folder"),
        (["nothing"], "no image or video in the folder nothing"),
        (["*.gif"], "no image or video matches"),
        (["photo.png", "--size", "many"], "--size"),
        (["photo.png", "--size", "100000"], "size must be from 32 to 8192 pixels, got 100000"),
        (["photo.png", "--threads", "100000"], "threads must be from 0, for all, to 256, got 100000"),
        (["photo.png", "--color", "red"], "--color"),
        ([], "sources"),
    ],
)
def test_wrong_options_raise_before_any_work(
    cairn: Cairn, tmp_path: Path, photo: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "nothing").mkdir()
    write_totem_model(tmp_path / "foreign.onnx", spec=None)
    before = files(tmp_path)
    ended = cairn(*arguments)
    assert ended.status == 2
    assert message.lower() in ended.stderr.lower()
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert files(tmp_path) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission(cairn: Cairn, tmp_path: Path, photo: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    ended = cairn("photo.png", "--out", "locked")
    assert ended.status == 2
    assert "cannot write into the folder locked" in ended.stderr


def test_failure_leaves_no_partial_files(
    cairn: Cairn, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, done = BottomUpPredictor.maps, []

    def failing(self: BottomUpPredictor, image: np.ndarray) -> object:
        if done:
            raise KeyboardInterrupt
        done.append(image)
        return maps(self, image)

    monkeypatch.setattr(BottomUpPredictor, "maps", failing)
    ended = cairn("pics", "--out", "out", "--write", "json,csv,coco,openpose,parquet")
    assert ended.status == 130
    assert "Traceback" not in ended.stderr
    assert files(tmp_path / "out") == {"a.cairn.json", "cairn.openpose/a_keypoints.json"}


@pytest.mark.skipif(os.name == "nt", reason="this system has no signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_ends_the_run_with_the_results_so_far(
    cairn: Cairn, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    maps = BottomUpPredictor.maps

    def signaled(self: BottomUpPredictor, image: np.ndarray) -> object:
        signal.raise_signal(number)
        return maps(self, image)

    monkeypatch.setattr(BottomUpPredictor, "maps", signaled)
    before = signal.getsignal(signal.SIGINT)
    ended = cairn("pics", "--out", "out", "--write", "csv,coco")
    assert ended.status == status
    assert "1 image, 1 person" in ended.stderr
    assert "interrupted" in ended.stderr
    assert len(json.loads((tmp_path / "out" / "cairn.coco.json").read_text())) == 1
    assert len((tmp_path / "out" / "cairn.csv").read_text().splitlines()) == 1 + 3
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="this system has no signals")
def test_second_signal_ends_the_run_at_once_without_partial_files(
    cairn: Cairn, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signaled(self: BottomUpPredictor, image: np.ndarray) -> object:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second signal was ignored")

    monkeypatch.setattr(BottomUpPredictor, "maps", signaled)
    assert cairn("pics", "--out", "out", "--write", "csv,coco").status == 130
    assert files(tmp_path / "out") == set()


@pytest.mark.skipif(os.name == "nt", reason="this system has no signals")
def test_terminated_program_leaves_complete_files(
    environment: dict[str, str], totem_model: Path, folder: Path, tmp_path: Path
) -> None:
    for i in range(300):
        (folder / f"again{i}.png").write_bytes((folder / "a.png").read_bytes())
    command = [sys.executable, "-m", "cairn", "detect", str(folder), "--model", str(totem_model)]
    command += ["--out", str(tmp_path / "out"), "--write", "csv,coco", "--json", "-"]
    # unbuffered: communicate() does not see what readline() has taken in beyond its line
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert running.stdout is not None
    running.stdout.readline()  # the first image is done
    running.terminate()
    stdout, stderr = running.communicate(timeout=240)
    assert running.returncode == 143
    assert len(stderr.splitlines()) == 1
    done = 1 + len(stdout.splitlines())
    assert f"{done} image".encode() in stderr
    assert len(json.loads((tmp_path / "out" / "cairn.coco-images.json").read_text())["images"]) == done
    assert files(tmp_path / "out") == {"cairn.csv", "cairn.coco.json", "cairn.coco-images.json"}


def test_closed_stdout_is_no_traceback(environment: dict[str, str], totem_model: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "cairn", "detect", str(folder), "--model", str(totem_model), "--json", "-"]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.close()
    _, stderr = running.communicate(timeout=240)
    assert running.returncode == 1
    assert stderr == b""


@pytest.mark.parametrize(("ahead", "most"), [(0, 1), (2, 18)])
def test_few_images_are_in_memory_at_a_time(
    cairn: Cairn, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, most: int
) -> None:
    """In turn, only the previous image is alive during inference; overlapped, as many as the queues hold."""
    alive: list[weakref.ref] = []
    maps = BottomUpPredictor.maps

    def counted(self: BottomUpPredictor, image: np.ndarray) -> object:
        assert sum(reference() is not None for reference in alive) <= most
        alive.append(weakref.ref(image))
        return maps(self, image)

    monkeypatch.setattr(BottomUpPredictor, "maps", counted)
    monkeypatch.setattr("cairn.inference.stream.queue_length", lambda threads: ahead)
    monkeypatch.setattr("cairn.api.detection.queue_length", lambda threads: ahead)
    for i in range(30):
        write_image(folder / f"more{i}.png", totems((240, 320), [(80, 120)]))
    ended = cairn("pics", "--draw", "--write", "json,csv,coco,openpose,parquet", "--out", "out")
    assert ended.status == 0
    assert len(alive) == 33


def test_help_lists_the_commands(capsys: pytest.CaptureFixture) -> None:
    for arguments, expected in ((["--help"], "detect"), (["--version"], "cairn "), (["detect", "--help"], "--write")):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out


def test_results_name_the_model(cairn: Cairn, photo: Path) -> None:
    assert json.loads(cairn("photo.png", "--json", "-").stdout)["model"] == SPEC.name
