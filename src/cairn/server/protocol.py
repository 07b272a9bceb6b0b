"""Messages between the server and its processes: a line of JSON, then parts of bytes.

Nothing is pickled: what a process sends, after it decoded what a client sent, is data and never code.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

AUTO = "auto"
"""Value of `refine` for single images: what `cairn.load` does by default."""

SIZES = "sizes"
"""Key of the JSON: the number of bytes of each part."""

MAX_LINE = 1 << 20


@dataclass(frozen=True)
class Message:
    """A message: values, and parts of bytes."""

    values: dict[str, Any]
    parts: Sequence[bytes] = ()

    def encoded(self) -> bytes:
        """Returns the first line; the parts follow it."""
        return json.dumps({**self.values, SIZES: [len(part) for part in self.parts]}).encode() + b"\n"


async def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Sends a message. Raises ConnectionError if the process has ended."""
    writer.write(message.encoded())
    for part in message.parts:
        writer.write(part)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> Message:
    """Receives a message. Raises EOFError if the process has ended."""
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    values = json.loads(line)
    try:
        return Message(values, [await reader.readexactly(size) for size in values.pop(SIZES)])
    except asyncio.IncompleteReadError:
        raise EOFError from None


class Channel:
    """The end of the pipes in a process that the server started: stdin and stdout.

    What libraries print goes to stderr from here on.
    """

    def __init__(self) -> None:
        self._in: BinaryIO = sys.stdin.buffer
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def receive(self) -> Message | None:
        """Returns the next message; None when the server has ended."""
        line = self._in.readline()
        if not line.endswith(b"\n"):
            return None
        values = json.loads(line)
        parts = [self._in.read(size) for size in values.pop(SIZES)]
        return Message(values, parts)

    def send(self, message: Message) -> None:
        """Sends a message. Raises OSError if the server has ended."""
        self._out.write(message.encoded())
        for part in message.parts:
            self._out.write(part)
        self._out.flush()
