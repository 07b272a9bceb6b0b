"""PCKh from MPII's published ground truth, whatever the labels; and what pytorch-pose's records state beside."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="reading .mat files needs scipy, which is in the train extra")

import cairn
from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.mpii.ground_truth import NAMES as JOINTS
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.splits import training_splits
from cairn.errors import LabelError
from cairn.evaluation.keypoint_metrics import measure_pck
from cairn.evaluation.pairing import Pairs
from cairn.evaluation.protocols import PROTOCOLS
from support.matlab_files import images, save

FILES = tuple(f"{i:09d}.jpg" for i in range(12))
HIDDEN = 0.2


class People:
    """N people in the frame of MPII (pixels from 1), some joints missing, several people in some images."""

    def __init__(self, count: int = 30, seed: int = 0, hidden: float = HIDDEN) -> None:
        rng = np.random.default_rng(seed)
        self.count = count
        self.names = [FILES[i] for i in np.sort(rng.integers(0, len(FILES), count))]
        centers = rng.uniform(100, 500, (count, 1, 2))
        self.joints = np.round(centers + rng.uniform(-60, 60, (count, 16, 2)), 4)
        self.missing = rng.random((count, 16)) < hidden
        self.joints[self.missing] = 0
        self.corners = rng.uniform(0, 100, (2, 2, count))
        self.predicted = self.joints + rng.normal(0, 12, self.joints.shape)

    def ground_truth(self, path: Path, **others: Any) -> Path:
        content = {
            "pos_gt_src": self.joints.transpose(1, 2, 0),
            "jnt_missing": self.missing.T.astype(np.uint8),
            "headboxes_src": self.corners,
            "dataset_joints": np.array([[np.array([name]) for name in JOINTS]], object),
        }
        return save(path, **{key: value for key, value in (content | others).items() if value is not None})

    def published(self, people: np.ndarray) -> tuple[float, float]:
        """PCKh@0.5 as the released script computes it: weighted by the number of joints, and the plain mean."""
        visible = 1.0 - self.missing[people].T
        errors = np.linalg.norm(
            self.predicted[people].transpose(1, 2, 0) - self.joints[people].transpose(1, 2, 0), axis=1
        )
        heads = np.linalg.norm(self.corners[1] - self.corners[0], axis=0)[people] * 0.6
        counts = visible.sum(axis=1)
        pckh = 100 * ((errors / heads * visible <= 0.5) * visible).sum(axis=1) / counts
        measured = np.delete(np.arange(16), [6, 7])
        return float((pckh * counts)[measured].sum() / counts[measured].sum()), float(pckh[measured].mean())

    def hrnet(self, i: int) -> dict[str, Any]:
        return {"image": self.names[i], "joints": self.joints[i].tolist(), "center": [300.0, 300.0], "scale": 1.0,
                "joints_vis": (~self.missing[i]).astype(int).tolist()}  # fmt: skip

    def bearpaw(self, i: int, validation: bool, others: Any = ()) -> dict[str, Any]:
        table = np.concatenate([np.round(self.joints[i], 3), (~self.missing[i]).astype(float)[:, None]], axis=1)
        return {
            "dataset": "MPI", "isValidation": float(validation), "img_paths": self.names[i], "img_width": 640.0,
            "img_height": 600.0, "objpos": [300.0, 300.0], "joint_self": table.tolist(), "scale_provided": 1.0,
            "annolist_index": float(i), "people_index": 1.0, "numOtherPeople": float(len(others)),
            "joint_others": others,
        }  # fmt: skip


def measured(labels: Labels, people: People) -> tuple[float, float]:
    """Cairn's PCKh of the same predictions, found by the people's joints."""
    annotation = labels.instances.annotation
    rows = []
    for points in annotation.keypoints:
        distance = np.linalg.norm(people.joints - 1 - points, axis=2)
        rows.append(int(np.nanmedian(np.where(people.missing, np.nan, distance), axis=1).argmin()))
    predicted = (people.predicted[rows] - 1).astype(np.float32)
    pairs = Pairs(annotation, predicted, np.arange(len(annotation)), labels.skeleton)
    values = [measure_pck(pairs, PROTOCOLS["mpii"], None, mean).value for mean in ("pooled", "joints")]  # type: ignore[arg-type]
    return values[0], values[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "annot").mkdir()
    (tmp_path / "images").mkdir()
    images(tmp_path / "images", FILES, (600, 640))
    return tmp_path / "annot"


@pytest.mark.parametrize("names", [("valid.json", "gt_valid.mat"), ("mpii_val.json", "mpii_gt_val.mat")])
@pytest.mark.parametrize("shuffled", [False, True])
def test_pckh_of_hrnets_files_is_that_of_the_published_script(
    folder: Path, names: tuple[str, str], shuffled: bool
) -> None:
    people = People()
    order = np.random.default_rng(1).permutation(people.count) if shuffled else np.arange(people.count)
    (folder / names[0]).write_text(json.dumps([people.hrnet(i) for i in order]))
    people.ground_truth(folder / names[1])
    labels = read_labels(folder / names[0])
    np.testing.assert_allclose(measured(labels, people), people.published(np.arange(people.count)), rtol=1e-9)


def test_pckh_of_pytorch_poses_file_with_the_file_given(folder: Path) -> None:
    people = People()
    val = np.arange(0, people.count, 3)
    val_images = {people.names[i] for i in val}
    records = [
        people.bearpaw(i, i in val) for i in range(people.count) if i in val or people.names[i] not in val_images
    ]
    (folder / "mpii_annotations.json").write_text(json.dumps(records))
    chosen = People()
    chosen.joints, chosen.missing = people.joints[val], people.missing[val]
    chosen.corners = people.corners[..., val]
    gt = chosen.ground_truth(folder / "detections_our_format.mat")
    labels = read_labels(folder / "mpii_annotations.json", ReadOptions(gt=gt, split="val"))
    np.testing.assert_allclose(measured(labels, people), people.published(val), rtol=1e-9)
    assert all(image.size == (600, 640) for image in labels)
    both = read_labels(folder / "mpii_annotations.json", ReadOptions(gt=gt))
    heads = both.of_split("train").instances.annotation.heads
    assert len(both.of_split("train"))
    assert not np.isfinite(heads).any()
    converted = cairn.convert(folder / "mpii_annotations.json", folder / "val.coco.json", split="val", gt=gt)
    again = read_labels(converted.target)
    np.testing.assert_allclose(measured(again, people), people.published(val), rtol=1e-6)


@pytest.mark.parametrize("shift", [0.0, -0.6, 1.0])
def test_rounded_labels_are_the_same_people(folder: Path, shift: float) -> None:
    """Ports drop the fraction of a joint, or count from 0: the published joints are measured nevertheless."""
    people = People()
    records = [people.hrnet(i) for i in range(people.count)]
    for record in records:
        table = np.array(record["joints"])
        table[table.any(axis=1)] = np.floor(table[table.any(axis=1)] + shift)
        record["joints"] = table.tolist()
    (folder / "own.json").write_text(json.dumps(records))
    labels = read_labels(folder / "own.json", ReadOptions(gt=people.ground_truth(folder / "gt.mat")))
    np.testing.assert_allclose(measured(labels, people), people.published(np.arange(people.count)), rtol=1e-9)


def test_a_joint_that_only_the_ground_truth_has_is_measured(folder: Path) -> None:
    """Of one published person, four joints are at (0, 0) and not missing."""
    people = People()
    shown = np.flatnonzero(~people.missing[4])[:3]
    people.joints[4, shown] = 0
    records = [people.hrnet(i) for i in range(people.count)]
    (folder / "valid.json").write_text(json.dumps(records))
    people.ground_truth(folder / "gt_valid.mat")
    labels = read_labels(folder / "valid.json")
    counts = int((labels.instances.annotation.visibility > 0).sum())
    assert counts == int((~people.missing).sum())


def test_one_person_is_enough(folder: Path) -> None:
    people = People(1, hidden=0)
    (folder / "valid.json").write_text(json.dumps([people.hrnet(0)]))
    people.ground_truth(folder / "gt_valid.mat")
    np.testing.assert_allclose(measured(read_labels(folder / "valid.json"), people), people.published(np.arange(1)))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"headboxes_src": None}, "expected headboxes_src"),
        ({"headboxes_src": np.zeros((2, 3, 30))}, r"headboxes_src must be \(2, 2, 'N'\) numbers"),
        ({"jnt_missing": np.zeros((14, 30))}, r"jnt_missing must be \(16, 'N'\)"),
        ({"jnt_missing": None}, "jnt_missing must be"),
        ({"headboxes_src": np.zeros((2, 2, 29))}, "must be of as many people, got 29, 30 and 30"),
        ({"dataset_joints": np.array([["a"] * 16], object)}, "dataset_joints must be rank rkne"),
        ({"pos_gt_src": None}, "has no pos_gt_src, by which the people"),
    ],
)
def test_ground_truth_of_another_version_is_one_line(folder: Path, others: dict[str, Any], message: str) -> None:
    people = People()
    (folder / "own.json").write_text(json.dumps([people.hrnet(i) for i in range(people.count)]))
    with pytest.raises(LabelError, match=message) as raised:
        read_labels(folder / "own.json", ReadOptions(gt=people.ground_truth(folder / "gt.mat", **others)))
    assert "\n" not in str(raised.value)


def test_ground_truth_of_other_people_is_an_error(folder: Path) -> None:
    people = People()
    (folder / "own.json").write_text(json.dumps([people.hrnet(i) for i in range(people.count)]))
    gt = People(seed=9).ground_truth(folder / "gt.mat")
    with pytest.raises(LabelError, match=r"0 of the 30 people of .*gt\.mat are in the labels"):
        read_labels(folder / "own.json", ReadOptions(gt=gt))
    gt.write_bytes(gt.read_bytes()[:300])
    with pytest.raises(LabelError, match=r"gt\.mat is damaged"):
        read_labels(folder / "own.json", ReadOptions(gt=gt))
    content = {"images": [], "annotations": [], "categories": []}
    (folder / "coco.json").write_text(json.dumps(content))
    with pytest.raises(LabelError):
        read_labels(folder / "coco.json", ReadOptions(gt=gt))


@pytest.mark.parametrize("form", ["list", "one table", "without center"])
def test_other_people_are_kept_without_keypoints_and_once(folder: Path, form: str) -> None:
    people = People()
    people.names = [FILES[0], FILES[0], FILES[0], *[FILES[1]] * 27]
    other = np.concatenate([people.joints[2], np.ones((16, 1))], axis=1).tolist()
    record_of_other = np.concatenate([people.joints[1], np.ones((16, 1))], axis=1).tolist()
    places = {"objpos_other": [[310.0, 320.0], [5.0, 5.0]], "scale_provided_other": [1.5, 2.0]}
    records = [
        people.bearpaw(0, True, [other, record_of_other]) | (places if form == "list" else {}),
        people.bearpaw(1, True, [other]) | ({"objpos_other": [310.0, 320.0], "scale_provided_other": 1.5}),
        people.bearpaw(3, False, []),
    ]
    if form == "one table":
        records[0]["joint_others"] = other
        records[0] |= {"objpos_other": [310.0, 320.0], "scale_provided_other": 1.5}
        records[1]["joint_others"] = None
    if form == "without center":
        del records[1]["objpos_other"]
    (folder / "mpii_annotations.json").write_text(json.dumps(records))
    labels = read_labels(folder / "mpii_annotations.json", ReadOptions(problems=Problems()))
    (first, second) = labels
    assert first.annotation.labeled.tolist() == [True, True, False]
    assert (first.split, second.split, len(second.annotation)) == ("val", "train", 1)
    x, y, width, height = first.annotation.boxes[2].tolist()
    if form == "without center":  # the box of the joints
        labeled = people.joints[2][~people.missing[2]] - 1
        np.testing.assert_allclose((x, y), labeled.min(axis=0), rtol=1e-5)
    else:
        np.testing.assert_allclose((x + width / 2, y + height / 2, width), (309, 319 + 15 * 1.5, 300), rtol=1e-6)
    train, val = training_splits(labels, "x")
    assert (len(train), len(val)) == (1, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("others", ["x", [[1, 2]], [[[1, "a", 0]] * 16], {"a": 1}, 7])
def test_other_people_in_an_unknown_form_are_ignored(folder: Path, others: Any) -> None:
    people = People(3)
    record = people.bearpaw(0, True, ()) | {"joint_others": others}
    (folder / "mpii_annotations.json").write_text(json.dumps([record]))
    assert len(read_labels(folder / "mpii_annotations.json").images[0].annotation) == 1
