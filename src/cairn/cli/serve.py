"""`cairn serve`: options of `cairn.server.serve.serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than the loopback needs a token.")
    ] = "127.0.0.1",
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of further models: .onnx files and run folders.", show_default=False),
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder for jobs, results and projects.")] = Path("cairn-data"),
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of images to label in the web app; it stays as it is.", show_default=False),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Number of processes that run models; 0 is one for each CPU core.")
    ] = 0,
    device: Annotated[
        str, typer.Option(help="Device: auto, cpu, cuda, cuda:1, tensorrt, directml, coreml or openvino.")
    ] = "auto",
    token: Annotated[
        str | None,
        typer.Option(
            help="Token that requests must have; rather set CAIRN_TOKEN, which other users cannot see.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Name under which a proxy reaches the server; may be repeated.", show_default=False),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="Limit of requests as NAME=VALUE, such as queue=128; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Serve the web app and the HTTP API.

    Listens on this machine alone by default. Stops at Ctrl-C, after the requests that it has begun.
    """
    from cairn.server.serve import serve as run_serve

    run_serve(
        host=host,
        port=port,
        models=models,
        data=data,
        labels=labels,
        workers=workers,
        device=device,
        token=token or os.environ.get("CAIRN_TOKEN") or None,
        allow_hosts=allow_host or (),
        limits=limit or (),
        notice=lambda line: print(f"cairn: {line}", file=sys.stderr, flush=True),
    )
