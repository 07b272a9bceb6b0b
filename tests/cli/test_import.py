"""`cairn import` from the shell's side: a published checkpoint becomes a model that detects."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cairn
from cairn.cli import main
from cairn.methods.hourglass.model import Hourglass
from cairn.network import OnnxNetwork

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
    """Our one-stack network under the port's names, which tests/hourglass/test_checkpoints.py checks for themselves."""
    names = {}
    for key, value in network.state_dict().items():
        key = key.replace("stem.conv.", "conv1.").replace("stem.norm.", "bn1.")
        for i in range(3):
            key = key.replace(f"stem.residuals.{i}.", f"layer{i + 1}.0.")
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
    network = Hourglass(joints=16, stacks=1, features=16, stem=(8, 8, 16))
    for name, value in network.named_buffers():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    torch.save(anibali_names(network), tmp_path / "hg1.pth.tar")
    return tmp_path / "hg1.pth.tar"


def test_the_written_model_is_the_checkpoints_network_with_skeleton_and_preprocessing(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    status, stdout, stderr = run("hg1.pth.tar", "--out", "models/mine.onnx")
    assert (status, stdout) == (0, "models/mine.onnx\n")
    assert stderr == "anibali: 1 stacks, 16 joints of mpii16\n"
    network = OnnxNetwork(tmp_path / "models" / "mine.onnx", threads=1)
    spec = network.spec
    assert (spec.method, spec.skeleton, spec.outputs) == ("hourglass", cairn.skeleton("mpii16"), ("heatmaps",))
    assert (spec.input.fit, spec.input.size, spec.input.multiple, spec.stride) == ("crop", 256, 64, 4)

    same = Hourglass(joints=16, stacks=1, features=16, stem=(8, 8, 16), mean=(0.4404, 0.4440, 0.4327)).eval()
    same.load_state_dict(dict(zip(same.state_dict(), torch.load(checkpoint).values(), strict=True)))
    images = np.random.default_rng(0).uniform(0, 255, (3, 3, 256, 256)).astype(np.float32)
    with torch.no_grad():
        expected = same(torch.from_numpy(images))[-1].numpy()
    assert np.abs(network(images)["heatmaps"] - expected).max() < 1e-3 * np.abs(expected).max()

    picture = np.random.default_rng(1).integers(0, 256, (100, 120, 3), np.uint8)
    poses = cairn.load(tmp_path / "models" / "mine.onnx", threads=1, flip=True)(picture, boxes=[[10, 10, 60, 80]])
    assert poses.keypoints.shape == (1, 16, 2)


def test_file_and_model_are_called_as_the_checkpoint_unless_told(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, Path]] = []
    monkeypatch.setattr("cairn.training.export.export", lambda _, spec, path: written.append((spec.name, path)))
    run("hg1.pth.tar")
    run("hg1.pth.tar", "--name", "port", "--out", "other.onnx")
    assert written == [("hg1", Path("hg1.onnx")), ("port", Path("other.onnx"))]
    (tmp_path / "hg1.onnx").touch()
    status, _, stderr = run("hg1.pth.tar")
    assert status == 2
    assert "hg1.onnx is there already: say --out" in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.pth"], "no checkpoint at absent.pth"),
        (["half.pth"], "half.pth is truncated, or no PyTorch checkpoint"),
        (["other.pth"], "other.pth is of another architecture"),
        (["hg1.pth.tar", "--skeleton", "lsp14"], "has 16 heatmaps and skeleton lsp14 14 joints"),
        (["hg1.pth.tar", "--skeleton", "horse"], "no skeleton 'horse'"),
        (["hg1.pth.tar", "--out", "half.pth/x.onnx"], "cannot write half.pth/x.onnx"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
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
