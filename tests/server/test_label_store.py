"""Labels of a project: versions, COCO, and what a crash leaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")

from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.server.label_store import COCO, HISTORY, ImageLabels, LabeledInstance, LabelStore
from cairn.server.problems import Problem
from cairn.structures.skeleton import Skeleton

SKELETON = Skeleton("arrow", ("tip", "tail"), ((0, 1),))
SIZE = (40, 60)
RECORDS = {number: {"file_name": f"{number}.png", "width": 60, "height": 40} for number in (1, 2, 3)}


def labels(x: float, revision: int = 0, labeled: bool = True) -> ImageLabels:
    return ImageLabels(
        revision=revision, labeled=labeled, instances=[LabeledInstance(keypoints=[(x, 5, 2), (7, 8, 1)])]
    )


def test_saved_labels_are_there_after_a_restart(tmp_path: Path) -> None:
    saved = LabelStore(tmp_path, SKELETON).save(2, labels(3), SIZE)
    again = LabelStore(tmp_path, SKELETON)
    assert again.get(2) == saved
    assert (saved.revision, again.get(1).revision) == (1, 0)


def test_the_coco_file_reads_as_the_labels(tmp_path: Path) -> None:
    import numpy as np

    from cairn.media.images import write_image

    for record in RECORDS.values():
        write_image(tmp_path / "images" / record["file_name"], np.zeros((40, 60, 3), np.uint8))
    store = LabelStore(tmp_path, SKELETON)
    store.save(1, labels(3), SIZE)
    store.save(3, ImageLabels(labeled=True), SIZE)
    boxed = LabeledInstance(keypoints=[(0, 0, 0), (0, 0, 0)], box=(1, 2, 30, 20))
    store.save(2, ImageLabels(instances=[boxed, LabeledInstance(keypoints=[(0, 0, 0)] * 2)]), SIZE)
    store.write_coco(RECORDS)
    read = {image.id: image.annotation for image in read_labels(tmp_path / COCO)}
    assert read[1].keypoints.tolist() == [[[3, 5], [7, 8]]]
    assert read[1].visibility.tolist() == [[2, 1]]
    assert read[2].boxes.tolist() == [[1, 2, 30, 20]]
    assert len(read[3]) == 0
    finished = store.coco(RECORDS, finished=True)
    assert [image["id"] for image in finished["images"]] == [1, 3]


def test_the_box_around_keypoints_stays_in_the_image(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, SKELETON)
    store.save(1, ImageLabels(instances=[LabeledInstance(keypoints=[(0, 0, 2), (59, 39, 2)])]), SIZE)
    (row,) = store.coco(RECORDS)["annotations"]
    assert row["bbox"] == [0, 0, 60, 40]


def test_labels_that_follow_another_version_are_refused(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, SKELETON)
    store.save(1, labels(3), SIZE)
    with pytest.raises(Problem, match="changed elsewhere") as caught:
        store.save(1, labels(9), SIZE)
    assert caught.value.status == 409
    assert caught.value.values["current"]["revision"] == 1
    assert store.get(1).instances[0].keypoints[0][0] == 3
    assert store.save(1, labels(9, revision=1), SIZE).revision == 2


def test_the_same_labels_sent_again_are_one_version(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, SKELETON)
    first = store.save(1, labels(3), SIZE)
    assert store.save(1, labels(3), SIZE) == first
    assert len(store.history(1)) == 1


def test_every_version_is_in_the_history(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, SKELETON)
    for revision in range(3):
        store.save(1, labels(revision, revision), SIZE)
        store.save(2, labels(revision, revision), SIZE)
    assert [version.instances[0].keypoints[0][0] for version in store.history(1)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (LabeledInstance(keypoints=[(1, 1, 2)]), "1 keypoints: expected the 2"),
        (LabeledInstance(keypoints=[(70, 1, 2), (1, 1, 2)]), "tip of instance 1 is at 70, 1, outside"),
        (LabeledInstance(keypoints=[(1, 1, 2), (1, -2, 1)]), "tail of instance 1"),
        (LabeledInstance(keypoints=[(1, 1, 2), (1, 1, 1)], box=(1, 1, 0, 5)), "box of instance 1 is 0x5"),
    ],
)
def test_labels_that_do_not_fit_the_image_are_refused(tmp_path: Path, instance: LabeledInstance, message: str) -> None:
    store = LabelStore(tmp_path, SKELETON)
    with pytest.raises(Problem, match=message) as caught:
        store.save(1, ImageLabels(instances=[instance]), SIZE)
    assert caught.value.status == 422
    assert not (tmp_path / HISTORY).exists()


@pytest.mark.parametrize("left", [b"", b"{", b'{"image": 1, "labels": {"revision": 9', b"\x00" * 50])
def test_a_line_without_an_end_is_ignored_and_replaced(tmp_path: Path, left: bytes) -> None:
    store = LabelStore(tmp_path, SKELETON)
    store.save(1, labels(3), SIZE)
    with (tmp_path / HISTORY).open("ab") as file:
        file.write(left)
    again = LabelStore(tmp_path, SKELETON)
    again.save(1, labels(4, revision=1), SIZE)
    assert [version.revision for version in LabelStore(tmp_path, SKELETON).history(1)] == [2, 1]


def test_a_damaged_line_in_the_middle_is_reported(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text("{\n{}\n")
    with pytest.raises(LabelError, match=r"history\.jsonl: line 1 is damaged"):
        LabelStore(tmp_path, SKELETON)


SAVE_FOREVER = """
import sys
from pathlib import Path
from cairn.server.label_store import ImageLabels, LabeledInstance, LabelStore
from cairn.structures.skeleton import Skeleton

store = LabelStore(Path(sys.argv[1]), Skeleton("arrow", ("tip", "tail"), ((0, 1),)))
records = {1: {"file_name": "1.png", "width": 60, "height": 40}}
revision = store.get(1).revision
while True:
    instances = [LabeledInstance(keypoints=[(revision % 50, i % 30, 2), (7, 8, 1)]) for i in range(200)]
    revision = store.save(1, ImageLabels(revision=revision, labeled=True, instances=instances), (40, 60)).revision
    print(revision, flush=True)
    store.write_coco(records)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_amid_saving_loses_no_acknowledged_label(tmp_path: Path) -> None:
    acknowledged = 0
    for saves in (3, 12):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE_FOREVER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        for _ in range(saves):
            acknowledged = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        process.wait()
        store = LabelStore(tmp_path, SKELETON)
        assert store.get(1).revision >= acknowledged
        assert [each.revision for each in store.history(1)] == list(range(store.get(1).revision, 0, -1))
        json.loads((tmp_path / COCO).read_text())  # whole, of this version or the one before
