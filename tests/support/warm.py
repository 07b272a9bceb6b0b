"""Programs start with torch loaded: one process imports it and traces a graph once, and forks for each program.

Importing torch and the exporter takes longer than the small trainings that the documentation's commands run.

    python warm.py serve SOCKET                     # prints "ready"; ends when its standard input does
    python warm.py run SOCKET cairn ARGUMENTS...    # as `python -m cairn ARGUMENTS...`
    python warm.py run SOCKET code CODE             # as `python -c CODE`
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

FAILED = 139
"""Exit status where the program died without one."""


def serve(path: str) -> None:
    """Answers requests until standard input ends."""
    import select

    _warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # handlers are not waited for
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(16)
        print("ready", flush=True)
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                _handle(connection)
            connection.close()


def run(path: str, kind: str, arguments: list[str]) -> int:
    """Runs a program in the server's child with this process's folder, environment and files; returns its status."""
    request = json.dumps(
        {"kind": kind, "arguments": arguments, "cwd": str(Path.cwd()), "env": dict(os.environ)}
    ).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(request).to_bytes(8, "little")], [0, 1, 2])
        connection.sendall(request)
        answer = connection.recv(1)
    return answer[0] if answer else FAILED


def _handle(connection: socket.socket) -> None:
    """Reads a request, runs it in a child, and answers with its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(size, "little")))
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[:0] = ["", *request["env"].get("PYTHONPATH", "").split(os.pathsep)]
    if request["kind"] == "code":
        import types

        sys.modules["__main__"] = program = types.ModuleType("__main__")
        exec(compile(request["arguments"][0], "<string>", "exec"), program.__dict__)
        sys.exit()
    sys.argv[:] = ["cairn", *request["arguments"]]
    from cairn.cli import main

    main()


def _warm() -> None:
    import io

    import lightning  # noqa: F401
    import torch

    torch.onnx.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),), io.BytesIO(), dynamo=True, verbose=False)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(run(sys.argv[2], sys.argv[3], sys.argv[4:]))
