"""The queue is bounded, batches span requests, and a worker that dies takes its own requests along, no others."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from cairn.server.settings import Limits, ServerSettings
from support.served import run, served, wait_until


def settings(folder, workers=1, batch=4, batch_seconds=0.003, **limits):
    return ServerSettings(
        data=folder, workers=workers, batch=batch, batch_seconds=batch_seconds, limits=Limits(**limits)
    )


async def post(client, *images, **query):
    files = [("image", (f"{i}.jpg", data)) for i, data in enumerate(images)]
    return await client.post("/v1/detect", files=files, params=query)


def together(url, requests):
    """Returns the answers to requests that are sent at the same time."""

    async def all_of_them():
        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
            return await asyncio.gather(*(post(client, *images) for images in requests))

    return run(all_of_them())


def test_images_of_several_requests_share_batches(tmp_path):
    with served(settings(tmp_path, batch=8, batch_seconds=0.5)) as (server, url):
        answers = together(url, [[b"a" * i] for i in range(1, 9)])
        assert [answer.json()["length"] for answer in answers] == list(range(1, 9))
        sizes = server.metrics.batch_images.collect()[0].samples
        assert {s.name: s.value for s in sizes if not s.labels} | {} == pytest.approx(
            {"cairn_batch_images_sum": 8, "cairn_batch_images_count": 1} | created(sizes)
        )


def until(gate):
    """An image whose detection lasts until a file exists."""
    return f"until {gate}".encode()


def refused(server, number):
    """Whether so many requests were answered 429."""
    return lambda: server.metrics.requests.labels("POST", "/v1/detect", "429")._value.get() == number


@contextmanager
def opening(gate, condition):
    """Creates a file, in a thread, once a condition is true."""

    def wait():
        wait_until(condition)
        gate.touch()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


async def until_true(condition):
    while not condition():
        await asyncio.sleep(0.01)


def created(samples):
    return {s.name: s.value for s in samples if s.name.endswith("_created")}


def test_a_full_queue_answers_429_at_once_and_nothing_else(tmp_path):
    gate = tmp_path / "gate"
    with served(settings(tmp_path, batch=1, queue=4)) as (server, url), opening(gate, refused(server, 25)):
        answers = together(url, [[until(gate)]] * 30)
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) == 5  # one is in work, and four wait
        assert statuses.count(429) == 25
        first = next(answer for answer in answers if answer.status_code == 429)
        assert int(first.headers["retry-after"]) >= 1
        assert "the limit is 4" in first.json()["detail"]
        assert len(server.batches) == 0
        assert together(url, [[b"a"]])[0].status_code == 200


def test_what_runs_when_the_server_is_stopped_is_answered(tmp_path):
    gate = tmp_path / "gate"
    with ThreadPoolExecutor() as threads:
        with served(settings(tmp_path, batch=1)) as (server, url):
            asked = [threads.submit(together, url, [[until(gate)]]) for _ in range(3)]
            wait_until(lambda: len(server.batches) == 2)
            threads.submit(lambda: time.sleep(0.3) or gate.touch())
        assert [each.result()[0].status_code for each in asked] == [200] * 3


def test_a_request_of_more_images_than_the_queue_has_room_for_takes_none(tmp_path):
    with served(settings(tmp_path, queue=3)) as (server, url):
        assert together(url, [[b"a"] * 4])[0].status_code == 429
        assert len(server.batches) == 0


def test_a_dead_worker_answers_503_and_is_restarted(tmp_path):
    with served(settings(tmp_path, batch=1, workers=2)) as (server, url):
        answers = together(url, [[b"d"], [b"die"], [b"a"], [b"b"], [b"c"]])
        assert [answer.status_code for answer in answers] == [200, 503, 200, 200, 200]
        assert "died" in answers[1].json()["detail"]
        assert answers[1].headers["retry-after"] == "1"
        wait_until(lambda: server.pool.ready == 2)
        assert server.pool.restarts == 1
        assert together(url, [[b"a"]] * 4)[0].status_code == 200


def test_a_worker_that_is_killed_while_idle_is_restarted(tmp_path):
    with served(settings(tmp_path)) as (server, url):
        server.pool.workers[0].process.kill()
        wait_until(lambda: server.pool.restarts == 1 and server.pool.ready == 1)
        assert together(url, [[b"a"]])[0].status_code == 200


def test_a_worker_that_hangs_is_ended(tmp_path):
    with served(settings(tmp_path, request_seconds=2)) as (server, url):
        answer = together(url, [[until(tmp_path / "never")]])[0]
        assert (answer.status_code, answer.json()["detail"]) == (504, "no result within 2 seconds")
        wait_until(lambda: server.pool.restarts == 1 and server.pool.ready == 1)
        assert together(url, [[b"a"]])[0].status_code == 200


def test_images_of_a_client_that_leaves_are_not_detected(tmp_path):
    gate = tmp_path / "gate"
    with served(settings(tmp_path, batch=1)) as (server, url):

        async def leave():
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                first = asyncio.create_task(post(client, until(gate)))
                await until_true(lambda: server.uploads == 0 and server.batches.busy == 1)
                second = asyncio.create_task(post(client, b"a", b"b"))
                await until_true(lambda: len(server.batches) == 2)
                second.cancel()
                await until_true(lambda: len(server.batches) == 0)
                gate.touch()
                return await first

        assert run(leave()).status_code == 200
        assert server.metrics.images._value.get() == 1


def raw(url, head, *pieces, pause=0.0):
    """Sends bytes as they are; returns the first line and the rest of the answer."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(f"{head}\r\nHost: {host}:{port}\r\nConnection: close\r\n".encode())
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        except OSError:
            pass  # it was answered already
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.split(b"\r\n")[0].decode(), answer.decode()


POST = "POST /v1/detect HTTP/1.1"
FORM = b"Content-Type: multipart/form-data; boundary=xx\r\n"
PART = b'--xx\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    limits = {"image_bytes": 10_000, "images": 3, "stall_seconds": 0.3, "body_seconds": 1.0}
    with served(settings(tmp_path_factory.mktemp("server"), **limits)) as (_, url):
        yield url


def test_a_stalled_upload_is_answered_408(url):
    line, answer = raw(url, POST, FORM + b"Content-Length: 5000\r\n\r\n" + PART + b"abc")
    assert line == "HTTP/1.1 408 Request Timeout"
    assert "some bytes must arrive every 0.3 seconds" in answer


def test_a_trickling_upload_is_answered_408(url):
    pieces = [FORM + b"Content-Length: 5000\r\n\r\n" + PART, *[b"a"] * 12]
    assert raw(url, POST, *pieces, pause=0.1)[0] == "HTTP/1.1 408 Request Timeout"


def test_a_large_upload_is_answered_413(url):
    for declared in (b"Content-Length: 99000000\r\n\r\n", b"Content-Length: 60000\r\n\r\n"):
        line, answer = raw(url, POST, FORM + declared + PART + b"a" * 59_000)
        assert line.split()[1] == "413"
        assert "a file may have 0.01 MB at most" in answer
    chunk = b"2710\r\n" + b"a" * 10_000 + b"\r\n"
    start = b"%x\r\n%s\r\n" % (len(PART), PART)
    line, _ = raw(url, POST, FORM + b"Transfer-Encoding: chunked\r\n\r\n" + start, chunk, chunk, b"0\r\n\r\n")
    assert line.split()[1] == "413"


@pytest.mark.parametrize(
    ("kind", "body", "status", "expected"),
    [
        (b"image/jpeg", b"abc", 415, "expected a multipart form"),
        (b"multipart/form-data", b"abc", 415, "expected a multipart form"),
        (b"multipart/form-data; boundary=", b"abc", 415, "expected a multipart form"),
        (b"multipart/form-data; boundary=xx", b"", 400, "truncated"),
        (b"multipart/form-data; boundary=xx", b"--yy\r\n\r\nabc\r\n--yy--", 400, "damaged"),
        (b"multipart/form-data; boundary=xx", PART + b"abc", 400, "truncated"),
        (b"multipart/form-data; boundary=xx", b"--xx\r\nno header\r\n\r\n", 400, "damaged"),
        (b"multipart/form-data; boundary=xx", b"--xx--\r\n", 422, "the form has no file"),
        (
            b"multipart/form-data; boundary=xx",
            b'--xx\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc\r\n--xx--\r\n',
            422,
            "the form has no file",
        ),
        (
            b"multipart/form-data; boundary=xx",
            b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"a" * 5000 + b"\r\n--xx--\r\n",
            413,
            "a field of the form has more than 4096 bytes",
        ),
        (b"multipart/form-data; boundary=xx", (PART + b"a\r\n") * 4 + b"--xx--\r\n", 413, "more than 3 files"),
    ],
)
def test_damaged_forms_are_refused_in_one_line(url, kind, body, status, expected):
    head = b"Content-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    line, answer = raw(url, POST, head + body)
    assert line.split()[1] == str(status)
    assert expected in answer
    assert "application/problem+json" in answer


@pytest.mark.parametrize("limit", [{"uploads": 1}, {"upload_bytes": 5100}])
def test_too_many_uploads_at_once_are_answered_429(tmp_path, limit):
    with served(settings(tmp_path, **limit, stall_seconds=30)) as (server, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(f"{POST}\r\nHost: {host}\r\n".encode() + FORM + b"Content-Length: 5000\r\n\r\n" + PART)
            wait_until(lambda: server.uploads == 1)
            assert together(url, [[b"a"]])[0].status_code == 429
        wait_until(lambda: server.uploads == 0)
        assert together(url, [[b"a"]])[0].status_code == 200


def test_uploads_to_projects_that_stall_or_are_left_leave_nothing(tmp_path):
    with served(settings(tmp_path, stall_seconds=1.0)) as (server, url):
        assert httpx.post(f"{url}/v1/projects", json={"name": "x"}).status_code == 201
        host, port = url.removeprefix("http://").split(":")
        for part in ("images", "videos", "labels"):
            head = f"POST /v1/projects/x/{part} HTTP/1.1"
            body = FORM + b"Content-Length: 5000\r\n\r\n" + PART + b"abc"
            assert raw(url, head, body)[0] == "HTTP/1.1 408 Request Timeout"
            with socket.create_connection((host, int(port))) as left:
                left.sendall(f"{head}\r\nHost: {host}\r\n".encode() + body)
                wait_until(lambda: server.uploads == 1)
            wait_until(lambda: server.uploads == 0)
        assert not list((tmp_path / "scratch").iterdir())
        assert httpx.get(f"{url}/v1/projects/x").json()["ordered"] == []
