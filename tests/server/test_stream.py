"""`WS /v1/stream`: one answer for each frame that is detected, and the newest frames before older ones."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from cairn.server.settings import Limits, ServerSettings
from cairn.server.stream import _Frame, _Newest
from cairn.server.tracks import StreamTracks
from support.served import run, served


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = Limits(streams=2, image_bytes=1000)
    with served(ServerSettings(data=tmp_path_factory.mktemp("server"), workers=1, limits=limits)) as (server, url):
        yield server, url.replace("http", "ws") + "/v1/stream"


async def asked(socket, data):
    await socket.send(data)
    return json.loads(await socket.recv())


def test_each_frame_gets_its_line(server):
    async def talk():
        async with connect(f"{server[1]}?min_confidence=0.25") as socket:
            return [await asked(socket, b"a" * i) for i in range(1, 5)]

    answers = run(talk())
    assert [answer["length"] for answer in answers] == [1, 2, 3, 4]
    assert [answer["frame"] for answer in answers] == [0, 1, 2, 3]
    assert [answer["asked"]["min_confidence"] for answer in answers] == [0.25] * 4
    seconds = [answer["seconds"] for answer in answers]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)


def test_a_broken_frame_and_a_dead_worker_are_problems_and_the_stream_goes_on(server):
    async def talk():
        async with connect(server[1]) as socket:
            return [await asked(socket, data) for data in (b"bad", b"die", b"a")]

    broken, died, good = run(talk())
    assert (broken["status"], broken["frame"], broken["detail"]) == (422, 0, "frame 0 is not an image")
    assert (died["status"], died["frame"]) == (503, 1)
    assert (good["length"], good["frame"]) == (1, 2)


def test_the_newest_frame_is_detected_next():
    async def talk():
        newest = _Newest()
        for i in range(3):
            newest.put(_Frame(i, 0.0, b""))
        assert (await newest.get()).number == 2
        waiting = asyncio.create_task(newest.get())
        await asyncio.sleep(0)
        newest.put(_Frame(3, 0.0, b""))
        newest.put(None)
        assert (await waiting).number == 3
        assert await newest.get() is None

    run(talk())


@pytest.mark.parametrize(
    ("query", "message", "code", "reason"),
    [
        ("", "text", 1008, "each message must be a frame"),
        ("", b"a" * 1001, 1009, ""),
        ("", b"a" * 5000, 1009, ""),
        ("?model=no", b"a", 1008, "no model 'no'"),
        ("?model=../person", b"a", 1008, "no model"),
        ("?track=true&format=coco", b"a", 1008, "track is for the format json"),
    ],
)
def test_what_is_no_frame_closes_the_stream_with_a_reason(server, query, message, code, reason):
    async def talk():
        async with connect(server[1] + query) as socket:
            await socket.send(message)
            while True:
                await socket.recv()

    with pytest.raises(ConnectionClosedError) as caught:
        run(talk())
    assert caught.value.rcvd.code == code
    assert caught.value.rcvd.reason.startswith(reason)


@pytest.mark.parametrize("query", ["?min_confidence=2", "?format=xml", "?track=perhaps", f"?model={'x' * 300}"])
def test_wrong_options_do_not_open_a_stream(server, query):
    async def talk():
        async with connect(server[1] + query) as socket:
            await socket.recv()

    with pytest.raises(InvalidStatus, match="403"):
        run(talk())


def test_the_number_of_streams_is_limited_and_those_that_close_make_room(server):
    async def talk():
        async with connect(server[1]) as first, connect(server[1]) as second:
            await asked(first, b"a")
            await asked(second, b"a")
            async with connect(server[1]) as third:
                refused = json.loads(await third.recv())
                with pytest.raises(ConnectionClosedError) as caught:
                    await third.recv()
                assert caught.value.rcvd.code == 1013
        while server[0].streams:
            await asyncio.sleep(0.01)
        async with connect(server[1]) as fourth:
            return refused, await asked(fourth, b"a")

    refused, answer = run(talk())
    assert refused["status"] == 429
    assert answer["length"] == 1


def test_a_silent_client_is_closed(tmp_path):
    with served(ServerSettings(data=tmp_path, workers=1, limits=Limits(idle_seconds=0.2))) as (_, url):

        async def talk():
            async with connect(f"{url.replace('http', 'ws')}/v1/stream") as socket:
                await socket.recv()

        with pytest.raises(ConnectionClosedOK, match=r"no frame within 0\.2 seconds"):
            run(talk())


def frame(number, *people):
    skeleton = {"name": "two", "joints": ["a", "b"], "limbs": [["a", "b"]]}
    rows = [{"score": 0.9, "box": None, "keypoints": {"a": [x, y, 0.9], "b": [x, y + 50, 0.9]}} for x, y in people]
    return json.dumps({"frame": number, "seconds": number / 10, "skeleton": skeleton, "people": rows}).encode()


def test_tracks_follow_people_whatever_their_order():
    tracks = StreamTracks()
    ids = []
    for i in range(6):
        people = [(20 + 2 * i, 30), (200 - 2 * i, 40)]
        lines = json.loads(tracks.with_ids(frame(i, *(people if i % 2 else people[::-1]))))["people"]
        ids.append([person["id"] for person in (lines if i % 2 else lines[::-1])])
    assert ids == [ids[0]] * 6
    assert len(set(ids[0])) == 2
    assert json.loads(tracks.with_ids(frame(7)))["people"] == []
    assert next(iter(lines[0])) == "id"


def test_a_keypoint_that_is_not_detected_stays_null():
    content = json.loads(frame(0, (1, 2)))
    content["people"][0]["keypoints"]["a"] = None
    assert json.loads(StreamTracks().with_ids(json.dumps(content).encode()))["people"][0]["keypoints"]["a"] is None
