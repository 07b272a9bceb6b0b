import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io import read_cloud
from cairn.pointclouds.io.lzf import lzf_decompressed
from support.clouds import lzf_literals, pcd

POINTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32).astype(float)


def read(tmp_path, data):
    path = tmp_path / "cloud.pcd"
    path.write_bytes(data)
    return read_cloud(path)


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_all_encodings_have_the_same_points(tmp_path, data):
    np.testing.assert_allclose(read(tmp_path, pcd(POINTS, data)).points, POINTS, rtol=1e-7)


def test_line_endings_of_windows(tmp_path):
    np.testing.assert_allclose(read(tmp_path, pcd(POINTS).replace(b"\n", b"\r\n")).points, POINTS, rtol=1e-7)


def colored(data, kind="U"):
    values = np.zeros(3, [("x", "<f4"), ("pad", "u1", (5,)), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
    values["x"], values["y"], values["z"] = (1, 2, 3), (4, 5, 6), (7, 8, 9)
    values["rgb"] = [0x00FF8000, 0x000000FF, 0x00010203]
    fields = ["FIELDS x _ y z rgb", "SIZE 4 1 4 4 4", f"TYPE F U F F {kind}", "COUNT 1 5 1 1 1"]
    header = ["VERSION .7", *fields, "WIDTH 3", "HEIGHT 1", "POINTS 3", f"DATA {data}", ""]
    text = "\n".join(header).encode()
    if data == "binary":
        return text + values.tobytes()
    if data == "ascii":
        colors = values["rgb"].view("<f4") if kind == "F" else values["rgb"]
        rows = [f"{r['x']} 0 0 1 2 3 {r['y']} {r['z']} {c!s}" for r, c in zip(values, colors, strict=True)]
        return text + "\n".join(rows).encode()
    packed = b"".join(values[name].tobytes() for name in ("x", "y", "z", "rgb"))  # PCL stores no padding there
    body = lzf_literals(packed)
    return text + np.array([len(body), len(packed)], "<u4").tobytes() + body


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
@pytest.mark.parametrize("kind", ["U", "F"])
def test_padding_is_skipped_and_packed_colors_are_unpacked(tmp_path, data, kind):
    cloud = read(tmp_path, colored(data, kind))
    assert cloud.points.tolist() == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]
    assert cloud.colors.tolist() == [[255, 128, 0], [0, 0, 255], [1, 2, 3]]


def test_compressed_padding_is_accepted_too(tmp_path):
    data = colored("binary_compressed")
    at = data.index(b"binary_compressed\n") + len(b"binary_compressed\n")
    fields = [np.array([1, 2, 3], "<f4"), np.zeros(15, "u1"), np.array([4, 5, 6], "<f4"), np.array([7, 8, 9], "<f4")]
    packed = b"".join(field.tobytes() for field in [*fields, np.array([1, 2, 3], "<u4")])
    body = lzf_literals(packed)
    cloud = read(tmp_path, data[:at] + np.array([len(body), len(packed)], "<u4").tobytes() + body)
    assert cloud.points.tolist() == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]


def test_organized_clouds_drop_missing_points_and_keep_their_rows(tmp_path, caplog):
    points = POINTS.copy()
    points[[3, 7]] = np.nan
    cloud = read(tmp_path, pcd(points, "binary", ["WIDTH 5", "HEIGHT 4"]))
    assert len(cloud) == 18
    assert cloud.file_rows([2, 3, 17]).tolist() == [2, 4, 19]
    assert "2 of 20 points are NaN or infinite" in caplog.text


def test_lzf_copies_overlap():
    assert lzf_decompressed(b"\x01ab\x40\x01", 6) == b"abab"[:2] + b"abab"
    assert lzf_decompressed(b"\x00a\xe0\x05\x00", 15) == b"a" * 15
    assert lzf_decompressed(b"\x00a\x40\x05", 5) is None  # before the first byte
    assert lzf_decompressed(b"\x05ab", 6) is None


ASCII, BINARY, PACKED = (pcd(POINTS, each) for each in ("ascii", "binary", "binary_compressed"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ASCII[:40], "truncated or damaged"),
        (ASCII[: len(ASCII) // 2].rsplit(b"\n", 1)[0], "truncated: expected 20 points, got"),
        (BINARY[:-1], "truncated: expected 20 points, got 19"),
        (PACKED[:-1], "truncated: expected"),
        (PACKED[:-40] + bytes(40), "damaged"),
        (ASCII.replace(b"POINTS 20", b"POINTS 0").replace(b"WIDTH 20", b"WIDTH 0"), "has none"),
        (ASCII.replace(b"20", b"100000000"), "more than the 20,000,000"),
        (ASCII.replace(b"POINTS 20", b"POINTS 21"), "states 21 points, but 20 x 1 are 20"),
        (ASCII.replace(b"SIZE 4 4 4", b"SIZE 4 4"), "invalid PCD header"),
        (ASCII.replace(b"TYPE F F F", b"TYPE F F Q"), "invalid PCD header"),
        (ASCII.replace(b"x y z", b"r g b"), "x, y, z is missing"),
        (ASCII.replace(b"DATA ascii", b"DATA zip"), "expected DATA ascii, binary or binary_compressed"),
        (pcd(np.full((3, 3), np.nan), "binary"), "all 3 points are NaN or infinite"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, data, message):
    with pytest.raises(CloudError, match=message) as raised:
        read(tmp_path, data)
    assert "\n" not in str(raised.value)
