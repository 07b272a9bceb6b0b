"""What is planted in labels is named by a check; what is right passes without a word."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.checks.findings import Check, check
from cairn.datasets.checks.report import content, write_check
from cairn.datasets.labels import Labels
from cairn.errors import OutputError
from cairn.media.images import read_image, write_image
from cairn.structures.skeleton import Skeleton
from support.made_objects import BEAST, beasts, blots, labels_of, with_image


@pytest.fixture
def train(tmp_path: Path) -> Labels:
    (tmp_path / "train").mkdir()
    return labels_of(tmp_path / "train", beasts(40), BEAST, [blots(i) for i in range(40)])


@pytest.fixture
def val(tmp_path: Path) -> Labels:
    (tmp_path / "val").mkdir()
    return labels_of(tmp_path / "val", beasts(10, seed=1), BEAST, [blots(100 + i) for i in range(10)])


def found(result: Check) -> dict[str, str]:
    return {finding.kind: finding.line for finding in result.findings}


def test_right_labels_pass(train: Labels, val: Labels) -> None:
    result = check({"train": train, "val": val})
    assert result.status == 0
    assert set(found(result)) == {"few", "sigmas"} - {"few"}
    assert result.suspects == []


def test_a_leak_is_named_with_both_images_and_how_similar(train: Labels, val: Labels) -> None:
    write_image(val.images[3].path, np.roll(blots(7), 3, axis=0))  # a frame later
    write_image(val.images[5].path, blots(9))
    result = check({"train": train, "val": val})
    assert result.status == 1
    (leak,) = (finding for finding in result.findings if finding.kind == "leak")
    same, near = leak.cases
    assert (Path(same["train"]).name, Path(same["val"]).name, same["same"]) == ("p9x.png", "p5x.png", True)
    assert (Path(near["train"]).name, Path(near["val"]).name, near["same"]) == ("p7x.png", "p3x.png", False)
    assert 0.95 <= near["similarity"] < 1
    assert "2 of 10 images of val are in train too" in leak.line
    assert "p5x.png is p9x.png" in leak.line


def test_a_video_in_both_parts_is_named(train: Labels, val: Labels) -> None:
    shared = with_image(val, 2, groups=("video cage",))
    result = check({"train": with_image(train, 5, groups=("video cage", "subject 1")), "val": shared})
    assert result.status == 1
    assert "1 of 10 images of val are of a video or subject that train has: video cage" in found(result)["kin"]


def test_a_swap_and_an_outlier_are_named_in_whichever_set(train: Labels, val: Labels) -> None:
    mirrored = val.images[4].annotation
    mirrored.keypoints[0] = mirrored.keypoints[0][list(BEAST.flip_order)]
    astray = train.images[11].annotation
    astray.keypoints[0, 6] += [90, 0]
    result = check({"train": train, "val": val})
    assert result.status == 1
    swap, outlier = result.suspects
    assert (swap.kind, swap.set, swap.file) == ("swap", "val", "p4x.png")
    assert set(swap.joints) == {"left_ear", "right_ear", "left_paw", "right_paw"}
    assert (outlier.kind, outlier.set, outlier.file, outlier.joints) == ("outlier", "train", "p11x.png", ("tail",))
    assert "p4x.png: swap all of left and right?" in found(result)["swap"]
    assert "p11x.png: tail is " in found(result)["outlier"]


def test_images_that_are_missing_or_damaged_stop_training(train: Labels) -> None:
    train.images[0].path.unlink()
    train.images[1].path.write_bytes(train.images[1].path.read_bytes()[:200])
    result = check({"train": train})
    assert result.status == 2
    assert "1 of 40 images missing" in found(result)["missing"]
    assert "1 image cannot be read" in found(result)["unreadable"]
    assert "truncated" in found(result)["unreadable"]


def test_points_outside_other_sizes_doubles_and_bare_images(train: Labels) -> None:
    train.images[2].annotation.keypoints[0, 0] = [205, 10]
    train.images[3].annotation.visibility[:] = 0
    write_image(train.images[6].path, blots(5))
    result = check({"train": with_image(train, 4, size=(200, 640))})
    lines = found(result)
    assert "nose at 205, 10 of" in lines["outside"]
    assert "p4x.png is 200×200, by the labels 640×200" in lines["size"]
    assert "p5x.png = p6x.png" in lines["twice"]
    assert "1 image of 40 without a labeled joint" in lines["empty"]
    assert result.status == 1


def test_joints_without_labels_pairs_or_sigmas(tmp_path: Path) -> None:
    names = ("left ear", "right eye", "tail")
    points = beasts(30)[:, [1, 2, 6]]
    points[:, 1] = np.nan
    points[5:, 2] = np.nan
    labels = labels_of(tmp_path, points, Skeleton("odd", names), [blots(i) for i in range(30)])
    lines = found(check({"all": labels}))
    assert lines["unlabeled"] == "all: no label of right eye"
    assert lines["few"] == "all: fewer than 20 labels of tail (5)"
    assert "no two of them form a pair" in lines["flip"]
    assert "left ear, right eye, tail" in lines["sigmas"]


def test_the_report_says_all_and_needs_no_network(train: Labels, val: Labels, tmp_path: Path) -> None:
    train.images[11].annotation.keypoints[0, 6] += [90, 0]
    result = check({"<train>": train, "val": val})
    written = write_check(result, tmp_path / "out")
    assert [path.name for path in written] == ["check.json", "examples.jpg", "suspects.jpg", "check.html"]
    figures = json.loads(written[0].read_text())
    assert figures == json.loads(json.dumps(content(result)))
    assert figures["status"] == 1
    assert figures["sets"]["val"]["joints"]["nose"] == 10
    assert figures["suspects"][0]["file"] == "p11x.png"
    page = written[3].read_text()
    assert "p11x.png: tail is" in page
    assert "&lt;train&gt;" in page
    assert "<train>" not in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page
    assert read_image(written[2]).shape == (240, 960, 3)
    with pytest.raises(OutputError, match="is there already"):
        write_check(result, tmp_path / "out")
