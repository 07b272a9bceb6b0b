"""Addresses: read like files, within a bounded time, and never shown with their credentials."""

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import cairn.media.address
import cairn.media.video
import cairn.media.video.live
import cairn.media.video.pyav
from cairn.errors import ImageError, MissingExtra, VideoError
from cairn.media.address import is_url, parse_address, without_credentials
from cairn.media.inputs import as_image
from cairn.media.reading import ReadOptions, SourceFrame, read_sources
from cairn.media.sources import find_sources
from cairn.media.video import VideoFrame, write_video
from cairn.media.video.live import Reconnecting

pytest.importorskip("av", reason="PyAV is not installed")

FRAMES = 4
SECRET = "s3cret"


def image(i: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), 40 * i + 20, np.uint8)


def jpeg(i: int) -> bytes:
    return cv2.imencode(".jpg", image(i))[1].tobytes()


class Handler(BaseHTTPRequestHandler):
    """Serves a folder, a camera as multipart Motion JPEG, a snapshot, and pages that need a password."""

    folder: Path

    def do_GET(self) -> None:
        path, _, _ = self.path.partition("?")
        if path.startswith("/private") and "Basic" not in self.headers.get("Authorization", ""):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path in ("/video", "/private/video"):
            self.camera()
        elif path.endswith("snapshot.cgi"):
            self.answer("image/jpeg", jpeg(1))
        elif path == "/page":
            self.answer("text/html", b"<!DOCTYPE html><html></html>")
        elif (self.folder / path[1:]).is_file():
            self.answer("application/octet-stream", (self.folder / path[1:]).read_bytes())
        else:
            self.send_error(404)

    def answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def camera(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for i in range(FRAMES):
            part = jpeg(i)
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(part))
            self.wfile.write(part + b"\r\n")

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with write_video(tmp_path / "clip.mp4", (48, 64), 10) as writer:
        for i in range(FRAMES):
            writer.write(image(i))
    (tmp_path / "photo.jpg").write_bytes(jpeg(2))
    (tmp_path / "named").write_bytes(jpeg(3))
    served = ThreadingHTTPServer(("127.0.0.1", 0), type("Folder", (Handler,), {"folder": tmp_path}))
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def read(*sources: str, options: ReadOptions = ReadOptions()) -> list[SourceFrame]:
    return list(read_sources(find_sources(sources), options))


def numbers(frames: list[SourceFrame]) -> list[int]:
    return [round((float(frame.image.mean()) - 20) / 40) for frame in frames if frame.image is not None]


def refused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_video_on_a_server(server: str) -> None:
    (source,) = find_sources([f"{server}/clip.mp4?token={SECRET}"])
    assert (source.kind, source.name.output.as_posix()) == ("address", "clip")
    frames = read(f"{server}/clip.mp4?token={SECRET}")
    assert numbers(frames) == list(range(FRAMES))
    assert [frame.name.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-3)
    assert frames[1].name.output.as_posix() == "clip_000000000001"
    assert frames[0].name.text == f"{server}/clip.mp4?..."


@pytest.mark.parametrize("path", ["/video", "/video?ch=1"])
def test_camera_that_sends_multipart_motion_jpeg(server: str, path: str) -> None:
    *frames, last = read(server + path)
    assert numbers(frames) == list(range(FRAMES))
    assert [frame.name.frame for frame in frames] == list(range(FRAMES))
    assert re.fullmatch(r"http://127.*/video(\?\.\.\.)? broke off: 4 frames .* were read .*", str(last.error))


@pytest.mark.parametrize(("path", "number"), [("/photo.jpg", 2), ("/snapshot.cgi?user=me", 1), ("/named", 3)])
def test_image_on_a_server(server: str, path: str, number: int) -> None:
    (source,) = find_sources([server + path])
    assert source.kind == "image"
    assert numbers(read(server + path)) == [number]
    np.testing.assert_array_equal(as_image(server + path), image(number))


def test_user_name_and_password_are_sent_and_not_shown(server: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with_password = server.replace("//", f"//me:{SECRET}@")
    for path, count in (("/private/video", FRAMES), ("/private/snapshot.cgi", 1)):
        frames = read(with_password + path)
        assert len(numbers(frames)) == count
        (refused,) = read(server + path)
        assert "401" in str(refused.error)
        assert not any(SECRET in text for frame in frames for text in (frame.name.text, str(frame.name.output)))
    (missing,) = read(f"{with_password}/absent.mp4?key={SECRET}")
    assert "404" in str(missing.error)
    assert SECRET not in f"{missing.error!r} {missing.name!r} {caplog.text}"


def test_a_list_may_name_addresses(server: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"photo.jpg\n{server}/photo.jpg\n{server}/clip.mp4\n")
    frames = read(str(tmp_path / "list.txt"))
    assert numbers(frames) == [2, 2, *range(FRAMES)]
    assert len({frame.name.output for frame in frames}) == len(frames)


def test_addresses_that_differ_in_their_query_have_results_of_their_own(server: str) -> None:
    outputs = [each.name.output.as_posix() for each in find_sources([f"{server}/video?ch={i}" for i in range(3)])]
    assert len(set(outputs)) == 3
    assert all("?" not in output and "/" not in output for output in outputs)


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "http", "tcp"])
@pytest.mark.parametrize("name", ["live", "clip.mp4", "photo.jpg"])
def test_refused_connection_is_one_line_at_once(scheme: str, name: str) -> None:
    started = time.monotonic()
    (frame,) = read(f"{scheme}://me:{SECRET}@127.0.0.1:{refused_port()}/{name}?password={SECRET}")
    assert frame.error is not None
    assert f"{scheme}://127.0.0.1:" in str(frame.error)
    assert SECRET not in str(frame.error)
    assert "\n" not in str(frame.error)
    assert time.monotonic() - started < 8


def test_server_that_never_answers_is_one_line_within_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cairn.media.address, "TIMEOUT", 0.3)
    monkeypatch.setattr(cairn.media.video.pyav, "TIMEOUT", (0.3, 0.3))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        port = silent.getsockname()[1]
        for address in (f"rtsp://127.0.0.1:{port}/s", f"http://127.0.0.1:{port}/cam", f"http://127.0.0.1:{port}/a.jpg"):
            (frame,) = read(address)
            assert str(frame.error).startswith((f"{address} cannot be opened", f"cannot open {address}"))


@pytest.mark.parametrize("path", ["/page", "/page?x=1"])
def test_web_page_is_one_line(server: str, path: str) -> None:
    (frame,) = read(server + path)
    assert isinstance(frame.error, VideoError)
    with pytest.raises(ImageError, match=r"is not an image in a supported format.*web page"):
        as_image(server + path)


def test_streams_need_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cairn.media.video, "has_pyav", lambda: False)
    (frame,) = read("rtsp://127.0.0.1:1/s")
    assert isinstance(frame.error, MissingExtra)
    assert "the stream rtsp://127.0.0.1:1/s needs PyAV" in str(frame.error)


@pytest.mark.parametrize(
    ("url", "shown", "name"),
    [
        ("rtsp://10.0.0.1:554/s", "rtsp://10.0.0.1:554/s", "10.0.0.1_554_s"),
        ("RTSP://me:pw@cam/Streaming/Channels/101", "rtsp://cam/Streaming/Channels/101", "cam_Streaming_Channels_101"),
        ("rtsp:/cam/s", "rtsp://cam/s", "cam_s"),  # as pathlib writes it
        ("http://h/a/clip.mp4?token=pw#t=3", "http://h/a/clip.mp4?...", "clip.mp4"),
        (
            "rtsp://h/user=me&password=pw&channel=1",
            "rtsp://h/user=***&password=***&channel=1",
            "h_user_password_channel_1",
        ),
        ("http://me:p@ss@h/x", "http://h/x", "h_x"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234", "239.0.0.1_1234"),
        ("http://h/", "http://h/", "h"),
        ("http://h/%2e%2e/%2fetc/x.mp4", "http://h/%2e%2e/%2fetc/x.mp4", "x.mp4"),
    ],
)
def test_shown_text_and_file_name(url: str, shown: str, name: str) -> None:
    address = parse_address(url)
    assert (str(address), address.file_name) == (shown, name)
    assert "pw" not in repr(address)


@given(st.text(max_size=30), st.text(alphabet="abc:@/?#&=%é", max_size=30))
def test_user_information_is_never_shown(user: str, rest: str) -> None:
    url = f"rtsp://u:{SECRET}@host{rest}"
    texts = [without_credentials([url])]
    try:
        address = parse_address(url)
        assert "/" not in address.file_name
        texts += [str(address), repr(address), address.file_name]
    except ImageError as error:
        texts.append(str(error))
    assert not any(SECRET in text for text in texts)


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "rtsp://h:99999999/x", "rtsp://[::1/x", "s3://b/k", "data://x"]
)
def test_invalid_addresses_are_one_error(url: str) -> None:
    if not is_url(url):
        return
    with pytest.raises(ImageError, match="scheme"):
        parse_address(url)


def test_files_are_not_addresses(tmp_path: Path) -> None:
    for name in ("a.jpg", "C:/a.jpg", "c:\\a.jpg", "/tmp/a:b.jpg", "rtsp", "http:photo.jpg"):
        assert not is_url(name)
    (tmp_path / "a b.jpg").write_bytes(jpeg(1))
    assert numbers(read((tmp_path / "a b.jpg").as_uri())) == [1]


class Flaky:
    """A stream that breaks off after two frames, and then cannot be opened a number of times."""

    rate, frames, size, pixel_aspect = 10.0, None, (48, 64), 1

    def __init__(self, log: list[str]) -> None:
        self.log = log
        log.append("open")

    def __enter__(self) -> "Flaky":
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("close")

    def __iter__(self) -> Iterator[VideoFrame]:
        yield VideoFrame(0, 0.0, image(0))
        yield VideoFrame(1, 0.1, image(1))
        raise VideoError("the stream broke off")


def test_a_broken_stream_is_opened_again_and_numbers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(cairn.media.video.live.time, "sleep", slept.append)
    log: list[str] = []
    outcomes = iter([True, False, True, False, False, False])

    def opener() -> Any:
        if next(outcomes):
            return Flaky(log)
        raise VideoError("cannot open")

    frames: list[VideoFrame] = []

    def collect(stream: Reconnecting) -> None:
        for frame in stream:
            frames.append(frame)

    stream = Reconnecting(opener, 2)
    with pytest.raises(VideoError, match="cannot open; it was tried 2 times to open it again"), stream:
        collect(stream)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert np.all(np.diff([frame.seconds for frame in frames]) >= 0)
    assert log == ["open", "close", "open", "close"]
    assert slept == [1, 2, 1, 2]


def test_a_video_that_ends_is_not_opened_again(server: str) -> None:
    frames = read(f"{server}/clip.mp4", options=ReadOptions(reconnect=3))
    assert numbers(frames) == list(range(FRAMES))


def test_a_camera_on_a_server_is_opened_again(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cairn.media.video.live, "PAUSE", 0.0)
    frames = read_sources(find_sources([f"{server}/video"]), ReadOptions(reconnect=1))
    some = [next(frames) for _ in range(2 * FRAMES + 1)]
    frames.close()
    assert [frame.name.frame for frame in some] == list(range(2 * FRAMES + 1))
    assert numbers(some) == [*range(FRAMES)] * 2 + [0]
