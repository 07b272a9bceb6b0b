"""Label projects over HTTP: uploads, names, folders, versions; and trainings that cannot start."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
from fastapi.testclient import TestClient

from cairn.server.app import create_app
from cairn.server.file_lock import held
from cairn.server.problems import Problem
from cairn.server.settings import ServerSettings
from cairn.server.training_process import LOCK, ORDER

PNG = cv2.imencode(".png", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
ARROW = {"name": "arrow", "joints": ["tip", "tail"], "limbs": [["tip", "tail"]]}
LABELS = {"revision": 0, "labeled": True, "instances": [{"keypoints": [[3, 5, 2], [7, 8, 1]], "box": None}]}


def client_of(data: Path, **settings: object) -> TestClient:
    options = ServerSettings(data=data, workers=1, hosts=("testserver",), **settings)
    return TestClient(create_app(options), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(tmp_path_factory.mktemp("projects") / "data") as client:
        yield client


@pytest.fixture(scope="module")
def project(client: TestClient) -> str:
    """A project with one image."""
    created = client.post("/v1/projects", json={"name": "Arrows", "skeleton": ARROW})
    assert created.status_code == 201
    address = f"/v1/projects/{created.json()['id']}"
    added = client.post(f"{address}/images", files=[("image", ("one.png", PNG)), ("image", ("text.png", b"text"))])
    assert added.status_code == 201
    assert [image["name"] for image in added.json()["added"]] == ["one.png"]
    assert [error["name"] for error in added.json()["errors"]] == ["text.png"]
    return address


def test_a_project_lists_its_images(client: TestClient, project: str) -> None:
    found = client.get(project).json()
    assert [(each["name"], each["width"], each["height"]) for each in found["ordered"]] == [("one.png", 60, 40)]
    assert found["skeleton"]["joints"] == ["tip", "tail"]
    assert client.get(f"{project}/images/1/file").content == PNG


def test_labels_are_versioned(client: TestClient, project: str) -> None:
    address = f"{project}/images/1/labels"
    saved = client.put(address, json=LABELS)
    assert (saved.status_code, saved.json()["revision"]) == (200, 1)
    assert client.get(address).json() == saved.json()
    other = {**LABELS, "instances": []}
    refused = client.put(address, json=other)
    assert (refused.status_code, refused.json()["current"]["revision"]) == (409, 1)
    assert client.put(address, json={**other, "revision": 1}).json()["revision"] == 2
    versions = client.get(f"{project}/images/1/history").json()["versions"]
    assert [len(version["instances"]) for version in versions] == [0, 1]
    assert client.get(f"{project}/labels.json").json()["images"][0]["file_name"] == "00001_one.png"


@pytest.mark.parametrize("name", ["..", "%2e%2e", "ARROWS", "arrows%2f..%2farrows", "a" * 500, "%00", "%2e%2e%2fruns"])
def test_no_name_leaves_the_folder_of_projects(client: TestClient, project: str, name: str) -> None:
    for address in (f"/v1/projects/{name}", f"/v1/projects/{name}/images/1/file", f"/v1/trainings/{name}"):
        assert client.get(address).status_code == 404
    for address in (f"/v1/projects/{name}", f"/v1/trainings/{name}"):
        assert client.delete(address).status_code in (404, 405)
    files = {"image": ("a.png", PNG)}
    for part in ("images", "labels"):
        assert client.post(f"/v1/projects/{name}/{part}", files=files).status_code in (404, 405)
    assert client.get(project).status_code == 200


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        ("/etc/passwd", "no skeleton"),
        ("../skeleton.toml", "no skeleton"),
        ({"name": "none", "joints": []}, "at least one joint"),
        ({"name": "twice", "joints": ["a", "a"]}, "each name once"),
        ({"name": "limb", "joints": ["a"], "limbs": [["a", "b"]]}, "expected two of its joints"),
        ({"name": "many", "joints": [f"joint{i}" for i in range(500)]}, "200 keypoints"),
    ],
)
def test_skeletons_are_built_in_or_drawn(client: TestClient, skeleton: object, message: str) -> None:
    answer = client.post("/v1/projects", json={"name": "x", "skeleton": skeleton})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("number", [0, 2, -1, 10**30])
def test_unknown_images_are_404(client: TestClient, project: str, number: int) -> None:
    assert client.get(f"{project}/images/{number}/labels").status_code == 404


@pytest.mark.parametrize("x", ["1e999", "NaN", "-1", '"a"'])
def test_coordinates_are_numbers_in_the_image(client: TestClient, project: str, x: str) -> None:
    body = f'{{"revision": 9, "instances": [{{"keypoints": [[{x}, 5, 2], [7, 8, 1]]}}]}}'
    answer = client.put(f"{project}/images/1/labels", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_a_training_needs_finished_labels_and_a_known_model(client: TestClient, project: str) -> None:
    order = {"project": "arrows", "name": "arrows"}
    few = client.post("/v1/trainings", json=order)
    assert few.status_code == 422
    assert "finish 2 or more, then train" in few.json()["detail"]
    assert client.post("/v1/trainings", json={**order, "pretrained": "../x.onnx"}).status_code == 404
    assert client.post("/v1/trainings", json={**order, "project": "none"}).status_code == 404
    assert client.get("/v1/trainings").json() == {"trainings": []}


def test_a_folder_of_images_is_a_project_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "Photos"
    for name in ("b.png", "a.png", "notes.txt", "broken.png"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(PNG if name in ("a.png", "b.png") else b"text")
    before = sorted(path.name for path in folder.iterdir())
    with client_of(tmp_path / "data", labels=folder) as client:
        (found,) = client.get("/v1/projects").json()["projects"]
        address = f"/v1/projects/{found['id']}"
        images = client.get(address).json()["ordered"]
        assert sorted(image["name"] for image in images) == ["a.png", "b.png"]
        body = {"revision": 0, "labeled": True, "instances": [{"keypoints": [[1, 2, 2]] + [[0, 0, 0]] * 16}]}
        assert client.put(f"{address}/images/1/labels", json=body).status_code == 200
        assert client.post(f"{address}/images", files={"image": ("c.png", PNG)}).status_code == 422
    assert sorted(path.name for path in folder.iterdir()) == before
    with client_of(tmp_path / "data", labels=folder) as client:
        (again,) = client.get("/v1/projects").json()["projects"]
        assert (again["id"], again["labeled"]) == (found["id"], 1)


def new_project(client: TestClient, name: str) -> str:
    """Returns the address of a project with an image that has labels."""
    address = f"/v1/projects/{client.post('/v1/projects', json={'name': name, 'skeleton': ARROW}).json()['id']}"
    client.post(f"{address}/images", files={"image": ("one.png", PNG)})
    assert client.put(f"{address}/images/1/labels", json=LABELS).status_code == 200
    return address


def test_a_deleted_project_is_gone_and_the_others_stay(client: TestClient, project: str) -> None:
    address = new_project(client, "Short lived")
    labeling = client.app.state.labeling  # type: ignore[attr-defined]
    kept = labeling.projects.get("short-lived")
    answer = client.delete(address)
    assert answer.json() == {"detail": "Short lived is deleted with its 1 image and the labels of 1 image"}
    assert client.get(address).status_code == client.delete(address).status_code == 404
    assert client.put(f"{address}/images/1/labels", json=LABELS).status_code == 404
    with pytest.raises(Problem, match="was deleted"):
        kept.add("late.png", PNG, ".png", {"width": 60, "height": 40})
    assert not kept.folder.exists()
    assert client.get(project).status_code == 200
    again = new_project(client, "Short lived")
    assert (again, client.get(f"{again}/images/1/history").json()["versions"][0]["revision"]) == (address, 1)


def test_links_in_a_deleted_project_leave_what_they_point_to(client: TestClient, tmp_path: Path) -> None:
    address = new_project(client, "Linked")
    (tmp_path / "mine.png").write_bytes(PNG)
    folder = client.app.state.labeling.projects.get("linked").folder  # type: ignore[attr-defined]
    (folder / "images" / "elsewhere").symlink_to(tmp_path)
    assert client.delete(address).status_code == 200
    assert (tmp_path / "mine.png").read_bytes() == PNG
    assert not folder.exists()


def test_a_project_that_a_training_uses_is_not_deleted(client: TestClient) -> None:
    address = new_project(client, "Busy")
    trainings = client.app.state.trainings  # type: ignore[attr-defined]
    folder = trainings.folder / "busy"
    folder.mkdir(parents=True)
    (folder / ORDER).write_text(json.dumps({"project": "busy"}))
    with held(folder / LOCK):
        answer = client.delete(address)
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            "busy trains on the images of Busy: stop it first",
        )
    assert client.delete(address).status_code == 200
    shutil.rmtree(folder)


def test_a_full_disk_loses_no_labels_and_is_answered_507(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    address = new_project(client, "Full")
    follows = {**LABELS, "revision": 1, "instances": []}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        answer = client.put(f"{address}/images/1/labels", json=follows)
        assert (answer.status_code, "disk of the server is full" in answer.json()["detail"]) == (507, True)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        for part in ("images", "videos", "labels"):
            assert client.post(f"{address}/{part}", files={"file": ("b.png", PNG)}).status_code == 507
    assert client.get(f"{address}/images/1/labels").json()["revision"] == 1
    assert len(client.get(f"{address}/labels.json").json()["annotations"]) == 1
    assert client.put(f"{address}/images/1/labels", json=follows).json()["revision"] == 2
    assert len(client.get(address).json()["ordered"]) == 1


usage = shutil.disk_usage("/")


def test_uploads_to_projects_count_among_all_uploads(client: TestClient, project: str) -> None:
    server = client.app.state.server  # type: ignore[attr-defined]
    limits = server.settings.limits
    count = len(client.get(project).json()["ordered"])
    before, server.uploads = server.uploads, limits.uploads
    for part in ("images", "videos", "labels"):
        answer = client.post(f"{project}/{part}", files={"file": ("b.png", PNG)})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    server.uploads, server.upload_bytes = 1, limits.upload_bytes
    assert client.post(f"{project}/images", files={"file": ("b.png", PNG)}).status_code == 429
    server.uploads, server.upload_bytes = before, 0
    tiny = [("image", (f"{i}.png", b"x")) for i in range(1000)]
    answer = client.post(f"{project}/images", files=tiny)
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        f"the request has more than {limits.images} files: send several requests",
    )
    assert len(client.get(project).json()["ordered"]) == count
    assert (server.uploads, server.upload_bytes) == (0, 0)
    assert not list(client.app.state.labeling.scratch.folder.iterdir())  # type: ignore[attr-defined]


def test_names_of_uploads_stay_in_the_folder_of_images(client: TestClient) -> None:
    address = new_project(client, "Names")
    names = ("../../../evil.png", "/etc/passwd", "C:\\windows\\x.png", "a\0b.png", "ü" * 300 + ".png", ".hidden")
    added = client.post(f"{address}/images", files=[("image", (name, PNG)) for name in names]).json()["added"]
    assert [each["name"] for each in added][:3] == ["evil.png", "passwd", "x.png"]
    folder = client.app.state.labeling.projects.get("names").folder  # type: ignore[attr-defined]
    files = ["history.jsonl", "images", "images.jsonl", "labels.json", "project.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert len(list((folder / "images").iterdir())) == 7


def test_a_start_deletes_what_a_crash_left_of_uploads(tmp_path: Path) -> None:
    left = tmp_path / "data" / "scratch" / "1234"
    left.mkdir(parents=True)
    (left / "upload").write_bytes(b"half")
    with client_of(tmp_path / "data"):
        assert not left.exists()
