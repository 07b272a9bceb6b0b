"""Labels of files that are imported into projects: what is kept, what is said, and what no file can reach."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
from fastapi.testclient import TestClient

from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.server.app import create_app
from cairn.server.settings import Limits, ServerSettings

SIZE = (40, 60)
PNG = cv2.imencode(".png", np.full((*SIZE, 3), 90, np.uint8))[1].tobytes()
ARROW = {"name": "arrow", "joints": ["tip", "tail"], "limbs": [["tip", "tail"]]}
CATEGORY = {"id": 1, "name": "arrow", "keypoints": ["tip", "tail"], "skeleton": [[1, 2]]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    options = ServerSettings(
        data=tmp_path_factory.mktemp("import") / "data",
        workers=1,
        hosts=("testserver",),
        limits=Limits(label_bytes=9000),
    )
    with TestClient(create_app(options), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def project(client: TestClient) -> str:
    """A project with images a.png and b.png."""
    created = client.post("/v1/projects", json={"name": "Arrows", "skeleton": ARROW})
    address = f"/v1/projects/{created.json()['id']}"
    add_images(client, address, "a.png", "b.png")
    return address


def add_images(client: TestClient, address: str, *names: str) -> None:
    assert client.post(f"{address}/images", files=[("image", (name, PNG)) for name in names]).status_code == 201


def coco(*images: dict[str, Any], annotations: list[dict[str, Any]] | None = None, **category: Any) -> dict[str, Any]:
    rows = [{"id": i, "width": 60, "height": 40, **image} for i, image in enumerate(images, start=1)]
    if annotations is None:
        annotations = [{"image_id": row["id"], "keypoints": [3, 5, 2, 7, 8, 1]} for row in rows]
    rest = {"category_id": 1, "bbox": [1, 2, 10, 12], "area": 60, "iscrowd": 0}
    numbered = [{"id": i, **rest, **row} for i, row in enumerate(annotations, start=1)]
    return {"images": rows, "annotations": numbered, "categories": [{**CATEGORY, **category}]}


def send(client: TestClient, address: str, content: object, name: str = "labels.json", **query: str) -> Any:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(f"{address}/labels", params=query, files={"labels": (name, data)})


def labels_of(client: TestClient, address: str, image: int) -> dict[str, Any]:
    return client.get(f"{address}/images/{image}/labels").json()


def test_coco_labels_become_labels_of_the_images_of_the_same_name(client: TestClient, project: str) -> None:
    answer = send(client, project, coco({"file_name": "train/a.png"}, {"file_name": "C:\\data\\b.png"}))
    assert answer.status_code == 201
    assert (answer.json()["images"], answer.json()["instances"], answer.json()["skipped"]) == (2, 2, [])
    labels = labels_of(client, project, 1)
    assert (labels["labeled"], labels["revision"]) == (True, 1)
    assert labels["instances"] == [{"keypoints": [[3, 5, 2], [7, 8, 1]], "box": [1, 2, 10, 12]}]
    assert client.get(project).json()["labeled"] == 2


def test_what_a_project_exports_it_imports_again(client: TestClient, project: str) -> None:
    body = {"revision": 0, "instances": [{"keypoints": [[3.25, 5, 2], [7, 8, 1]], "box": [1, 1, 20, 20]}]}
    client.put(f"{project}/images/1/labels", json={**body, "labeled": True})
    client.put(f"{project}/images/2/labels", json={**body, "labeled": False})
    exported = client.get(f"{project}/labels.json").json()
    other = f"/v1/projects/{client.post('/v1/projects', json={'name': 'Again', 'skeleton': ARROW}).json()['id']}"
    add_images(client, other, *(image["file_name"] for image in exported["images"]))
    assert send(client, other, exported).json()["images"] == 2
    assert [labels_of(client, other, i)["labeled"] for i in (1, 2)] == [True, False]
    assert client.get(f"{other}/labels.json").json()["annotations"] == exported["annotations"]


@pytest.mark.parametrize("suffix", [".json", ".csv", ".xml"])
def test_other_formats_are_read_as_well(client: TestClient, project: str, tmp_path: Path, suffix: str) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "labels.json").write_text(json.dumps(coco({"file_name": "a.png"}, {"file_name": "b.png"})))
    target = tmp_path / f"written{suffix}"
    write_labels(read_labels(tmp_path / "labels.json"), target, *(["cvat"] if suffix == ".xml" else []))
    answer = send(client, project, target.read_bytes(), target.name)
    assert answer.status_code == 201, answer.text
    assert labels_of(client, project, 2)["instances"][0]["keypoints"] == [[3, 5, 2], [7, 8, 1]]


def test_names_that_no_file_can_have_are_matched_as_well(client: TestClient, project: str) -> None:
    long = "\N{ROCK}" * 110 + ".png"
    add_images(client, project, "..", long)
    assert send(client, project, coco({"file_name": long})).json()["images"] == 1
    assert labels_of(client, project, 4)["revision"] == 1


def test_labels_that_do_not_fit_are_named_and_the_others_are_imported(client: TestClient, project: str) -> None:
    client.put(f"{project}/images/2/labels", json={"revision": 0, "instances": []})
    add_images(client, project, "c.png", "d.png", "d.png", "e.png")
    rows = coco(
        *({"file_name": name} for name in ("a.png", "b.png")),
        {"file_name": "c.png", "width": 61},
        *({"file_name": name} for name in ("d.png", "elsewhere.png", "x/e.png", "y/e.png")),
    )
    answer = send(client, project, rows).json()
    assert answer["images"] == 1
    reasons = {each["name"]: each["detail"] for each in answer["skipped"]}
    assert reasons["b.png"] == "has labels already, which stay"
    assert reasons["c.png"] == "is 61x40 in the file, and 60x40 in the project"
    assert "is not in the project" in reasons["elsewhere.png"]
    assert "two of its images have this name" in reasons["d.png"]
    assert [labels_of(client, project, i)["revision"] for i in (1, 2, 3, 4, 5, 6)] == [1, 1, 0, 0, 0, 0]


def test_what_a_project_cannot_hold_is_said(client: TestClient, project: str) -> None:
    annotations = [
        {"image_id": 1, "keypoints": [3, 5, 2, 70, 8, 1], "track_id": 4},
        {"image_id": 1, "keypoints": [0] * 6, "iscrowd": 1},
    ]
    answer = send(client, project, coco({"file_name": "a.png"}, annotations=annotations)).json()
    assert labels_of(client, project, 1)["instances"][0]["keypoints"] == [[3, 5, 2], [0, 0, 0]]
    notes = " ".join(answer["notes"])
    for expected in ("track IDs", "regions of crowds are omitted: 1", "keypoints outside of their image"):
        assert expected in notes


def test_a_project_without_labels_takes_the_keypoints_of_the_file(client: TestClient, project: str) -> None:
    face = coco({"file_name": "a.png"}, keypoints=["left_eye", "right_eye"])
    refused = send(client, project, face)
    assert refused.status_code == 422
    assert "share none with skeleton arrow" in refused.json()["detail"]
    assert send(client, project, face, keypoints="labels").status_code == 201
    assert client.get(project).json()["skeleton"]["joints"] == ["left_eye", "right_eye"]
    again = send(client, project, face, keypoints="labels")
    assert (again.status_code, "has labels already" in again.json()["detail"]) == (422, True)
    body = {"revision": 0, "instances": [{"keypoints": [[3, 5, 2], [7, 8, 1]]}]}
    assert client.put(f"{project}/images/2/labels", json=body).status_code == 200


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("labels.json", b"", "labels.json is empty"),
        ("labels.json", b"{", "labels.json"),
        ("labels.json", b"[" * 8000, "labels.json"),
        ("labels.json", b'{"images": []}', "labels.json"),
        ("../../my labels.json", b"Dear Sir or Madam", "my_labels.json is in an unknown format"),
        (
            "labels.xml",
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>',
            "labels",
        ),
        ("data.yaml", b"path: /etc\nkpt_shape: [2, 3]\n", "not a label file that stands alone"),
        ("labels", b"{}", "not a label file that stands alone"),
        ("labels.pkl", b"\x80\x04.", "not a label file that stands alone"),
        ("labels.json", json.dumps(coco({"file_name": "z.png"})).encode(), "none is used: z.png is not in the project"),
    ],
)
def test_what_is_no_label_file_is_one_line(
    client: TestClient, project: str, name: str, content: bytes, expected: str
) -> None:
    answer = send(client, project, content, name)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    detail = answer.json()["detail"]
    assert expected in detail
    assert detail.isprintable()
    assert not any(text in detail for text in ("scratch", "/tmp", "Traceback", "root:"))


def test_a_large_label_file_is_refused(client: TestClient, project: str) -> None:
    assert send(client, project, b"a" * 9001).status_code == 413
    folder = client.app.state.labeling.scratch.folder  # type: ignore[attr-defined]
    assert list(folder.iterdir()) == []


def test_paths_of_the_server_are_names_and_nothing_is_learned_of_them(
    client: TestClient, project: str, tmp_path: Path
) -> None:
    there = tmp_path / "secret.png"
    there.write_bytes(PNG)
    texts = set()
    for path in (there, tmp_path / "absent.png", Path("/etc/passwd"), Path("/no such folder/x.png")):
        for size in ({}, {"width": None, "height": None}):
            answer = send(client, project, coco({"file_name": str(path), **size}))
            assert answer.status_code == 422
            texts.add((len(size), answer.json()["detail"].replace(path.name, "NAME").replace(str(path.parent), "")))
    assert len(texts) == 2
    linked = send(client, project, coco({"file_name": os.fspath(tmp_path / "a.png")}))
    assert linked.json()["images"] == 1  # by its name, as everywhere


def test_a_folder_of_the_user_takes_labels_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "a.png").write_bytes(PNG)
    options = ServerSettings(data=tmp_path / "data", workers=1, hosts=("testserver",), labels=folder)
    with TestClient(create_app(options)) as client:
        address = f"/v1/projects/{client.get('/v1/projects').json()['projects'][0]['id']}"
        assert send(client, address, coco({"file_name": "one/a.png"}), keypoints="labels").json()["images"] == 1
        assert client.get(address).json()["skeleton"]["joints"] == ["tip", "tail"]
        answer = client.delete(address)
        assert answer.json()["detail"].endswith("with the labels of 1 image; its images stay in their folder")
        assert client.get("/v1/projects").json()["projects"] == []
    assert [path.name for path in folder.rglob("*.png")] == ["a.png"]
    assert list((tmp_path / "data" / "projects").iterdir()) == []
