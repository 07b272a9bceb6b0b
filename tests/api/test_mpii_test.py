"""Predictions for MPII's test images in the form of its benchmark, read back as its evaluation reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="MATLAB files need scipy, which is in the train extra")

from scipy.io import loadmat

import cairn
from cairn.api.mpii_test import read_mpii_test
from cairn.datasets.reading import read_labels
from cairn.errors import CairnError, LabelError
from cairn.media.names import ImageName
from cairn.results.mpii import MULTI, SINGLE, MpiiWriter, TestImage, TestPerson, assigned, nearest_groups
from cairn.results.writer import Detections
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from support.ended import run_cairn
from support.matlab_files import save
from support.mpii_release import cell, column, make_release

MPII = load_skeleton("mpii16")
RNG = np.random.default_rng(0)


def poses(*centers: tuple[float, float], lacking: tuple[int, ...] = ()) -> Poses:
    """People of 16 joints around their centers, in pixels from 0."""
    offsets = np.random.default_rng(1).uniform(-10, 10, (16, 2))
    offsets[0], offsets[1] = (-10, -10), (10, 10)
    keypoints = np.array(centers, np.float32).reshape(-1, 1, 2) + offsets.astype(np.float32)
    keypoints[:, list(lacking)] = np.nan
    confidence = np.where(np.isnan(keypoints[..., 0]), 0, 0.5).astype(np.float32)
    return Poses(keypoints, confidence, np.full(len(centers), 0.5, np.float32), MPII)


def flattened(pred: np.ndarray, single: list[list[int]]) -> list[tuple[str, bool, np.ndarray]]:
    """What the evaluation of single people reads: a row for each annorect with an objpos; (name, evaluated, points)."""
    rows = []
    for image, evaluated in zip(pred.ravel(), single, strict=True):
        name = image["image"]["name"][0, 0].item()
        for number, rect in enumerate(image["annorect"].ravel(), start=1):
            if rect["objpos"].size == 0:
                continue
            points = np.full((16, 2), np.nan)
            if "annopoints" in rect.dtype.names and rect["annopoints"].size:
                for point in rect["annopoints"]["point"][0, 0].ravel():
                    points[int(point["id"].item())] = point["x"].item(), point["y"].item()
            rows.append((name, number in evaluated, points))
    return rows


def write(writer: MpiiWriter, found: dict[Path, Poses]) -> np.ndarray:
    with writer:
        for path, each in found.items():
            writer.write(Detections(ImageName(path, Path(path.name)), (100, 300), each))
    return np.asarray(loadmat(writer.path)["pred"])


def test_the_file_of_single_people_is_what_the_evaluation_reads(tmp_path: Path) -> None:
    test = read_mpii_test(make_release(tmp_path), multi=False)
    assert [path.name for path in test.paths] == ["one.jpg", "three.jpg"]
    one, three = test.paths
    predicted = {one: poses((58, 41), lacking=(3,)), three: poses((249, 39))}
    pred = write(MpiiWriter(tmp_path, test.images, multi=False), predicted)
    assert pred.shape == (1, 4)  # all test images, also those without people
    rows = flattened(pred, [[2], [], [3], []])
    assert [name for name, _, _ in rows] == ["one.jpg"] + ["three.jpg"] * 3 + ["four.jpg"] * 4
    evaluated = [points for _, is_single, points in rows if is_single]
    for points, own in zip(evaluated, predicted.values(), strict=True):
        np.testing.assert_allclose(points - 1, own.keypoints[0], atol=1e-5)  # NaN where not detected
    assert all(np.isnan(points).all() for _, is_single, points in rows if not is_single)
    second = pred[0, 0]["annorect"][0, 1]
    assert (second["scale"].item(), second["objpos"]["x"].item(), second["objpos"]["y"].item()) == (0.5, 60, 40)


def test_the_file_of_several_people_has_an_entry_for_each_group(tmp_path: Path) -> None:
    test = read_mpii_test(make_release(tmp_path), multi=True)
    assert [path.name for path in test.paths] == ["three.jpg", "four.jpg"]
    three, four = test.paths
    # Of three.jpg, the third person is single and not evaluated here; of four.jpg, the last pose is near no group.
    predicted = {three: poses((48, 40), (31, 40), (248, 40)), four: poses((245, 50), (29, 41), (150, 90))}
    pred = write(MpiiWriter(tmp_path, test.images, multi=True), predicted)
    assert pred.shape == (1, 3)
    names = [entry["image"]["name"][0, 0].item() for entry in pred.ravel()]
    counts = [entry["annorect"].size for entry in pred.ravel()]
    assert (names, counts) == (["three.jpg", "four.jpg", "four.jpg"], [2, 1, 1])
    point = pred[0, 0]["annorect"][0, 0]["annopoints"]["point"][0, 0]
    assert point.dtype.names == ("x", "y", "id", "score")
    assert point.size == 16
    np.testing.assert_allclose(
        [point[0, k]["x"].item() - 1 for k in range(16)], predicted[three].keypoints[0, :, 0], atol=1e-5
    )
    assert point[0, 0]["score"].item() == 0.5
    x = [
        float(np.mean([p["x"].item() for p in pred[0, i]["annorect"][0, 0]["annopoints"]["point"][0, 0].ravel()]))
        for i in (1, 2)
    ]
    assert abs(x[0] - 30) < 10
    assert abs(x[1] - 246) < 10


def test_images_without_results_have_no_predictions(tmp_path: Path) -> None:
    test = read_mpii_test(make_release(tmp_path), multi=False)
    pred = write(MpiiWriter(tmp_path, test.images, multi=False), {test.paths[1]: poses()})
    assert all(np.isnan(points).all() for _, _, points in flattened(pred, [[2], [], [3], []]))


def test_a_run_that_fails_writes_nothing(tmp_path: Path) -> None:
    test = read_mpii_test(make_release(tmp_path), multi=False)
    writer = MpiiWriter(tmp_path, test.images, multi=False)
    writer.write(Detections(ImageName(test.paths[0], Path("one.jpg")), (100, 300), poses((58, 41))))
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not writer.path.parent.exists()


def test_poses_go_to_the_nearest_people_where_some_are_not_detected() -> None:
    people = [TestPerson((101, 51), 1.0), TestPerson((11, 11), 1.0), TestPerson((201, 11), 1.0)]
    assert assigned(poses((11, 9), (99, 52)), people).tolist() == [1, 0]
    assert assigned(poses((1, 1), (2, 2), (3, 3)), people).tolist() == [0, 1, 2]  # one for each box, in order
    assert assigned(poses(), people).tolist() == []


def test_the_reach_of_a_group_is_half_the_height_of_its_people() -> None:
    image = TestImage("a", None, (TestPerson((100, 100), 0.5), TestPerson((200, 100), 0.5)), (), ((0, 1),))
    places = {(150, 149): 0, (150, 152): -1, (51, 100): 0, (45, 100): -1, (150, 100): 0}
    found = nearest_groups(poses(*[(x - 1, y - 1) for x, y in places]), image)
    assert found.tolist() == list(places.values())


def test_boxes_are_the_published_crops_of_the_evaluated_people(tmp_path: Path) -> None:
    test = read_mpii_test(make_release(tmp_path), multi=False)
    frame: Any = type("Frame", (), {"name": ImageName(test.paths[0], Path("one"))})
    np.testing.assert_allclose(test.boxes(frame), [[59 - 50, 39 + 7.5 - 50, 100, 100]])


@pytest.mark.parametrize(("model", "name"), [("person-single", SINGLE), ("person", MULTI)])
def test_detect_writes_the_file(tmp_path: Path, model: str, name: str, capsys: pytest.CaptureFixture) -> None:
    path = make_release(tmp_path)
    ended = run_cairn(
        capsys,
        "detect",
        str(path),
        "--model",
        model,
        "--threads",
        "1",
        "--write",
        "mpii",
        "--out",
        str(tmp_path / "out"),
    )
    assert ended.status == 0
    assert "does not predict upper_neck" in ended.stderr
    pred = loadmat(tmp_path / "out/cairn.mpii" / name)["pred"]
    assert pred.shape == ((1, 4) if name == SINGLE else (1, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("images", "--write", "mpii"), "give mpii_human_pose_v1_u12_1.mat as the source"),
        (("mpii.mat", "images", "--write", "mpii"), "stands for MPII's test images: give no other source"),
        (("mpii.mat", "--write", "mpii", "--boxes", "b.json"), "has the boxes of its people: omit boxes"),
        (("broken.mat", "--write", "mpii"), "broken.mat"),
        (("gt.mat", "--write", "mpii"), "give mpii_human_pose_v1_u12_1.mat as the source"),
        (
            ("alone/mpii.mat", "--model", "person", "--write", "mpii"),
            "needs alone/groups_v12.mat, of its evaluation kit",
        ),
        (
            ("other/mpii.mat", "--model", "person", "--write", "mpii"),
            "has groups of 2 images, and the annotations have 6",
        ),
        (("short/mpii.mat", "--model", "person-single", "--write", "mpii"), "as many annolist"),
        (("bare/mpii.mat", "--model", "person-single", "--write", "mpii"), "must be in images/ beside the file"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_release(tmp_path)
    (tmp_path / "broken.mat").write_bytes(path.read_bytes()[:500])
    save(tmp_path / "gt.mat", headboxes_src=np.zeros((2, 2, 3)))
    make_release(tmp_path / "alone", groups=False)
    make_release(tmp_path / "other")
    save(tmp_path / "other/groups_v12.mat", groups=cell([cell([column(1)])] * 2))
    make_release(tmp_path / "short")
    release = {name: loadmat(path)["RELEASE"][0, 0][name] for name in ("annolist", "img_train", "single_person")}
    save(tmp_path / "short/mpii.mat", RELEASE=release | {"img_train": np.array([[1, 0]])})
    make_release(tmp_path / "bare")
    for file in (tmp_path / "bare/images").iterdir():
        file.unlink()
    ended = run_cairn(capsys, "detect", "--threads", "1", "--out", "out", *arguments)
    lines = [line for line in ended.stderr.splitlines() if "does not predict" not in line]
    assert ended.status == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_model_without_joints_of_mpii_is_an_error(tmp_path: Path) -> None:
    from cairn.api.mpii_test import missing_joints

    with pytest.raises(CairnError, match="none of which is a joint of MPII"):
        missing_joints(load_skeleton("face5"))
    assert missing_joints(MPII) == []


def test_the_test_images_are_not_read_as_labels(tmp_path: Path) -> None:
    path = make_release(tmp_path)
    labels = read_labels(path)
    assert [image.path.name for image in labels] == ["train1.jpg"]
    with pytest.raises(LabelError):
        cairn.evaluate("person-single", path, split="test")
