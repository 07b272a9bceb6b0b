"""A server in a thread of the test, with real sockets; its workers are scripts that need no model."""

import asyncio
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from cairn.server import pool
from cairn.server.app import create_app
from cairn.server.settings import ServerSettings

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


@contextmanager
def served(settings: ServerSettings, command=(sys.executable, str(FAKE_WORKER))):
    """Yields the running server and its address; its workers are started by a command."""
    before, pool.COMMAND = pool.COMMAND, command
    app = create_app(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, ws_max_size=settings.limits.image_bytes + 1000
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started and app.state.server.pool.ready == settings.processes)
        yield app.state.server, f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        pool.COMMAND = before


def wait_until(condition, seconds=20.0):
    """Waits until a condition is true; fails after some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


def run(coroutine):
    """Runs a coroutine, a minute at most."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))
