"""Who is answered: the token, the names of the server, other web sites; and what every answer has."""

import asyncio
import json

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from cairn.errors import CairnError
from cairn.server.app import create_app
from cairn.server.settings import Limits, ServerSettings

TOKEN = "correct horse battery"
OPEN = {"/health", "/ready"}


def client_of(folder, **values):
    """A client of an application whose workers never start: nothing here needs one."""
    app = create_app(ServerSettings(data=folder, **values))
    base = "http://cairn.lab:8000" if values.get("host") else "http://127.0.0.1:8000"
    return TestClient(app, base_url=base, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def public(tmp_path):
    return client_of(tmp_path, host="0.0.0.0", token=TOKEN)


@pytest.fixture
def local(tmp_path):
    return client_of(tmp_path)


PATHS = ["/", "/docs", "/openapi.json", "/metrics", "/v1/jobs", "/v1/jobs/x", "/swagger/start.js", "/nothing", "//"]


@pytest.mark.parametrize("path", PATHS)
def test_every_address_but_the_probes_needs_the_token(public, path):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer \u00fc".encode()},
        {"Cookie": f"cairn_token={TOKEN}"},
        {"Cookie": "cairn_token="},
        {"Cookie": ";;=,"},
    ):
        answer = public.get(path, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    assert public.get(path, headers={"Authorization": f"bearer {TOKEN}"}).status_code in (200, 404)


def test_probes_need_no_token(public):
    assert public.get("/health").json()["status"] == "ok"
    assert public.get("/ready").status_code == 503  # no worker runs here


def test_the_address_with_the_token_leaves_a_cookie_and_no_trace_of_the_token(public):
    answer = public.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert public.get("/v1/jobs").status_code == 200  # the client keeps cookies
    public.cookies.clear()
    assert public.get("/", params={"token": "wrong"}).status_code == 401
    assert public.get("/v1/jobs", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("localhost:8000.evil.example", 421),
        ("", 421),
    ],
)
def test_names_of_others_are_refused_on_the_loopback(local, host, status):
    assert local.get("/v1/jobs", headers={"Host": host}).status_code == status


def test_further_names_are_those_that_are_allowed(tmp_path):
    client = client_of(tmp_path, hosts=("pose.lab",))
    assert client.get("/v1/jobs", headers={"Host": "pose.lab"}).status_code == 200
    assert client.get("/v1/jobs", headers={"Host": "other.lab"}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:8000"}, 404),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 404),
    ],
)
def test_requests_of_other_web_sites_are_refused(local, headers, status):
    assert local.delete("/v1/jobs/x", headers=headers).status_code == status


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}])
def test_streams_of_other_web_sites_are_refused(local, headers):
    with pytest.raises(WebSocketDisconnect), local.websocket_connect("/v1/stream", headers=headers):
        pass


def test_streams_need_the_token(public):
    with pytest.raises(WebSocketDisconnect), public.websocket_connect("/v1/stream"):
        pass


@pytest.mark.parametrize("path", ["/", "/health", "/nothing", "/v1/jobs", "/docs"])
def test_every_answer_has_the_headers(local, path):
    headers = local.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not any(name.startswith("access-control") for name in headers)


def test_no_page_loads_anything_from_elsewhere(local):
    page = local.get("/docs").text
    assert "https://" not in page
    for path in ("/swagger/swagger-ui-bundle.js", "/swagger/swagger-ui.css", "/swagger/start.js"):
        assert path in page
        assert local.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../settings.py",
        "/..%2fsettings.py",
        "/%2e%2e/settings.py",
        "/....//settings.py",
        "/..\\settings.py",
        "/static/../../app.py",
        "/swagger/..%2f..%2fapp.py",
        "/%00",
        "/index.html%00.png",
        "/v1/jobs/..%2f..%2fjobs.sqlite",
        "/v1/jobs/../../../etc/passwd",
        "/v1/jobs/x/results/..%2f..%2fjobs.sqlite",
        "/v1/jobs/x/results/%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out(tmp_path, path):
    """Sent as it is: clients would resolve the dots."""
    app = create_app(ServerSettings(data=tmp_path))
    messages = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        messages.append(message)

    raw = path.encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": httpx.URL(f"http://x{path}").path if "%" in path else path, "raw_path": raw, "query_string": b"",
        "root_path": "", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert messages[0]["status"] in (404, 405)
    body = json.loads(messages[1]["body"])
    assert set(body) == {"type", "title", "status", "detail"}
    assert str(tmp_path) not in body["detail"]


def test_an_unexpected_error_is_answered_without_its_traceback(local, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(local.app.state.server.jobs, "newest", fail)
    answer = local.get("/v1/jobs")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"host": "0.0.0.0"}, "needs a token"),
        ({"host": "192.168.1.5"}, "needs a token"),
        ({"host": "::"}, "needs a token"),
        ({"host": "pose.lab"}, "needs a token"),
        ({"token": "short"}, "16 or more"),
        ({"token": "ü" * 20}, "ASCII"),
        ({"port": 70000}, "port must be"),
        ({"workers": -1}, "workers must be"),
        ({"workers": 1000}, "workers must be"),
        ({"models": "no folder"}, "no folder of models"),
    ],
)
def test_settings_are_checked(values, expected):
    with pytest.raises(CairnError, match=expected):
        ServerSettings(**values)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_the_loopback_needs_no_token(host):
    assert ServerSettings(host=host).is_loopback


def test_limits_are_parsed():
    assert Limits.parse(["queue=128", "idle_seconds=0.5"]) == Limits(queue=128, idle_seconds=0.5)


@pytest.mark.parametrize("entry", ["queue", "queue=", "queue=0", "queue=-1", "queue=1.5", "stall_seconds=inf", "q=1"])
def test_wrong_limits_are_one_line(entry):
    with pytest.raises(CairnError, match="limit"):
        Limits.parse([entry])
