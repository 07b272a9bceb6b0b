"""Published networks as a start: `--from coco.onnx` trains the network of the file, also for other joints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cairn
import cairn.methods.openpose.training as openpose
from cairn.datasets.labels import Labels
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.methods.autoconfig import with_network
from cairn.methods.openpose.network import network_of
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.methods.openpose.released import IMAGE, Architecture, Convolution, Released
from cairn.methods.openpose.released_weights import trainable
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.autoconfig.choices import Choice
from cairn.training.checkpoints.pretrained import Start, carry_over, read_start
from cairn.training.data.loading import stack
from cairn.training.engine.initial_weights import build_module
from cairn.training.engine.training_module import make_optimizer
from cairn.training.exporting.onnx_file import export
from cairn.training.recipe_tables import check_recipe
from support import caffe_files
from support.caffe_files import Blobs, Prototxt
from support.made_data import THING, made_labels

NETWORKS: dict[str, tuple[Prototxt, str, dict[str, object]]] = {
    "COCO": (
        caffe_files.two_branches(38, 19, stages=2),
        "coco18",
        {"kind": "cvpr", "paf_stages": 2, "background": True, "normalization": "centered"},
    ),
    "MPI": (
        caffe_files.two_branches(28, 16, stages=1),
        "mpii15",
        {"kind": "cvpr", "paf_stages": 1, "background": True, "normalization": "centered"},
    ),
    "BODY_25": (
        caffe_files.body_25(),
        "body25",
        {"kind": "paper", "background": True, "prelu": True, "normalization": "centered"},
    ),
    "hand": (
        caffe_files.one_branch(22),
        "hand21",
        {"kind": "hand", "background": True, "normalization": "centered"},
    ),
    "face": (
        caffe_files.one_branch(71),
        "face70",
        {"kind": "hand", "background": True, "normalization": "centered"},
    ),
}
"""Published network -> its description, its skeleton, the settings of the network that is trained."""


def layers(weights: Blobs) -> dict[str, torch.Tensor]:
    """The weights by their names in an imported file."""
    result = {}
    for layer, blobs in weights.items():
        if len(blobs) == 1:  # a PReLU
            result[f"layer.{layer.replace('prelu', 'conv')}.slopes"] = torch.from_numpy(blobs[0])[:, None, None]
        for kind, values in zip(("weight", "bias"), blobs if len(blobs) == 2 else (), strict=False):
            result[f"layer.{layer}.{kind}"] = torch.from_numpy(values)
    return result


def module_for(tables: dict[str, object], joints: Skeleton) -> openpose.OpenPoseModule:
    recipe = check_recipe(openpose.Recipe, {"network": tables, "loss": {"kind": "squared"}, "input": {"size": 64}})
    return openpose.module(recipe, joints, Labels(joints, (), np.ones(len(joints), bool)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_that_trains_predicts_what_the_published_one_does(name: str) -> None:
    net, skeleton_name, settings = NETWORKS[name]
    weights, skeleton = caffe_files.random_weights(net), load_skeleton(skeleton_name)
    start = Start(name, "openpose", skeleton, trainable(layers(weights)))
    table = network_of(start.weights, len(skeleton))
    assert NetworkSettings.model_validate(table) == NetworkSettings.model_validate(settings)
    module = module_for(table, skeleton)
    carried, places = carry_over(module.network, start, module.channels(), module.channels())
    assert carried == places > 0
    images = np.random.default_rng(1).uniform(0, 255, (1, 3, 48, 64)).astype(np.float32)
    expected = caffe_files.run(net, weights, images)
    with torch.inference_mode():
        got = torch.cat(module.export_module().eval()(torch.from_numpy(images)), dim=1).numpy()
    assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()


def test_a_class_of_joints_that_the_published_network_lacks_keeps_its_initial_weights() -> None:
    net, _, settings = NETWORKS["COCO"]
    coco18 = load_skeleton("coco18")
    start = Start("coco", "openpose", coco18, trainable(layers(caffe_files.random_weights(net))))
    other = Skeleton("other", ("tail", "nose", "neck"), ((2, 1), (2, 0)))
    module, published = module_for(settings, other), module_for(settings, coco18)
    before = {key: value.clone() for key, value in module.network.state_dict().items()}
    carried, places = carry_over(module.network, start, module.channels(), published.channels())
    assert 0 < carried < places
    head = "heatmap_branches.0.8.weight"
    state = module.network.state_dict()
    assert torch.equal(state[head][0], before[head][0])  # tail
    assert torch.equal(state[head][1], start.weights[head][0])  # nose
    assert torch.equal(state[head][3], start.weights[head][18])  # background
    limb = coco18.limbs.index((1, 0))
    fields = "paf_branches.0.8.weight"
    assert torch.equal(state[fields][:2], start.weights[fields][2 * limb : 2 * limb + 2])  # neck to nose
    assert torch.equal(state[fields][2:], before[fields][2:])  # neck to tail


# ---- files of `cairn import`, with one stage


def test_the_slopes_of_a_prelu_are_found_in_an_exported_file(tmp_path: Path) -> None:
    layers = (Convolution("conv1_1", (IMAGE,), 4, 3, "prelu"), Convolution("conv1_2", ("conv1_1",), 3, 1, "prelu"))
    module = Released(Architecture(layers, ("conv1_2",)))
    for layer, slope in (("prelu1_1", 0.1), ("prelu1_2", 0.4)):
        torch.nn.init.constant_(module.layer[layer].weight, slope)
    spec = ModelSpec(
        name="small", method="openpose", skeleton=THING, task="crop", input=InputSpec(resize="square", size=16),
        stride=2, outputs=("heatmaps",),
    )  # fmt: skip
    export(module, spec, tmp_path / "small.onnx")
    weights = read_start(str(tmp_path / "small.onnx")).weights
    assert torch.equal(weights["layer.conv1_1.slopes"].flatten(), torch.full((4,), 0.1))
    assert torch.equal(weights["layer.conv1_2.slopes"].flatten(), torch.full((3,), 0.4))
    assert torch.equal(weights["layer.conv1_2.weight"], module.layer["conv1_2"].weight)


@pytest.mark.parametrize(
    "net", [caffe_files.two_branches(38, 19, stages=1), caffe_files.one_branch(22, stages=1)], ids=["COCO", "hand"]
)
def test_fine_tuning_an_imported_file_lowers_the_loss(net: Prototxt, tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffe_files.caffemodel(caffe_files.random_weights(net)))
    model = cairn.import_model(tmp_path / "net.caffemodel", out=tmp_path / "net.onnx")
    made_labels(tmp_path / "set", 4)
    method, source = openpose.TRAINING, [{"labels": str(tmp_path / "set" / "labels.json")}]
    given = {"pretrained": str(model), "method": "openpose", "data": {"train": source, "val": source}}
    chosen = with_network(Choice({**given, "run": {"threads": 1}, "augmentation": STILL}))
    tables = put_input(chosen.tables)
    recipe = check_recipe(openpose.Recipe, tables)
    assert (recipe.loss.kind, recipe.network.background, recipe.optimizer.learning_rate) == ("squared", True, 1e-4)
    skeleton, sources, val = method.read_data(recipe, tmp_path)
    training = method.training_set(recipe, skeleton, sources)
    module = build_module(method, recipe, skeleton, val, training, resumed=False)
    start = method.adopted(read_start(str(model)))
    assert torch.equal(
        module.network.state_dict()["backbone.stages.4.0.bias"], start.weights["backbone.stages.4.0.bias"]
    )
    batch = stack([training[0], training[1]])
    optimizer = make_optimizer(module.network, recipe.optimizer, module.backbone)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = torch.stack(list(module.losses(batch).values())).sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]
    crops = module.export_module().eval()(torch.zeros(1, 3, 64, 64))
    assert [maps.shape[1] for maps in crops] == ([4] if recipe.network.kind == "hand" else [4, 4])


STILL = {"rotation": 0, "scale": [1, 1], "shift": 0, "flip": 0}


def put_input(tables: dict[str, Any]) -> dict[str, Any]:
    """Small crops: the published sizes take long here."""
    return {**tables, "input": {"size": 64, "inference_size": 256}}


def test_the_loss_of_a_fine_tuned_model_is_known_to_the_next_run(tmp_path: Path) -> None:
    recipe = check_recipe(
        openpose.Recipe, {"network": {"kind": "hand", "heatmap_stages": 1}, "loss": {"kind": "squared"}}
    )
    joints = Labels(THING, (), np.ones(3, bool))
    assert openpose.module(recipe, THING, joints).spec().provenance == {"loss": "squared"}
    usual = check_recipe(openpose.Recipe, {"network": {"kind": "hand", "heatmap_stages": 1}})
    assert openpose.module(usual, THING, joints).spec().provenance == {}
