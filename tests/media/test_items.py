"""Items are listed in one order, each once, and as they are needed."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.errors import ImageError
from cairn.media import folders
from cairn.media.items import Item, ListOptions, list_items, read_items
from cairn.media.path_lists import iterate_list, read_list
from cairn.media.reading import ReadOptions, open_source, read_sources
from cairn.media.sources import find_sources
from cairn.media.video import has_pyav
from cairn.media.video.spans import find_spans, read_span

parts = st.sampled_from(["a", "B", "b", "z.1", "é", "_", "10", "9"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("b.jpg", "a.png", "B/x.jpg", "b/1.jpg", "b/c/2.jpg", "b/10.jpg", "z.jpg", ".hidden.jpg", "n.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "cairn.parquet").mkdir()
    (root / "cairn.parquet" / "part-00000000.parquet").write_bytes(b"x")
    return root


@pytest.mark.parametrize("window", [1, 2, 3, 1 << 16])
def test_items_of_a_folder_are_its_sources_in_order(tree: Path, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "WINDOW", window)
    items = list(list_items([str(tree)], ListOptions()))
    assert [item.source.name.path for item in items] == [each.name.path for each in find_sources([str(tree)])]
    assert len(items) == 7
    orders = [item.order for item in items]
    assert orders == sorted(set(orders))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.lists(parts, max_size=3), parts), max_size=12))
def test_places_compare_as_items_follow_one_another(tmp_path_factory: pytest.TempPathFactory, files: list) -> None:
    root = tmp_path_factory.mktemp("tree")
    for places, name in files:
        folder = root.joinpath(*(f"{each}d" for each in places))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").touch()
    (root / "last.jpg").touch()
    orders = [item.order for item in list_items([str(root)], ListOptions())]
    assert orders == sorted(set(orders))
    assert len(orders) == sum(1 for _ in root.rglob("*.jpg"))


def test_the_first_item_comes_before_the_last_folder_is_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: read.append(str(place)) or scan(place))
    items = list_items([str(tree)], ListOptions())
    assert next(items).source.name.path.name == "a.png"
    assert read == [str(tree)]


def test_a_folder_that_cannot_be_read_is_reported_and_the_others_are_listed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def failing(place: str) -> object:
        if str(place).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return scan(place)

    monkeypatch.setattr(os, "scandir", failing)
    found: list[tuple[str, str]] = []
    options = ListOptions(unreadable=lambda place, reason: found.append((place, reason)))
    assert len(list(list_items([str(tree)], options))) == 4
    assert found == [(str(tree / "b"), "Permission denied")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_lists_are_read_line_by_line_as_they_are_read_whole(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("a.jpg\r\n\n  b/ü.jpg \nhttp://host/c.jpg\na.jpg".encode(encoding))
    assert list(iterate_list(path)) == read_list(path)
    texts = [item.text for item in list_items([str(path)], ListOptions())]
    assert texts == [f"{tmp_path}/a.jpg", f"{tmp_path}/b/ü.jpg", "http://host/c.jpg"]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\0" * 80, b"\xff\xfea\0\xd8"])
def test_lists_without_paths_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(ImageError) as raised:
        list(list_items([str(tmp_path / "list.txt")], ListOptions()))
    assert "\n" not in str(raised.value)


@pytest.fixture(params=["closed", "open", "plain"])
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A video of 60 frames with a keyframe every 8; with B-frames in closed or open groups, or without."""
    if not has_pyav():
        pytest.skip("needs PyAV: pip install 'cairn-pose[video]'")
    import av

    settings = {
        "closed": "bframes=3:keyint=8:min-keyint=8:scenecut=0:open-gop=0",
        "open": "bframes=3:keyint=8:min-keyint=8:scenecut=0:open-gop=1",
        "plain": "bframes=0:keyint=8:min-keyint=8:scenecut=0",
    }[request.param]
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 30, options={"x264-params": settings})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        base = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
        for i in range(60):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.roll(base, 3 * i, 1), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_spans_of_a_video_together_are_the_video(clip: Path) -> None:
    spans = find_spans(clip, 16)
    assert len(spans) >= 3
    assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
    whole = list(open_source(str(clip), ReadOptions(threads=1)))
    frames = [frame for span in reversed(spans) for frame in reversed(list(read_span(clip, span, 1)))][::-1]
    assert [frame.index for frame in frames] == [frame.name.frame for frame in whole] == list(range(60))
    for one, other in zip(frames, whole, strict=True):
        assert round(one.seconds, 6) == other.name.seconds
        np.testing.assert_array_equal(one.image, other.image)


def test_a_long_video_is_several_items_that_read_as_one(clip: Path) -> None:
    items = list(list_items([str(clip)], ListOptions(longest=16)))
    assert len(items) > 2
    assert sum(item.weight for item in items) == 60
    (whole,) = list_items([str(clip)], ListOptions())
    assert whole.weight == 60
    expected = list(read_sources(find_sources([str(clip)]), ReadOptions(threads=1)))
    for some in (items, [whole]):
        found = list(read_items(some, ReadOptions(threads=1)))
        assert [frame.name.text for frame in found] == [frame.name.text for frame in expected]
        assert [frame.name.seconds for frame in found] == [frame.name.seconds for frame in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.image, other.image)


def test_a_damaged_video_is_not_divided_or_has_the_frames_of_the_whole(clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    clip.write_bytes(data[: len(data) * 2 // 3])
    assert find_spans(clip, 16) == []  # its index is at the end
    items: list[Item] = list(list_items([str(clip)], ListOptions(longest=16)))
    assert [frame.error is not None for frame in read_items(items)] == [True]
