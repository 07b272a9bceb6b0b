"""`cairn serve`: a server of its own process, which is killed and started again."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from cairn.media.video import write_video
from support.fake_network import totems, write_totem_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

COMMAND = [sys.executable, "-m", "cairn", "serve"]


@contextmanager
def started(folder, *options, **environment):
    """Yields the process and the line with its address."""
    command = [*COMMAND, "--port", "0", "--workers", "1", "--models", str(folder), *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "CAIRN_TOKEN": "", **environment}
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
    end = time.monotonic() + 60
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


def test_another_address_gets_a_token_that_is_printed_once(tmp_path):
    with started(tmp_path, "--host", "0.0.0.0") as (_, line):
        token = re.search(r"\?token=(\S+)", line)[1]
        url = address(line).replace("0.0.0.0", "127.0.0.1")
        assert len(token) >= 24
        assert httpx.get(f"{url}/v1/jobs").status_code == 401
        assert httpx.get(f"{url}/v1/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_token_of_the_environment_is_not_printed(tmp_path):
    with started(tmp_path, CAIRN_TOKEN="0123456789abcdef") as (_, line):
        assert "0123456789abcdef" not in line
        assert httpx.get(f"{address(line)}/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--token", "short"], "cairn: the token must be 16 or more"),
        (["--models", "nothing"], "cairn: no folder of models at nothing"),
        (["--limit", "queues=3"], "cairn: unknown limit 'queues'"),
        (["--host", "no such host"], "cairn: cannot listen on"),
        (["--data", "file"], "cairn: cannot write into the folder file"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, options, expected):
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [*COMMAND, "--port", "0", *options], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith(expected)
