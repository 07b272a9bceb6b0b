"""`cairn.serve`: runs the server until it is stopped."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cairn.errors import CairnError
from cairn.extras import require
from cairn.server.settings import Limits, ServerSettings

SHUTDOWN_SECONDS = 30

IDLE_SECONDS = 75
"""Seconds for which a connection waits for its next request: longer than clients and proxies keep theirs, which would
otherwise send a request at the moment in which it is closed."""


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    models: str | Path | None = None,
    data: str | Path = Path("cairn-data"),
    labels: str | Path | None = None,
    workers: int = 0,
    device: str = "auto",
    token: str | None = None,
    allow_hosts: Sequence[str] = (),
    limits: Sequence[str] = (),
    notice: Callable[[str], None] = logging.getLogger(__name__).info,
) -> None:
    """Serves the HTTP API and the web app until the process is interrupted or terminated.

    Args:
        host: Address to listen on. Any other than the loopback needs a token; without one, one is made and noted.
        port: Port to listen on.
        models: Folder of further models: .onnx files and run folders.
        data: Folder for everything that the server writes; one server at a time uses it.
        labels: Folder of images to label in the web app; it stays as it is.
        workers: Number of processes that run models; 0 is one for each CPU core.
        device: Device of the models; see `cairn.load`.
        token: Token that requests must have.
        allow_hosts: Names under which a proxy passes requests on.
        limits: Limits of requests as NAME=VALUE, such as "queue=128"; `cairn.server.settings.Limits` has all.
        notice: Gets a line with the address.

    Raises:
        CairnError: An option is invalid, the address is in use, or another server uses the data folder.
        MissingExtra: The extra `serve` is not installed.
    """
    require("fastapi", "uvicorn", "python_multipart", "prometheus_client", "websockets", extra="serve", purpose="serve")
    import socket

    import uvicorn

    from cairn.server.app import create_app

    made = None
    if token is None and not _settings(host).is_loopback:
        token = made = secrets.token_urlsafe(24)
    settings = replace(
        ServerSettings(host=host, port=port, token=token, workers=workers, device=device, hosts=tuple(allow_hosts)),
        models=None if models is None else Path(models),
        data=Path(data),
        labels=None if labels is None else Path(labels),
        limits=Limits.parse(limits),
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise CairnError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port"
            ) from None
        app = create_app(settings)
        listening.listen()  # before the address is printed: who reads it may connect at once
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"
        notice(f"serving on {address}" + (f"?token={made}" if made else ""))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # lines would have the token of the first address
            server_header=False,
            ws_max_size=settings.limits.image_bytes,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            proxy_headers=True,
        )
        uvicorn.Server(config).run([listening])


def _settings(host: str) -> ServerSettings:
    """Returns settings that tell whether an address is the loopback."""
    return ServerSettings(host=host, token="-" * 16)
