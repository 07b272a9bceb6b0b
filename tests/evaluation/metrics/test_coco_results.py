"""COCO's own evaluation of the file of `cairn detect --write coco` gives the metrics of `cairn evaluate`."""

from pathlib import Path, PurePath

import numpy as np
import pytest

from cairn.datasets.labels import LabeledImage, Labels
from cairn.evaluation.metrics.oks import NAMES, library, oks_metrics
from cairn.media.names import ImageName
from cairn.results import Detections
from cairn.results.coco import CocoWriter, image_ids
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton

COCO17 = load_skeleton("coco17")
SIZE = (900, 900)
BODY = np.random.default_rng(4).uniform(-0.5, 0.5, (17, 2)) * [60, 160]


def case(seed: int, missing: float) -> tuple[Labels, list[Poses]]:
    """Three images of small, medium and large people, one of them a crowd, with thirty predictions, most of them near.

    missing: share of joints that are not detected.
    """
    rng = np.random.default_rng(seed)
    images, predictions = [], []
    for number in (139, 285, 632):
        count = 12
        scales = rng.choice([0.3, 0.6, 2.0], count)
        points = rng.uniform(200, 700, (count, 1, 2)) + BODY * scales[:, None, None]
        boxes = np.concatenate([points.min(axis=1), np.ptp(points, axis=1)], axis=1)
        visibility = rng.integers(0, 3, (count, 17)).astype(np.uint8)
        annotation = Annotation(
            keypoints=np.where(visibility[..., None] > 0, points, np.nan).astype(np.float32),
            visibility=visibility,
            boxes=boxes.astype(np.float32),
            areas=(0.53 * boxes[:, 2] * boxes[:, 3]).astype(np.float32),
            crowd=np.arange(count) == 0,
        )
        noise = rng.normal(0, 1, (count, 17, 2)) * scales[:, None, None] * rng.choice([1, 3, 8], (count, 1, 1))
        spurious = rng.uniform(100, 800, (18, 1, 2)) + BODY
        keypoints = np.concatenate([points + noise, spurious]).astype(np.float32)
        confidence = np.where(rng.random(keypoints.shape[:2]) < missing, 0, 0.9).astype(np.float32)
        confidence[:, 0] = 0.9
        scores = rng.permutation(len(keypoints)).astype(np.float32) / 100
        images.append(LabeledImage(number, Path(f"{number:012d}.jpg"), SIZE, annotation))
        keypoints = np.where(confidence[..., None] > 0, keypoints, np.nan).astype(np.float32)
        predictions.append(Poses(keypoints, confidence, scores, COCO17))
    return Labels(COCO17, tuple(images), np.ones(17, bool)), predictions


def official(labels: Labels, results: Path) -> dict[str, float]:
    """The library's evaluation with its own settings: sigmas, sizes, 20 predictions per image."""
    coco, evaluator = library()
    annotations = []
    for image in labels:
        rows = image.annotation
        for i in range(len(rows)):
            flat = np.concatenate([np.nan_to_num(rows.keypoints[i]), rows.visibility[i][:, None]], axis=1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.id,
                    "category_id": 1,
                    "keypoints": flat.ravel().tolist(),
                    "num_keypoints": int((rows.visibility[i] > 0).sum()),
                    "bbox": rows.boxes[i].tolist(),
                    "area": float(rows.areas[i]),
                    "iscrowd": int(rows.crowd[i]),
                }
            )
    images = [{"id": image.id, "height": SIZE[0], "width": SIZE[1]} for image in labels]
    categories = [{"id": 1, "name": "person"}]
    ground_truth = coco({"images": images, "categories": categories, "annotations": annotations})
    evaluation = evaluator(ground_truth, ground_truth.loadRes(str(results)), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {name: 100 * evaluation.stats_as_dict[key] for name, key in NAMES.items()}


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_file_has_the_metrics_of_the_evaluation(seed: int, missing: float, tmp_path: Path) -> None:
    labels, predictions = case(seed, missing)
    with CocoWriter(tmp_path, image_ids(image.path for image in labels)) as writer:
        for image, poses in zip(labels, predictions, strict=True):
            writer.write(Detections(ImageName(image.path, PurePath(image.path.stem)), SIZE, poses))
    ours, theirs = oks_metrics(labels, predictions), official(labels, tmp_path / "cairn.coco.json")
    assert 1 < theirs["AP"] < 99
    # The file has (0, 0) for keypoints that were not detected, and the library computes areas from them. This only
    # changes which false positives are medium and which are large.
    sizes = ("APM", "APL") if missing else ()
    for name in ours:
        if name not in sizes:
            assert ours[name] == pytest.approx(theirs[name], abs=1e-6), name


def test_twenty_predictions_per_image_count() -> None:
    labels, predictions = case(7, 0.0)
    whole = oks_metrics(labels, predictions)
    best = [poses[np.argsort(-poses.scores)[:20]] for poses in predictions]
    assert all(len(poses) == 30 for poses in predictions)
    assert oks_metrics(labels, best) == whole
    fewer = [poses[np.argsort(-poses.scores)[:10]] for poses in predictions]
    assert oks_metrics(labels, fewer)["AR"] < whole["AR"]
