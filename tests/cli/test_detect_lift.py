"""`cairn detect --lift`: 3D files beside the 2D ones, and options that contradict one another."""

from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.errors import CairnError, CameraError, ModelError
from cairn.inference.lifter import LifterSpec
from cairn.methods.lifting.network import Lifting, LiftingGraph
from cairn.multiview.cameras import write_cameras
from cairn.multiview.results.json_file import read_tracks
from cairn.structures.camera import Camera, Rig
from cairn.structures.skeleton import load_skeleton
from cairn.training.exporting.onnx_file import Graph, export_graph
from support.ended import run_cairn

torch = pytest.importorskip("torch")
PHOTO = str(Path(__file__).parents[2] / "examples" / "portraits.jpg")


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    """A file of an untrained network for coco17."""
    torch.manual_seed(0)
    graph = LiftingGraph(Lifting(51, 51, 16, 1), "pose", 17)
    spec = LifterSpec(name="small", method="lifting", skeleton=load_skeleton("coco17"), root=("left_hip", "right_hip"))
    path = tmp_path_factory.mktemp("lifter") / "small.onnx"
    dims = ({0: torch.export.Dim("batch", min=1, max=64)},)
    check = np.ones((2, 17, 3), np.float32)
    export_graph(Graph(graph, {"keypoints": torch.ones(2, 17, 3)}, dims, ("keypoints3d",), ((check,),)), spec, path)
    return path


def test_a_photo_gets_its_people_in_3d(lifter, tmp_path):
    run = cairn.detect(PHOTO, lift=lifter, out=tmp_path)
    tracks = read_tracks(tmp_path / "portraits.cairn3d.json")
    assert len(tracks.ids) == run.people == 2
    assert (tmp_path / "portraits.cairn3d.html").is_file()
    assert {path.name for path in run.results} >= {"portraits.cairn3d.json", "portraits.cairn3d.html"}


def test_the_camera_matters(lifter, tmp_path):
    matrix = np.array([[900.0, 0, 300], [0, 900, 200], [0, 0, 1]])
    cameras = [Camera(f"cam{i}", matrix, [-0.3 * i, 0, 0, 0], np.eye(3), np.zeros(3)) for i in (0, 1)]
    write_cameras(Rig(tuple(cameras)), tmp_path / "cameras.toml")
    found = []
    for camera in (f"{tmp_path / 'cameras.toml'}:cam0", f"{tmp_path / 'cameras.toml'}:cam1", cameras[1]):
        cairn.detect(PHOTO, lift=lifter, camera=camera, out=tmp_path / "out", write="csv")
        found.append(read_tracks(tmp_path / "out" / "portraits.cairn3d.json").keypoints)
    assert np.nanmax(np.abs(found[0] - found[1])) > 1e-3
    np.testing.assert_allclose(found[1], found[2])
    with pytest.raises(CairnError, match=r"has the cameras cam0, cam1: name one, as in .*:cam0"):
        cairn.detect(PHOTO, lift=lifter, camera=tmp_path / "cameras.toml", out=tmp_path / "out")
    with pytest.raises(CameraError, match="no camera 'cam7'"):
        cairn.detect(PHOTO, lift=lifter, camera=f"{tmp_path / 'cameras.toml'}:cam7", out=tmp_path / "out")


def test_contradictions_are_one_line(lifter, tmp_path):
    with pytest.raises(CairnError, match="camera is for lift"):
        cairn.detect(PHOTO, camera="cameras.toml", out=tmp_path)
    with pytest.raises(ModelError, match="is a model of images"):
        cairn.detect(PHOTO, lift="person", out=tmp_path)
    with pytest.raises(ModelError, match="no model 'lifty'"):
        cairn.detect(PHOTO, lift="lifty", out=tmp_path)
    with pytest.raises(ModelError, match="lifts keypoints of coco17, and face68 has 0"):
        cairn.detect(PHOTO, model="face-landmarks", lift=lifter, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_line_has_the_same_words(lifter, tmp_path, capsys):
    result = run_cairn(capsys, "detect", PHOTO, "--lift", str(lifter), "--out", str(tmp_path))
    assert result.status == 0, result.stderr
    assert "portraits.cairn3d.json" in result.stderr
    result = run_cairn(capsys, "detect", PHOTO, "--camera", "cameras.toml", "--out", str(tmp_path / "other"))
    assert result.status == 2
    assert result.stderr.startswith("cairn: camera is for lift")
