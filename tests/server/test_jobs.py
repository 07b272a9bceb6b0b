"""Jobs survive every end of the server; videos become the files of `cairn detect`."""

import errno
import json
import shutil
import sqlite3

import httpx
import pytest
from starlette.testclient import TestClient

import cairn
from cairn.errors import CairnError
from cairn.media.video import write_video
from cairn.server.app import create_app
from cairn.server.job_process import run
from cairn.server.jobs import MAX_ATTEMPTS, JobStore
from cairn.server.problems import Problem
from cairn.server.settings import Limits, ServerSettings
from cairn.server.videos import stored_name
from support.fake_network import totems, write_totem_model
from support.served import served, wait_until

FRAMES = 6


def clip(path, size=(96, 128), frames=FRAMES):
    with write_video(path, size, 10.0) as writer:
        for i in range(frames):
            writer.write(totems(size, [(30 + 2 * i, 48)], 25))
    return path


def added(store, name="clip.mp4"):
    identity, folder = store.new_folder()
    (folder / name).write_bytes(b"video")
    return store.add(identity, name, {"model": "/models/totem.onnx"})


def ended(store):
    """Ends a store as kill -9 does: nothing is written any more, and the system frees the lock."""
    store.close()


def test_a_job_that_ran_when_the_server_was_killed_waits_again(tmp_path):
    store = JobStore(tmp_path)
    job, other = added(store), added(store)
    assert store.begin_next().id == job.id
    store.progress(job.id, 3, 10)
    store.finish(job.id, None, ["a warning"])
    assert store.begin_next().id == other.id
    ended(store)
    again = JobStore(tmp_path)
    assert (again.get(job.id).state, again.get(job.id).warnings) == ("done", ["a warning"])
    assert again.get(other.id).state == "queued"
    assert again.begin_next().id == other.id
    assert again.get(other.id).attempts == 2


def test_a_job_that_takes_the_server_along_is_given_up(tmp_path):
    store = JobStore(tmp_path)
    job = added(store)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert store.begin_next().attempts == attempt
        ended(store)
        store = JobStore(tmp_path)
    assert store.get(job.id).state == "failed"
    assert store.get(job.id).error == f"its process died {MAX_ATTEMPTS} times; the video may be damaged, or too large"
    assert store.begin_next() is None


def test_stopping_the_server_is_no_attempt(tmp_path):
    store = JobStore(tmp_path)
    job = added(store)
    for _ in range(2 * MAX_ATTEMPTS):
        store.begin_next()
        store.again(job.id, counts=False)
    assert store.get(job.id).state == "queued"


def test_an_upload_that_the_server_did_not_survive_is_deleted(tmp_path):
    store = JobStore(tmp_path)
    job = added(store)
    _, folder = store.new_folder()
    (folder / "upload").write_bytes(b"half")
    ended(store)
    store = JobStore(tmp_path)
    assert [each.name for each in store.folder.iterdir()] == [job.id]


def test_cancel_deletes_the_files_of_a_job_and_then_the_job(tmp_path):
    store = JobStore(tmp_path)
    job = added(store)
    assert store.cancel(job.id).state == "canceled"
    assert list(store.folder.iterdir()) == []
    store.finish(job.id, None, [])  # its process was faster
    assert store.get(job.id).state == "canceled"
    store.cancel(job.id)
    with pytest.raises(Problem, match="no job"):
        store.get(job.id)


def test_two_servers_on_one_folder_are_refused_in_one_line(tmp_path):
    store = JobStore(tmp_path)
    with pytest.raises(CairnError, match=r"another server uses the data folder .*: stop that one, or give another"):
        JobStore(tmp_path)
    ended(store)
    JobStore(tmp_path)


@pytest.mark.parametrize("content", [b"no database, but " * 200, b""])
def test_a_damaged_database_is_one_line(tmp_path, content):
    (tmp_path / "jobs.sqlite").write_bytes(content)
    if content:
        with pytest.raises(CairnError, match="cannot use the data folder"):
            JobStore(tmp_path)
    else:
        assert JobStore(tmp_path).newest(10) == []


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("clip.mp4", "clip.mp4"),
        ("My clip (1).MOV", "My_clip_1.mov"),
        ("../../etc/passwd", "passwd.video"),
        ("..", "video.video"),
        ("", "video.video"),
        ("frame_%05d.png", "frame__05d.png"),
        ("*.mp4", "video.mp4"),
        ("0", "0.video"),
        ("list.txt", "list.video"),
        ("a\0b.avi", "ab.avi"),
        ("http://x/y.mp4", "y.mp4"),
        (".hidden.mp4", "hidden.mp4"),
        ("ü" * 300 + ".mkv", "video.mkv"),
        ("results", "results.video"),
    ],
)
def test_stored_names_are_plain(name, stored):
    assert stored_name(name) == stored


VALUES = {
    "refine": None, "formats": ["json"], "draw": False, "track": True, "min_confidence": 0.0, "device": "cpu",
    "frames": 100, "pixels": 1_000_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_totem_model(tmp_path_factory.mktemp("models") / "totem.onnx")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("text.mp4", b"no video", "text.mp4 is not a video in a supported format"),
        ("empty.mp4", b"", "empty.mp4 is not a video in a supported format"),
        ("list.mp4", b"#EXTM3U\n/etc/passwd\n", "it is a playlist"),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video"),
        ("mpd.mp4", b"<?xml version='1.0'?><MPD></MPD>", "not a video"),
        ("sdp.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\n", "not a video"),
        ("half.mp4", b"\0\0\0\x20ftypisom\0\0\2\0" + b"\0" * 50, "half.mp4"),
        ("image.video", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1" * 2 + b"\0" * 30, "is an image"),
    ],
)
def test_what_is_no_video_fails_in_one_line(tmp_path, monkeypatch, model, name, content, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CairnError, match=expected) as caught:
        run({**VALUES, "file": name, "model": str(model)}, lambda done, total: None)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(("limit", "expected"), [({"frames": 3}, "more than 3 frames"), ({"pixels": 100}, "128×96")])
def test_long_and_large_videos_fail_in_one_line(tmp_path, monkeypatch, model, limit, expected):
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "clip.mp4")
    with pytest.raises(CairnError, match=expected):
        run({**VALUES, **limit, "file": "clip.mp4", "model": str(model)}, lambda done, total: None)


def test_a_video_becomes_the_files_of_detect(tmp_path, model):
    path = clip(tmp_path / "clip.mp4")
    cairn.detect(path, model=model, out=tmp_path / "own", write="json,openpose,csv", track=True, draw=False)
    settings = ServerSettings(data=tmp_path / "data", models=model.parent, workers=1)
    with served(settings) as (server, url):
        query = {"model": "totem", "track": True, "format": ["json", "openpose", "csv"]}
        answer = httpx.post(f"{url}/v1/videos", params=query, files={"video": ("clip.mp4", path.read_bytes())})
        job = answer.json()
        assert (answer.status_code, job["state"], job["options"]["model"]) == (202, "queued", "totem")
        address = f"{url}/v1/jobs/{job['id']}"
        wait_until(lambda: httpx.get(address).json()["state"] not in ("queued", "running"), 240)
        job = httpx.get(address).json()
        assert (job["state"], job["error"], job["warnings"]) == ("done", None, [])
        assert job["progress"] == {"done": FRAMES, "total": FRAMES}
        assert [each["name"] for each in job["results"]] == ["cairn.openpose.zip", "clip.cairn.csv", "clip.cairn.jsonl"]
        lines = httpx.get(url + job["results"][2]["url"]).text.splitlines()
        own = (tmp_path / "own" / "clip.cairn.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == [{**json.loads(line), "image": "clip.mp4"} for line in own]
        assert str(tmp_path) not in json.dumps(job)
        assert httpx.get(f"{url}/v1/jobs").json()["jobs"] == [job]
        assert httpx.get(f"{address}/results/clip.mp4").status_code == 404
        assert httpx.delete(address).status_code == 200
        assert httpx.get(address).status_code == 404
        assert list(server.jobs.folder.iterdir()) == []


@pytest.fixture
def client(tmp_path):
    """A server whose jobs do not run, and whose catalog is asked nothing."""
    app = create_app(ServerSettings(data=tmp_path, limits=Limits(open_jobs=2, stored_jobs=3, video_bytes=1000)))
    server = app.state.server

    async def key(name, refine, of_images):
        from cairn.server.batching import ModelKey

        return ModelKey(f"/models/{name}.onnx")

    server.catalog.key = key
    return TestClient(app, base_url="http://127.0.0.1")


def send(client, data=b"video"):
    return client.post("/v1/videos", files={"video": ("clip.mp4", data)})


def test_open_and_stored_jobs_are_limited(client):
    store = client.app.state.server.jobs
    first = send(client).json()
    assert send(client).status_code == 202
    answer = send(client)
    assert (answer.status_code, answer.json()["detail"]) == (429, "2 jobs wait or run already: try again later")
    store.begin_next()
    store.finish(first["id"], None, [])
    assert send(client).status_code == 202
    store.begin_next()
    assert send(client).status_code == 429
    for job in store.newest(10)[:2]:
        store.cancel(job.id)
    assert "3 jobs are stored" in send(client).json()["detail"]
    assert len(list(store.folder.iterdir())) == 1


def test_a_large_video_is_refused_and_leaves_nothing(client):
    answer = send(client, b"a" * 1001)
    assert answer.status_code == 413
    assert list(client.app.state.server.jobs.folder.iterdir()) == []


def test_a_full_disk_is_answered_507_and_leaves_nothing(client, monkeypatch):
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        answer = send(client)
        assert answer.status_code == 507
        assert answer.json()["detail"].startswith("the disk of the server is full")
    from cairn.server import body

    def full(self, data, start, end):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(body._Form, "_data", full)
        assert send(client).status_code == 507
    with monkeypatch.context() as patched:

        def no_row(*_):
            raise sqlite3.OperationalError("database or disk is full")

        patched.setattr(client.app.state.server.jobs, "add", no_row)
        assert send(client).status_code == 507
    assert list(client.app.state.server.jobs.folder.iterdir()) == []
    assert send(client).status_code == 202
