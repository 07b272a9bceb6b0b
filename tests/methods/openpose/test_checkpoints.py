"""The released networks with random weights: imported files against their prototxts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cairn.errors import ModelError
from cairn.inference.model_spec import ModelSpec
from cairn.methods.openpose.checkpoints import READER, read_checkpoint, recognizes
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.reading import Checkpoint, read_weights
from support import caffe_files
from support.caffe_files import Blobs, Prototxt

SIZES = (64, 64), (48, 96)


def imported(path: Path, weights: Blobs, legacy: bool = False) -> Checkpoint:
    path.write_bytes(caffe_files.caffemodel(weights, legacy))
    checkpoint = read_weights(path)
    path.unlink()  # a few hundred megabytes
    return checkpoint


def check(module: torch.nn.Module, net: Prototxt, weights: Blobs) -> None:
    for size in SIZES:
        images = np.random.default_rng(1).uniform(0, 255, (1, 3, *size)).astype(np.float32)
        expected = caffe_files.run(net, weights, images)
        with torch.inference_mode():
            got = torch.cat(module(torch.from_numpy(images)), dim=1).numpy()
        assert got.shape == expected.shape == (1, net.channels["net_output"], size[0] // 8, size[1] // 8)
        assert np.abs(expected).max() > 0.1
        assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()


def check_spec(spec: ModelSpec, skeleton_name: str, thresholds: dict[str, float], drawn: float) -> None:
    assert (spec.method, spec.stride, spec.input.multiple) == ("openpose", 8, 16)
    assert spec.skeleton == load_skeleton(skeleton_name)
    assert {key: spec.decode.get(key) for key in thresholds} == thresholds
    assert spec.draw_threshold == drawn
    if skeleton_name in ("hand21", "face70"):
        assert (spec.outputs, spec.task, spec.input.size) == (("heatmaps",), "crop", 368)
    else:
        assert (spec.outputs, spec.task) == (("heatmaps", "pafs"), "multi_instance")


@pytest.mark.parametrize(
    ("net", "skeleton_name", "thresholds", "drawn", "legacy"),
    [
        (caffe_files.two_branches(38, 19), "coco18", {"peak_threshold": 0.05, "sample_threshold": 0.05}, 0.05, True),
        (caffe_files.body_25(52, 26), "body25", {"peak_threshold": 0.05, "sample_share": 0.95}, 0.05, False),
        (caffe_files.one_branch(22), "hand21", {}, 0.2, False),
        (caffe_files.one_branch(71), "face70", {}, 0.4, False),
    ],
    ids=["COCO", "BODY_25", "hand", "face"],
)
def test_each_released_network_equals_its_prototxt(
    tmp_path: Path, net: Prototxt, skeleton_name: str, thresholds: dict[str, float], drawn: float, legacy: bool
) -> None:
    weights = caffe_files.random_weights(net)
    module, spec = read_checkpoint(imported(tmp_path / "net.caffemodel", weights, legacy), "net")
    check(module, net, weights)
    check_spec(spec, skeleton_name, thresholds, drawn)
    assert not module.training


def test_mpi_has_a_four_stage_network_within_its_weights(tmp_path: Path) -> None:
    net = caffe_files.two_branches(28, 16)
    weights = caffe_files.random_weights(net)
    checkpoint = imported(tmp_path / "net.caffemodel", weights)
    module, spec = read_checkpoint(checkpoint, "mpi")
    check(module, net, weights)
    check_spec(spec, "mpii15", {"peak_threshold": 0.6, "sample_threshold": 0.01}, 0.05)
    module, spec = read_checkpoint(checkpoint, "fast", stages=4)
    check(module, caffe_files.two_branches(28, 16, stages=4), weights)
    check_spec(spec, "mpii15", {"peak_threshold": 0.3, "sample_threshold": 0.01}, 0.05)
    assert spec.provenance == {"imported from": "OpenPose MPI", "stages": 4}


# ---- files of other formats, with two stages


@pytest.fixture(scope="module")
def net() -> Prototxt:
    return caffe_files.two_branches(38, 19, stages=2)


@pytest.fixture(scope="module")
def weights(net: Prototxt) -> Blobs:
    return caffe_files.random_weights(net)


@pytest.fixture(scope="module")
def checkpoint(weights: Blobs) -> Checkpoint:
    return Checkpoint(Path("pose.pth"), named(weights))


def named(weights: Blobs, pattern: str = "{}.{}", kinds: tuple[str, str] = ("weight", "bias")) -> dict[str, Tensor]:
    return {
        pattern.format(layer, kind): torch.from_numpy(values)
        for layer, blobs in weights.items()
        for kind, values in zip(kinds, blobs, strict=False)
    }


def test_conversions_to_pytorch_and_numpy_are_recognized_by_the_ends_of_their_names(
    tmp_path: Path, net: Prototxt, weights: Blobs
) -> None:
    transposed = {
        layer: [values.transpose(2, 3, 1, 0) if values.ndim == 4 else values for values in blobs]
        for layer, blobs in weights.items()
    }
    torch.save(named(weights, "model1_1.{}.{}"), tmp_path / "modules.pth")
    torch.save({"state_dict": named(weights), "epoch": 3}, tmp_path / "state.pth.tar")
    np.savez(tmp_path / "plain.npz", **{key: value.numpy() for key, value in named(weights, "{}/{}").items()})
    tensorflow = named(transposed, "net/{}/{}:0", ("kernel", "bias"))
    np.savez(tmp_path / "tensorflow.npz", **{key: value.numpy() for key, value in tensorflow.items()})
    for name in ("modules.pth", "state.pth.tar", "plain.npz", "tensorflow.npz"):
        checkpoint = read_weights(tmp_path / name)
        assert recognizes(checkpoint)
        module, spec = read_checkpoint(checkpoint, "net")
        assert spec.provenance == {"imported from": "OpenPose COCO", "stages": 2}
        loaded = module.layer.state_dict()
        for layer, (kernel, bias) in weights.items():
            assert np.array_equal(loaded[f"{layer}.weight"], kernel)
            assert np.array_equal(loaded[f"{layer}.bias"], bias)
    check(module, net, weights)


def numbered(weights: Blobs) -> dict[str, Tensor]:
    """The weights under the names of the early conversion: modules are numbered, activations and poolings, too."""
    result, at = {}, {"0": 0, **{f"{stage}_{branch}": 0 for stage in range(1, 7) for branch in (1, 2)}}
    for layer, blobs in weights.items():
        stage = layer.split("stage")[1][0] if "stage" in layer else "1"
        part = f"{stage}_{layer[-1]}" if "_L" in layer else "0"
        for kind, values in zip(("weight", "bias"), blobs, strict=True):
            result[f"model{part}.{at[part]}.{kind}"] = torch.from_numpy(values)
        at[part] += 3 if layer in ("conv1_2", "conv2_2", "conv3_4") else 2
    return result


@pytest.mark.parametrize("prefix", ["", "module."])
def test_numbered_modules_are_recognized(tmp_path: Path, net: Prototxt, weights: Blobs, prefix: str) -> None:
    state = {prefix + key: value for key, value in numbered(weights).items()}
    assert {f"{prefix}model0.25.weight", f"{prefix}model1_1.8.bias", f"{prefix}model2_2.12.weight"} <= set(state)
    torch.save(state, tmp_path / "pose_model.pth")
    checkpoint = read_weights(tmp_path / "pose_model.pth")
    assert READER.recognizes(checkpoint)
    module, spec = READER.read(checkpoint, "net")
    assert spec.provenance == {"imported from": "OpenPose COCO", "stages": 2}
    check(module, net, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model0.25.weight", "it lacks conv4_4_CPM.weight"),
        ("model2_1.12.bias", "it lacks Mconv7_stage2_L1.bias"),
        ("+model0.27.weight", "it has .*0?27.weight, which that network lacks"),
        ("+model1_1.10.weight", "it has .*10.weight, which that network lacks"),
        ("+model0.1.weight", "it has .*1.weight, which that network lacks"),
    ],
)
def test_numbered_modules_of_another_network_are_one_line(weights: Blobs, change: str, message: str) -> None:
    state = numbered(weights)
    if change[0] == "+":
        state[change[1:]] = torch.zeros(4)
    else:
        del state[change]
    with pytest.raises(ModelError, match=message):
        READER.read(Checkpoint(Path("pose_model.pth"), state), "net")


@pytest.mark.parametrize("as_list", [False, True])
def test_a_dictionary_of_layers_in_an_npy_file_is_recognized(
    tmp_path: Path, net: Prototxt, weights: Blobs, as_list: bool
) -> None:
    layers: dict[str, object] = {}
    for layer, (kernel, bias) in weights.items():
        arrays = {"weights": kernel.transpose(2, 3, 1, 0), "biases": bias}
        layers[layer] = list(arrays.values()) if as_list else arrays
    np.save(tmp_path / "openpose_coco.npy", np.array(layers, dtype=object), allow_pickle=True)
    module, spec = READER.read(read_weights(tmp_path / "openpose_coco.npy"), "net")
    assert spec.skeleton == load_skeleton("coco18")
    check(module, net, weights)


def test_slopes_of_a_prelu_may_have_spare_axes() -> None:
    weights = caffe_files.random_weights(caffe_files.body_25())
    flat = named(weights)
    spread = {key: value[None, None] if key.startswith(("prelu", "Mprelu")) else value for key, value in flat.items()}
    module, spec = read_checkpoint(Checkpoint(Path("b25.pth"), spread), "net")
    assert np.array_equal(module.layer["Mprelu3_stage2_L2_1"].weight.detach(), weights["Mprelu3_stage2_L2_1"][0])
    assert (spec.provenance["imported from"], spec.skeleton.name) == ("OpenPose BODY_25", "body25")
    feet = str(spec.decode["ignore_keypoints"]).split()
    assert feet == list(spec.skeleton.joints[19:])
    body25 = load_skeleton("body25")
    other = Skeleton("other", tuple(f"joint{i}" for i in range(25)), body25.limbs, body25.redundant)
    _, spec = read_checkpoint(Checkpoint(Path("b25.pth"), spread), "net", other)
    assert "ignore_keypoints" not in spec.decode  # it has no feet


def test_a_custom_skeleton_is_accepted_if_it_fits(checkpoint: Checkpoint) -> None:
    own = Skeleton("own", tuple("abcdefghijklmnopqr"), tuple((i, j) for i in range(17) for j in (i + 1,)))
    with pytest.raises(ModelError, match="19 maps and 38 fields, but skeleton own needs 19 maps and 34 fields"):
        read_checkpoint(checkpoint, "net", own)
    fitting = Skeleton("own", own.joints, (*own.limbs, (0, 2), (0, 3)), redundant=(17, 18))
    assert read_checkpoint(checkpoint, "net", fitting)[1].skeleton == fitting


def test_maps_of_no_released_network_need_a_skeleton(checkpoint: Checkpoint) -> None:
    last = {"conv5_5_CPM_L2", "Mconv7_stage2_L2"}
    weights = {key: value[:4] if key.split(".")[0] in last else value for key, value in checkpoint.weights.items()}
    seen = {f"Mconv1_stage2_{branch}.weight" for branch in ("L1", "L2")}
    weights |= {key: torch.cat([weights[key][:, :42], weights[key][:, 57:]], dim=1) for key in seen}
    other = Checkpoint(Path("pose.pth"), weights)
    with pytest.raises(ModelError, match="4 maps and 38 fields, unlike every released network: name their skeleton"):
        read_checkpoint(other, "net")
    triangle = Skeleton("triangle", ("a", "b", "c"), ((0, 1), (1, 2), *[(0, 2)] * 17), redundant=tuple(range(2, 19)))
    assert read_checkpoint(other, "net", triangle)[1].skeleton == triangle


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv4_4_CPM.weight": None}, "it lacks conv4_4_CPM.weight"),
        ({"Mconv3_stage2_L2.bias": None, "conv1_1.bias": None}, "lacks Mconv3_stage2_L2.bias, conv1_1.bias$"),
        ({"conv1_1_bn.weight": (64,)}, "it has conv1_1_bn.weight, which that network lacks"),
        ({"Mconv7_stage5_L1.bias": (38,)}, "lacks Mconv1_stage3_L1.bias, .* and .* more"),
        ({"conv3_4.weight": (256, 256, 1, 1)}, r"conv3_4.weight must be \(256, 256, 3, 3\), got \(256, 256, 1, 1\)"),
        ({"Mconv7_stage2_L1.bias": (28,)}, r"Mconv7_stage2_L1.bias must be \(38,\), got \(28,\)"),
        ({"conv1_2.bias": torch.full((64,), torch.nan)}, "conv1_2.bias has values that are not finite"),
        ({"module.conv1_2.bias": (64,)}, "has conv1_2.bias twice, the second time as module.conv1_2.bias"),
    ],
    ids=["missing", "missing two", "unknown", "missing stage", "kernel", "channels", "not finite", "twice"],
)
def test_error_messages_name_the_layer(
    checkpoint: Checkpoint, change: dict[str, Tensor | tuple[int, ...] | None], message: str
) -> None:
    changed = {key: torch.zeros(value) if isinstance(value, tuple) else value for key, value in change.items()}
    weights = {key: value for key, value in (checkpoint.weights | changed).items() if value is not None}
    with pytest.raises(ModelError, match=message):
        read_checkpoint(Checkpoint(checkpoint.path, weights), "net")


@pytest.mark.parametrize("stages", [0, 3])
def test_more_stages_than_the_file_has_raise_model_error(checkpoint: Checkpoint, stages: int) -> None:
    with pytest.raises(ModelError, match=f"has 2 stages: expected --stages from 1 to 2, got {stages}"):
        read_checkpoint(checkpoint, "net", stages=stages)


def test_vgg_alone_is_not_recognized(checkpoint: Checkpoint) -> None:
    weights = {key: value for key, value in checkpoint.weights.items() if key < "conv4_3" and key[0] == "c"}
    vgg = Checkpoint(checkpoint.path, weights | {"fc6.weight": torch.zeros(4, 4)})
    assert len(weights) == 20
    assert not recognizes(vgg)
    with pytest.raises(
        ModelError, match=r"weights of another network than OpenPose's .*: it contains conv1_1.bias, .* and 18 more"
    ):
        read_checkpoint(vgg, "net")
