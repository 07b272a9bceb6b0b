"""A check reports planted errors, and nothing for correct labels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.checks.check import Check, check
from cairn.datasets.checks.report import content, write_check
from cairn.datasets.labels import Labels
from cairn.errors import OutputError
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from support.made_objects import ANIMAL, animals, labels_of, random_image, with_image


@pytest.fixture
def train(tmp_path: Path) -> Labels:
    (tmp_path / "train").mkdir()
    return labels_of(tmp_path / "train", animals(40), ANIMAL, [random_image(i) for i in range(40)])


@pytest.fixture
def val(tmp_path: Path) -> Labels:
    (tmp_path / "val").mkdir()
    return labels_of(tmp_path / "val", animals(10, seed=1), ANIMAL, [random_image(100 + i) for i in range(10)])


def lines_of(result: Check) -> dict[str, str]:
    return {finding.kind: finding.line for finding in result.findings}


def test_correct_labels_pass(train: Labels, val: Labels) -> None:
    result = check({"train": train, "val": val})
    assert result.status == 0
    assert set(lines_of(result)) == {"default_sigmas"}
    assert result.suspicious == []


def test_leakage_has_both_images_and_their_similarity(train: Labels, val: Labels) -> None:
    write_image(val.images[3].path, np.roll(random_image(7), 3, axis=0))  # as in the next frame
    write_image(val.images[5].path, random_image(9))
    result = check({"train": train, "val": val})
    assert result.status == 1
    (leakage,) = (finding for finding in result.findings if finding.kind == "leakage")
    identical, near = leakage.cases
    assert (Path(identical["train"]).name, Path(identical["val"]).name) == ("p9x.png", "p5x.png")
    assert identical["identical"]
    assert (Path(near["train"]).name, Path(near["val"]).name) == ("p7x.png", "p3x.png")
    assert not near["identical"]
    assert 0.95 <= near["similarity"] < 1
    assert "2 of 10 images of val are duplicates or near-duplicates of images of train" in leakage.line
    assert "p5x.png = p9x.png; p3x.png ~ p7x.png (0.9" in leakage.line


def test_a_video_in_both_splits_is_leakage(train: Labels, val: Labels) -> None:
    shared = with_image(val, 2, groups=("video cage",))
    result = check({"train": with_image(train, 5, groups=("video cage", "subject 1")), "val": shared})
    assert result.status == 1
    assert (
        "1 of 10 images of val belong to a video or subject that train has, too: video cage"
        in lines_of(result)["shared_groups"]
    )


def test_swaps_and_outliers_are_reported_in_any_set(train: Labels, val: Labels) -> None:
    swapped = val.images[4].annotation
    swapped.keypoints[0] = swapped.keypoints[0][list(ANIMAL.flip_order)]
    outlying = train.images[11].annotation
    outlying.keypoints[0, 6] += [90, 0]
    result = check({"train": train, "val": val})
    assert result.status == 1
    swap, outlier = result.suspicious
    assert (swap.kind, swap.set, swap.file) == ("swap", "val", "p4x.png")
    assert set(swap.joints) == {"left_ear", "right_ear", "left_paw", "right_paw"}
    assert (outlier.kind, outlier.set, outlier.file, outlier.joints) == ("outlier", "train", "p11x.png", ("tail",))
    assert "p4x.png: all left and right joints may be swapped (evidence" in lines_of(result)["swap"]
    assert "p11x.png: tail is " in lines_of(result)["outlier"]


def test_missing_and_damaged_images_are_errors(train: Labels) -> None:
    train.images[0].path.unlink()
    train.images[1].path.write_bytes(train.images[1].path.read_bytes()[:200])
    result = check({"train": train})
    assert result.status == 2
    assert "1 of 40 images missing" in lines_of(result)["missing"]
    assert "1 image cannot be read" in lines_of(result)["unreadable"]
    assert "truncated" in lines_of(result)["unreadable"]


def test_keypoints_outside_wrong_sizes_duplicates_and_unlabeled_images(train: Labels) -> None:
    train.images[2].annotation.keypoints[0, 0] = [205, 10]
    train.images[3].annotation.visibility[:] = 0
    write_image(train.images[6].path, random_image(5))
    result = check({"train": with_image(train, 4, size=(200, 640))})
    lines = lines_of(result)
    assert "nose at 205, 10 in" in lines["outside"]
    assert "p4x.png is 200×200, in the labels 640×200" in lines["size"]
    assert "p5x.png = p6x.png" in lines["duplicates"]
    assert "1 of 40 images without a labeled keypoint" in lines["unlabeled_images"]
    assert result.status == 2  # of the size


def test_joints_without_labels_flip_pairs_or_sigmas(tmp_path: Path) -> None:
    names = ("left ear", "right eye", "tail")
    points = animals(30)[:, [1, 2, 6]]
    points[:, 1] = np.nan
    points[5:, 2] = np.nan
    labels = labels_of(tmp_path, points, Skeleton("odd", names), [random_image(i) for i in range(30)])
    lines = lines_of(check({"all": labels}))
    assert lines["unlabeled_joints"] == "all: no labels of right eye"
    assert lines["few_labels"] == "all: fewer than 20 labels of tail (5)"
    assert "no two of them form a flip pair" in lines["flip_pairs"]
    assert "left ear, right eye, tail" in lines["default_sigmas"]


def test_the_report_has_all_findings_and_is_self_contained(train: Labels, val: Labels, tmp_path: Path) -> None:
    train.images[11].annotation.keypoints[0, 6] += [90, 0]
    result = check({"<train>": train, "val": val})
    written = write_check(result, tmp_path / "out")
    assert [path.name for path in written] == ["check.json", "examples.jpg", "suspicious.jpg", "check.html"]
    saved = json.loads(written[0].read_text())
    assert saved == json.loads(json.dumps(content(result)))
    assert saved["status"] == 1
    assert saved["sets"]["val"]["joints"]["nose"] == 10
    assert saved["suspicious_annotations"][0]["file"] == "p11x.png"
    page = written[3].read_text()
    assert "p11x.png: tail is" in page
    assert "&lt;train&gt;" in page
    assert "<train>" not in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page
    assert read_image(written[2]).shape == (240, 960, 3)
    with pytest.raises(OutputError, match="already exists"):
        write_check(result, tmp_path / "out")


def test_check_json_counts_all_cases_and_lists_the_first(train: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.datasets.checks.report.MAX_CASES", 3)
    for image in train.images[:5]:
        image.path.unlink()
    result = check({"train": train})
    (missing,) = (entry for entry in content(result)["findings"] if entry["kind"] == "missing")
    assert missing["count"] == 5
    assert [Path(case["image"]).name for case in missing["cases"]] == ["p0x.png", "p1x.png", "p2x.png"]
    assert len(next(entry for entry in result.findings if entry.kind == "missing").cases) == 5


def test_findings_of_many_instances_name_the_right_ones(train: Labels) -> None:
    """Some images have no instances, some several: tables of all instances must not shift."""
    images = []
    for number, image in enumerate(train):
        rows = Annotation.concatenate([image.annotation] * (number % 3)) if number % 3 else image.annotation[:0]
        rows = replace(rows, keypoints=rows.keypoints + np.arange(len(rows), dtype=np.float32)[:, None, None])
        images.append(replace(image, annotation=rows))
    images[5].annotation.keypoints[1, 2] = [-40, 3]
    images[8].annotation.keypoints[0, 6] = [3, 900]
    result = check({"train": replace(train, images=tuple(images))})
    (outside,) = (finding for finding in result.findings if finding.kind == "outside")
    assert [(Path(c["image"]).name, c["instance"], c["joint"], c["position"]) for c in outside.cases] == [
        ("p5x.png", 1, "right_ear", [-40, 3]),
        ("p8x.png", 0, "tail", [3, 900]),
    ]
    assert ("p8x.png", 0, "outlier") in {(entry.file, entry.row, entry.kind) for entry in result.suspicious}
    assert "14 of 40 images without a labeled keypoint" in lines_of(result)["unlabeled_images"]
    statistics = content(result)["sets"]["train"]
    assert (statistics["instances"], statistics["max_instances_per_image"]) == (39, 2)


def test_progress_names_both_tasks(train: Labels) -> None:
    read: list[int] = []
    compared: list[tuple[int, int]] = []
    check({"train": train}, read.append, comparing=lambda done, total: compared.append((done, total)))
    assert read[-1] == 40
    assert [done for done, _ in compared] == list(range(1, compared[0][1] + 1))
