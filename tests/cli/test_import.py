"""`cairn import`: published weights become a model file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cairn
from cairn.cli import main
from cairn.inference.network import OnnxNetwork
from cairn.methods.hourglass.model import Hourglass
from cairn.methods.openpose import predictor
from cairn.training.backbones.hourglass_stem import HourglassStem
from support import caffe_files

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["import", *arguments])
        code = ended.value.code
        return (code if isinstance(code, int) else 0), *capsys.readouterr()

    return run


def anibali_names(network: Hourglass) -> dict[str, torch.Tensor]:
    """Returns the weights under the names of the port by anibali."""
    names = {}
    for key, value in network.state_dict().items():
        key = key.replace("backbone.stages.0.0.", "conv1.").replace("backbone.stages.0.1.", "bn1.")
        for i, place in enumerate(("1.0", "2", "3"), start=1):
            key = key.replace(f"backbone.stages.{place}.", f"layer{i}.0.")
        depth = key.count("inner.")
        for place, j in (("up", 0), ("low1", 1), ("low3", 2)):
            key = key.replace(f"stacks.0.hourglass.{'inner.' * depth}{place}.", f"hg.0.hg.{3 - depth}.{j}.")
        key = key.replace("stacks.0.hourglass.inner.inner.inner.inner.", "hg.0.hg.0.3.")
        key = key.replace("stacks.0.residuals.", "res.0.").replace("stacks.0.conv.", "fc.0.0.")
        key = key.replace("stacks.0.norm.", "fc.0.1.").replace("stacks.0.heatmaps.", "score.0.")
        for i in range(3):
            key = key.replace(f".norms.{i}.", f".bn{i + 1}.").replace(f".convs.{i}.", f".conv{i + 1}.")
        names[key.replace(".skip.", ".downsample.0.")] = value
    return names


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Hourglass(joints=16, stacks=1, features=16, backbone=HourglassStem(16, (8, 8, 16)))
    for name, value in network.named_buffers():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    torch.save(anibali_names(network), tmp_path / "hg1.pth.tar")
    return tmp_path / "hg1.pth.tar"


def test_imported_model_equals_the_checkpoint_with_its_preprocessing(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    status, stdout, stderr = run("hg1.pth.tar", "--out", "models/mine.onnx")
    assert (status, stdout) == (0, "models/mine.onnx\n")
    assert stderr == "anibali: 1 stacks, 16 features, 16 joints of mpii16\n"
    network = OnnxNetwork(tmp_path / "models" / "mine.onnx", threads=1)
    spec = network.spec
    assert (spec.method, spec.skeleton, spec.outputs) == ("hourglass", cairn.load_skeleton("mpii16"), ("heatmaps",))
    assert (spec.task, spec.input.size, spec.input.multiple, spec.stride) == ("crop", 256, 64, 4)

    stem = HourglassStem(16, (8, 8, 16), mean=(0.4404, 0.4440, 0.4327))
    same = Hourglass(joints=16, stacks=1, features=16, backbone=stem).eval()
    same.load_state_dict(dict(zip(same.state_dict(), torch.load(checkpoint).values(), strict=True)))
    images = np.random.default_rng(0).uniform(0, 255, (3, 3, 256, 256)).astype(np.float32)
    with torch.no_grad():
        expected = same(torch.from_numpy(images))[-1].numpy()
    assert np.abs(network(images)["heatmaps"] - expected).max() < 1e-3 * np.abs(expected).max()

    image = np.random.default_rng(1).integers(0, 256, (100, 120, 3), np.uint8)
    poses = cairn.load(tmp_path / "models" / "mine.onnx", threads=1, flip=True)(image, boxes=[[10, 10, 60, 80]])
    assert poses.keypoints.shape == (1, 16, 2)


def test_default_names_follow_the_checkpoint(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, Path]] = []
    monkeypatch.setattr(
        "cairn.training.exporting.onnx_file.export", lambda _, spec, path: written.append((spec.name, path))
    )
    run("hg1.pth.tar")
    run("hg1.pth.tar", "--name", "port", "--out", "other.onnx")
    assert written == [("hg1", Path("hg1.onnx")), ("port", Path("other.onnx"))]
    (tmp_path / "hg1.onnx").touch()
    status, _, stderr = run("hg1.pth.tar")
    assert status == 2
    assert "hg1.onnx exists: name another file with --out" in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.pth"], "no checkpoint at absent.pth"),
        (["half.pth"], "half.pth is truncated, or not a PyTorch checkpoint"),
        (["other.pth"], "other.pth holds weights of an unknown network"),
        (["hg1.pth.tar", "--skeleton", "lsp14"], "has 16 heatmaps, but skeleton lsp14 has 14 joints"),
        (["hg1.pth.tar", "--skeleton", "horse"], "no skeleton 'horse'"),
        (["hg1.pth.tar", "--out", "half.pth/x.onnx"], "cannot write half.pth/x.onnx"),
    ],
)
def test_invalid_input_is_one_line_and_writes_nothing(
    run: Run, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "half.pth").write_bytes(checkpoint.read_bytes()[:50_000])
    torch.save({"fc.weight": torch.zeros(3, 4)}, tmp_path / "other.pth")
    before = set(tmp_path.rglob("*"))
    status, stdout, stderr = run(*arguments)
    assert (status, stdout) == (2, "")
    assert message in stderr
    assert len(stderr.splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before


# ---- OpenPose, with two stages

NET = caffe_files.two_branches(38, 19, stages=2)


@pytest.fixture(scope="module")
def caffemodel() -> bytes:
    return caffe_files.caffemodel(caffe_files.random_weights(NET))


def test_imported_caffemodel_equals_its_prototxt(run: Run, caffemodel: bytes, tmp_path: Path) -> None:
    (tmp_path / "pose.caffemodel").write_bytes(caffemodel)
    assert run("pose.caffemodel") == (0, "pose.onnx\n", "OpenPose COCO: 2 stages, 18 joints of coco18\n")
    network = OnnxNetwork(tmp_path / "pose.onnx", threads=1)
    for size in ((64, 96), (112, 48)):
        images = np.random.default_rng(0).uniform(0, 255, (1, 3, *size)).astype(np.float32)
        expected = caffe_files.run(NET, caffe_files.random_weights(NET), images)
        maps = network(images)
        for name, wanted in (("heatmaps", expected[:, :19]), ("pafs", expected[:, 19:])):
            assert np.abs(maps[name] - wanted).max() < 1e-3 * np.abs(wanted).max()
    image = np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)
    model = predictor(network, size=96, max_peaks=5)
    assert model(image).skeleton == cairn.load_skeleton("coco18").shown


def test_number_of_stages_and_skeleton_are_options(
    run: Run, caffemodel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = []
    monkeypatch.setattr("cairn.training.exporting.onnx_file.export", lambda _, spec, path: specs.append(spec))
    (tmp_path / "pose.caffemodel").write_bytes(caffemodel)
    own = (
        (Path(cairn.__file__).parent / "structures" / "skeletons" / "coco18.toml")
        .read_text()
        .replace('"coco18"', '"mine"')
    )
    (tmp_path / "mine.toml").write_text(own)
    assert run("pose.caffemodel", "--stages", "1", "--skeleton", "mine.toml")[0] == 0
    assert (specs[0].name, specs[0].skeleton.name, specs[0].provenance["stages"]) == ("pose", "mine", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["half.caffemodel"], "half.caffemodel is truncated: it ends after layer conv"),
        (["page.caffemodel"], "page.caffemodel is not a caffemodel"),
        (["half.npz"], "half.npz is truncated, or not an .npz file of plain arrays"),
        (["objects.npz"], "objects.npz is truncated, or not an .npz file of plain arrays (ValueError)"),
        (
            ["other.caffemodel"],
            "expected one of OpenPose's COCO, MPI, BODY_25, hand and face, Lightweight OpenPose, Stacked Hourglass of",
        ),
        (["other.caffemodel"], "got fc6.bias, fc6.weight, fc7.bias and 1 more"),
        (["pose.caffemodel", "--skeleton", "mpii15"], "19 maps and 38 fields, but skeleton mpii15 needs 16 maps"),
        (["pose.caffemodel", "--stages", "4"], "has 2 stages: expected --stages from 1 to 2, got 4"),
        (["hg1.pth.tar", "--stages", "4"], "which has no option --stages: leave it out"),
    ],
)
def test_invalid_caffemodels_are_one_line_and_write_nothing(
    run: Run, caffemodel: bytes, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    fc = [np.zeros((3, 4), np.float32), np.zeros(3, np.float32)]
    (tmp_path / "pose.caffemodel").write_bytes(caffemodel)
    (tmp_path / "half.caffemodel").write_bytes(caffemodel[: len(caffemodel) // 2])
    (tmp_path / "page.caffemodel").write_text("<html>Not found</html>")
    (tmp_path / "other.caffemodel").write_bytes(caffe_files.caffemodel({"fc6": fc, "fc7": fc}))
    np.savez(tmp_path / "objects.npz", weights=np.array([{}], dtype=object))
    np.savez(tmp_path / "half.npz", weights=np.zeros(999))
    (tmp_path / "half.npz").write_bytes((tmp_path / "half.npz").read_bytes()[:4000])
    before = set(tmp_path.rglob("*"))
    status, stdout, stderr = run(*arguments)
    assert (status, stdout) == (2, "")
    assert message in stderr
    assert len(stderr.splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before
