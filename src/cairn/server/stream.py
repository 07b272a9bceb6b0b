"""`WS /v1/stream`: frames in, poses out.

A client sends each frame as one binary message, an encoded image, and gets one text message for it. While a frame is
detected, only the newest one of those that arrive waits: a camera that is faster than the models skips frames, and is
never late by more than one. `frame` counts all that arrived, so that gaps show what was skipped.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from cairn.inference.zoo import DEFAULT_MODEL
from cairn.server.batching import ImageProblem, ModelKey
from cairn.server.detection import MinConfidence, ModelName, OutputFormat, Refine
from cairn.server.problems import Problem, as_problem
from cairn.server.protocol import AUTO
from cairn.server.state import Server, server_of
from cairn.server.tracks import StreamTracks

TRY_AGAIN, NOT_ACCEPTED, TOO_LARGE = 1013, 1008, 1009
"""Codes of WebSocket: too many streams, wrong options or messages, and frames above the limit."""

router = APIRouter(prefix="/v1")


@dataclass(frozen=True)
class _Frame:
    number: int
    seconds: float
    data: bytes


class _Newest:
    """The newest frame that waits; the end of the stream is None."""

    def __init__(self) -> None:
        self._frame: _Frame | None = None
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, frame: _Frame | None) -> None:
        self._ended = self._ended or frame is None
        self._frame = frame if frame is not None else self._frame
        self._changed.set()

    async def get(self) -> _Frame | None:
        await self._changed.wait()
        frame, self._frame = self._frame, None
        if not self._ended:
            self._changed.clear()
        return frame


@router.websocket("/stream")
async def stream(
    websocket: WebSocket,
    model: ModelName = DEFAULT_MODEL,
    refine: Refine = AUTO,
    min_confidence: MinConfidence = 0.0,
    format: OutputFormat = "json",
    track: Annotated[bool, Query()] = False,
) -> None:
    """Answers each frame with the line of Cairn's .jsonl, or with a problem."""
    server = server_of(websocket)
    await websocket.accept()
    try:
        if server.streams >= server.settings.limits.streams:
            raise Problem(429, f"{server.streams} streams are open already: try again later")
        if track and format != "json":
            raise Problem(422, "track is for the format json")
        key = await server.catalog.key(model, refine, of_images=False)
    except Problem as problem:
        await websocket.send_json(problem.body())
        await websocket.close(TRY_AGAIN if problem.status == 429 else NOT_ACCEPTED, str(problem)[:100])
        return
    server.streams += 1
    newest = _Newest()
    options = {"min_confidence": min_confidence, "format": format}
    answering = asyncio.create_task(_answer(websocket, server, newest, key, options, StreamTracks() if track else None))
    try:
        with suppress(WebSocketDisconnect, RuntimeError):
            await _read(websocket, server, newest)
            newest.put(None)
            await answering
    finally:
        server.streams -= 1
        answering.cancel()


async def _read(websocket: WebSocket, server: Server, newest: _Newest) -> None:
    """Reads frames until the client leaves, is silent for too long, or sends something else."""
    began, number, limits = None, 0, server.settings.limits
    while True:
        try:
            async with asyncio.timeout(limits.idle_seconds):
                message = await websocket.receive()
        except TimeoutError:
            await websocket.close(1000, f"no frame within {limits.idle_seconds:g} seconds")
            return
        if message["type"] == "websocket.disconnect":
            return
        data = message.get("bytes")
        if data is None:
            await websocket.close(NOT_ACCEPTED, "each message must be a frame: an encoded image, such as a JPEG")
            return
        if len(data) > limits.image_bytes:
            await websocket.close(TOO_LARGE, f"a frame may have {limits.image_bytes / 1e6:g} MB at most")
            return
        now = time.monotonic()
        began = now if began is None else began
        newest.put(_Frame(number, now - began, data))
        number += 1


async def _answer(
    websocket: WebSocket,
    server: Server,
    newest: _Newest,
    key: ModelKey,
    options: dict[str, Any],
    tracks: StreamTracks | None,
) -> None:
    while (frame := await newest.get()) is not None:
        about = {"name": "stream", "id": frame.number + 1, "frame": frame.number, "seconds": round(frame.seconds, 6)}
        try:
            (result,) = await server.batches.detect(key, [({**options, **about}, frame.data)])
            if isinstance(result, ImageProblem):
                raise Problem(422, f"frame {frame.number} {result}", frame=frame.number)
            text = result.decode() if tracks is None else tracks.with_ids(result)
        except Exception as error:
            problem = as_problem(error)
            text = json.dumps({"frame": frame.number, **problem.body()})
        await websocket.send_text(text)
