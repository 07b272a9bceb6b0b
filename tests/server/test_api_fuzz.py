"""Whatever is sent: never an error of the server, and every error is a problem of one line."""

import json
import logging
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.server.settings import Limits, ServerSettings
from support.served import served

EXPECTED = {400, 401, 403, 404, 405, 408, 413, 415, 421, 422, 429}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "..",
        "../..",
        "/etc/passwd",
        "%2e%2e%2f",
        "person",
        "\0",
        "true",
        "nan",
        "-1",
        "1e999",
        "",
        "json",
        "'; DROP",
    ]
)
NAMES = st.sampled_from(["model", "refine", "min_confidence", "format", "track", "draw", "limit", "image", "other"])
PARTS = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.binary(max_size=200)), max_size=4
)
RAW = st.lists(
    st.sampled_from(
        [b"--xx", b"--xx--", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data", b'; filename="a"', b"\0", b"\xff"]
    )
    | st.binary(max_size=10)
).map(b"".join)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    limits = Limits(image_bytes=2000, images=3, stall_seconds=5, open_jobs=3, stored_jobs=5)
    with (
        served(ServerSettings(data=tmp_path_factory.mktemp("server"), workers=1, limits=limits)) as (_, url),
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        log = logging.getLogger("cairn")
        level = log.level
        log.setLevel(logging.ERROR)
        yield client
        log.setLevel(level)


def check(answer):
    """Raises AssertionError for an answer that is neither right nor a problem."""
    if answer.status_code < 400:
        return
    assert answer.status_code in EXPECTED, (answer.status_code, answer.text, answer.request.url)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"].isprintable()
    assert "Traceback" not in answer.text


QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(
    path=st.sampled_from(["/v1/detect", "/v1/videos"]),
    query=st.lists(st.tuples(NAMES, TEXTS), max_size=4),
    parts=PARTS,
)
def test_forms(client, path, query, parts):
    files = [("image", (name, data)) for name, data in parts]
    check(client.post(path, params=query, files=files))


@QUICK
@given(
    path=st.sampled_from(["/v1/detect", "/v1/videos"]),
    body=RAW,
    kind=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
)
def test_bodies(client, path, body, kind):
    check(client.post(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=xx"}))
    check(client.post(path, content=body, headers={"Content-Type": kind}))


@QUICK
@given(
    method=st.sampled_from(["GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "POST"]),
    prefix=st.sampled_from(["/", "/v1/", "/v1/jobs/", "/v1/jobs/x/results/", "/swagger/", "/v1/models/", "/docs/"]),
    rest=TEXTS,
    query=st.lists(st.tuples(NAMES, TEXTS), max_size=3),
)
def test_addresses(client, method, prefix, rest, query):
    answer = client.request(method, prefix + quote(rest), params=query)
    if method != "HEAD":
        check(answer)
    assert answer.status_code < 500


@QUICK
@given(
    headers=st.dictionaries(
        st.sampled_from(["Host", "Origin", "Cookie", "Authorization", "Content-Length", "Range", "Sec-Fetch-Site"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
        max_size=3,
    )
)
def test_headers(client, headers):
    headers.pop("Content-Length", None)
    answer = client.get("/v1/jobs", headers=headers)
    if answer.headers.get("content-type") != "text/plain; charset=utf-8":  # not even HTTP
        check(answer)
    assert answer.status_code < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "skeleton", "joints", "limbs", "model", "project", "revision", "labeled", "instances", "keypoints", "box",
     "pretrained", "minutes", "epochs", "images", "annotations", "categories", "flip_pairs"]
)  # fmt: skip
BODIES = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=4) | JSON
IDS = st.sampled_from(["arrow", "none", "..", "%2e%2e%2f", "ARROW", "0", "1", "-1", "1e9", "%00", "a" * 300])


@pytest.fixture(scope="module")
def project(client):
    body = {"name": "arrow", "skeleton": {"name": "arrow", "joints": ["tip", "tail"]}}
    assert client.post("/v1/projects", json=body).status_code == 201


@QUICK
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    path=st.sampled_from(
        ["/projects", "/projects/{}", "/projects/{}/images/{}/labels", "/projects/{}/images/{}/history",
         "/projects/{}/suggestions", "/projects/{}/labels.json", "/trainings", "/trainings/{}", "/trainings/{}/stop",
         "/trainings/{}/resume", "/trainings/{}/validation/{}", "/skeletons"]
    ),
    ids=st.tuples(IDS, IDS),
    body=BODIES,
)  # fmt: skip
def test_projects_and_trainings(client, project, method, path, ids, body):
    try:
        content = json.dumps(body).encode("utf-8")
    except UnicodeEncodeError:
        return
    if method == "DELETE" and ids[0] == "arrow":
        return
    address = f"/v1{path.format(*ids)}"
    check(client.request(method, address, content=content, headers={"Content-Type": "application/json"}))


@QUICK
@given(name=TEXTS, body=BODIES | RAW, keypoints=TEXTS | st.just("labels"))
def test_label_files(client, project, name, body, keypoints):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    query = {"keypoints": keypoints} if keypoints else {}
    for suffix in (".json", ""):
        check(client.post("/v1/projects/arrow/labels", params=query, files={"labels": (name + suffix, data)}))


def test_the_description_is_valid_and_names_every_error_a_problem(client):
    schema = client.get("/openapi.json").json()
    assert {"/v1/detect", "/v1/videos", "/v1/jobs/{job_id}", "/v1/models", "/health", "/ready", "/metrics"} <= set(
        schema["paths"]
    )
    for path in schema["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], (operation["summary"], status)
