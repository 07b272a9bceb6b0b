"""`cairn serve`: a server of its own process, which is killed and started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from cairn.cli import main
from cairn.media.video import write_video
from support.fake_network import totems, write_totem_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

COMMAND = [sys.executable, "-m", "cairn", "serve"]


@contextmanager
def started(folder):
    """Yields the process and the line with its address."""
    command = [*COMMAND, "--port", "0", "--workers", "1", "--models", str(folder)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "CAIRN_TOKEN": ""}
    )
    try:
        yield process, process.stderr.readline()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def address(line):
    return re.search(r"http://\S+(?=/)", line)[0]


def state(url, job):
    return httpx.get(f"{url}/v1/jobs/{job}").json()["state"]


def wait(condition):
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_server_loses_no_job_and_a_stopped_one_none_either(tmp_path):
    write_totem_model(tmp_path / "totem.onnx")
    with write_video(tmp_path / "clip.mp4", (64, 64), 10.0) as writer:
        for _ in range(3):
            writer.write(totems((64, 64), [(30, 30)], 20))
    with started(tmp_path) as (process, line):
        url = address(line)
        assert url.startswith("http://127.0.0.1:")
        video = {"video": ("clip.mp4", (tmp_path / "clip.mp4").read_bytes())}
        jobs = [httpx.post(f"{url}/v1/videos?model=totem", files=video, timeout=60).json()["id"] for _ in range(2)]
        again = subprocess.run([*COMMAND, "--port", "0"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert (again.returncode, again.stderr.count("\n")) == (2, 1)
        assert "another server uses the data folder cairn-data" in again.stderr
        taken = [*COMMAND, "--port", url.rpartition(":")[2], "--data", "other"]
        assert "cannot listen on" in subprocess.run(taken, capture_output=True, text=True, cwd=tmp_path).stderr
        wait(lambda: state(url, jobs[0]) == "running" or state(url, jobs[1]) != "queued")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with started(tmp_path) as (process, line):
        url = address(line)
        wait(lambda: all(state(url, job) == "done" for job in jobs))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert process.stderr.read() == ""


def test_the_address_takes_connections_as_soon_as_it_is_printed(tmp_path, monkeypatch):
    """Before the loop of the server runs, which accepts them."""
    monkeypatch.chdir(tmp_path)
    connected = []

    def run(_, sockets):
        with socket.create_connection(sockets[0].getsockname(), timeout=5) as connection:
            connected.append(connection.getpeername())

    monkeypatch.setattr(uvicorn.Server, "run", run)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--port", "0"])
    assert (ended.value.code, len(connected)) == (0, 1)


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """Returns the lines of a server that ends at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: None)
    monkeypatch.delenv("CAIRN_TOKEN", raising=False)
    (tmp_path / "file").touch()

    def run(*options):
        with pytest.raises(SystemExit) as ended:
            main(["serve", "--port", "0", *options])
        return ended.value.code

    return run


def test_another_address_gets_a_token_that_is_printed_once(lines, capsys):
    assert lines("--host", "0.0.0.0") == 0
    printed = capsys.readouterr().err
    assert len(re.findall(r"\?token=(\S{24,})", printed)) == 1
    assert printed.startswith("cairn: serving on http://0.0.0.0:")
    assert lines("--data", "other") == 0
    assert "token" not in capsys.readouterr().err


def test_a_token_that_is_given_is_not_printed(lines, capsys, monkeypatch):
    monkeypatch.setenv("CAIRN_TOKEN", "0123456789abcdef")
    assert lines("--host", "0.0.0.0", "--data", "a") == 0
    monkeypatch.delenv("CAIRN_TOKEN")
    assert lines("--token", "0123456789abcdef", "--data", "b") == 0
    assert "0123456789abcdef" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--token", "short"], "cairn: the token must be 16 or more"),
        (["--models", "nothing"], "cairn: no folder of models at nothing"),
        (["--limit", "queues=3"], "cairn: unknown limit 'queues'"),
        (["--host", "300.0.0.1"], "cairn: cannot listen on"),
        (["--data", "file"], "cairn: cannot write into the folder file"),
    ],
)
def test_wrong_options_are_one_line(lines, capsys, options, expected):
    assert lines(*options) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith(expected)
