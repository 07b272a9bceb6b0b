import numpy as np
import pytest

from cairn.cli import main
from support.clouds import ascii_ply, bumpy_sphere, pcd

POINTS = bumpy_sphere(1200)


@pytest.fixture
def scan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.ply").write_bytes(ascii_ply(POINTS, comments=["units mm"]))
    return tmp_path / "scan.ply"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    output = capsys.readouterr()
    return ended.value.code, output.out, output.err


def test_the_summary_states_resolution_radii_and_count(scan, capsys):
    code, out, err = run(capsys, "keypoints", "scan.ply", "--salient-radius", "0.5mm")
    assert (code, err) == (0, "")
    assert " keypoints of 1200 points; resolution " in out
    assert "salient radius 0.5 mm (" in out
    assert "(4 x resolution) -> scan.keypoints.json" in out
    assert (scan.parent / "scan.keypoints.json").exists()


def test_several_scans_and_views(scan, capsys):
    (scan.parent / "b.pcd").write_bytes(pcd(POINTS, "binary_compressed"))
    code, out, _ = run(
        capsys, "keypoints", "scan.ply", "b.pcd", "--out", "found", "--write", "csv,mrk", "--html", "--png"
    )
    assert code == 0
    assert len(out.splitlines()) == 2
    names = {path.name for path in (scan.parent / "found").iterdir()}
    assert names == {f"{stem}.keypoints.{end}" for stem in ("scan", "b") for end in ("csv", "mrk.json", "html", "png")}


def test_a_flat_cloud_has_no_keypoints_and_says_so(scan, capsys):
    (scan.parent / "flat.ply").write_bytes(
        ascii_ply(np.column_stack([np.random.default_rng(0).random((300, 2)), np.zeros(300)]))
    )
    code, out, err = run(capsys, "keypoints", "flat.ply")
    assert code == 0
    assert "0 keypoints of 300 points" in out
    assert "it is flat or too sparse" in err


BAD = {
    "empty.ply": b"",
    "one.ply": ascii_ply(POINTS[:1]),
    "equal.ply": ascii_ply(np.ones((20, 3))),
    "nan.ply": ascii_ply(np.full((20, 3), np.nan)),
    "colors.ply": ascii_ply(POINTS[:9]).replace(b"float x", b"float red").replace(b"float y", b"float green"),
    "large.pcd": pcd(POINTS[:1]).replace(b" 1\n", b" 100000000\n", 5).replace(b"HEIGHT 100000000", b"HEIGHT 1"),
    "cut.ply": ascii_ply(POINTS)[:4000],
    "foreign.ply": b"\x89PNG\r\n\x1a\n" + bytes(99),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_clouds_are_one_line_and_leave_no_file(scan, capsys, name):
    (scan.parent / name).write_bytes(BAD[name])
    code, out, err = run(capsys, "keypoints", name, "--html", "--write", "json,ply")
    assert (code, out) == (2, "")
    assert err.startswith("cairn: ")
    assert len(err.splitlines()) == 1
    assert name in err
    assert not [path for path in scan.parent.iterdir() if "keypoints" in path.name]


def test_registration(scan, capsys):
    (scan.parent / "b.ply").write_bytes(ascii_ply(POINTS + np.array([3, 0, 0]), comments=["units mm"]))
    code, out, err = run(capsys, "register", "scan.ply", "b.ply")
    assert (code, err) == (0, "")
    assert "overlap 100% of the smaller cloud" in out
    np.testing.assert_allclose(np.loadtxt(scan.parent / "scan-to-b.txt")[:3, 3], [3, 0, 0], atol=1e-3)
    code, out, err = run(capsys, "register", "scan.ply", "b.ply", "--unit", "m", "--out", "x", "--min-overlap", "2")
    assert code == 2
    assert "min-overlap must be a share" in err


def test_repeatability(scan, capsys):
    (scan.parent / "pairs.json").write_text('{"poses": {"scan.ply": %s, "b.ply": %s}}' % ((np.eye(4).tolist(),) * 2))
    (scan.parent / "b.ply").write_bytes(scan.read_bytes())
    code, out, _ = run(capsys, "evaluate", "iss", "--repeatability", "pairs.json", "--num-keypoints", "15")
    assert code == 0
    assert "farthest" in out
    assert "overlap 100%, 15 and 15 keypoints" in out
    code, _, err = run(capsys, "evaluate")
    assert code == 2
    assert "got nothing" in err
