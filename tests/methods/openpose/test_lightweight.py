"""Lightweight OpenPose: imported weights against the network of the paper, computed by functions of torch alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import cairn
import cairn.methods.openpose.training as openpose
import cairn.training.engine.loop as loop
from cairn.datasets.labels import Labels
from cairn.errors import ModelError, RecipeError
from cairn.inference.network import OnnxNetwork
from cairn.methods.openpose.checkpoints import READER
from cairn.methods.openpose.lightweight import lightweight_openpose
from cairn.methods.openpose.network import network_of
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.pretrained import carry_over, folded_norms, read_start, restore_norms
from cairn.training.checkpoints.reading import Checkpoint
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING, made_labels

Weights = dict[str, Tensor]

BACKBONE = [(32, 64, 1, 1), (64, 128, 2, 1), (128, 128, 1, 1), (128, 256, 2, 1), (256, 256, 1, 1), (256, 512, 1, 1)]
BACKBONE += [(512, 512, 1, 2), *[(512, 512, 1, 1)] * 4]
"""Inputs, outputs, stride and dilation of the depthwise-separable layers."""

PUBLISHED_CHANNELS = {
    (1, 2): 12, (1, 5): 20, (2, 3): 14, (3, 4): 16, (5, 6): 22, (6, 7): 24, (1, 8): 0, (8, 9): 2, (9, 10): 4,
    (1, 11): 6, (11, 12): 8, (12, 13): 10, (1, 0): 28, (0, 14): 30, (14, 16): 34, (0, 15): 32, (15, 17): 36,
    (2, 16): 18, (5, 17): 26,
}  # fmt: skip
"""Limb -> PAF channel of its x, as the published decoder reads them."""


# ---- the network, under the published names
# vocabulary: off


def relu_conv(w: Weights, name: str, x: Tensor, **options: int) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **options).clamp(min=0)


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    scale = w[f"{name}.weight"] / (var + 1e-5).sqrt()
    return ((x - mean[:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]).clamp(min=0)


def reference(w: Weights, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Heatmaps and PAFs of each stage for (B, 3, H, W) RGB from 0 to 255."""
    x = (images.flip(1) - 128) / 256  # BGR
    x = norm(w, "model.0.1", F.conv2d(x, w["model.0.0.weight"], stride=2, padding=1))
    for i, (inputs, _, stride, dilation) in enumerate(BACKBONE, start=1):
        kernel = w[f"model.{i}.0.weight"]
        x = norm(w, f"model.{i}.1", F.conv2d(x, kernel, None, stride, dilation, dilation, groups=inputs))
        x = norm(w, f"model.{i}.4", F.conv2d(x, w[f"model.{i}.3.weight"]))
    y = x = relu_conv(w, "cpm.align.0", x)
    for i in range(3):
        y = F.elu(F.conv2d(y, w[f"cpm.trunk.{i}.0.weight"], padding=1, groups=128))
        y = F.elu(F.conv2d(y, w[f"cpm.trunk.{i}.2.weight"]))
    features = relu_conv(w, "cpm.conv.0", x + y, padding=1)

    def heads(stage: str, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = [relu_conv(w, f"{stage}.{part}.0.0", x) for part in ("heatmaps", "pafs")]
        return tuple(
            F.conv2d(each, w[f"{stage}.{part}.1.0.weight"], w[f"{stage}.{part}.1.0.bias"])
            for each, part in zip(hidden, ("heatmaps", "pafs"), strict=True)
        )

    x = features
    for i in range(3):
        x = relu_conv(w, f"initial_stage.trunk.{i}.0", x, padding=1)
    outputs = [heads("initial_stage", x)]
    while (stage := f"refinement_stages.{len(outputs) - 1}") + ".trunk.0.initial.0.weight" in w:
        x = torch.cat([features, *outputs[-1]], dim=1)
        for block in (f"{stage}.trunk.{i}" for i in range(5)):
            x = relu_conv(w, f"{block}.initial.0", x)
            y = x
            for i, dilation in ((0, 1), (1, 2)):
                layer = f"{block}.trunk.{i}"
                kernel, bias = w[f"{layer}.0.weight"], w[f"{layer}.0.bias"]
                y = norm(w, f"{layer}.1", F.conv2d(y, kernel, bias, padding=dilation, dilation=dilation))
            x = x + y
        outputs.append(heads(stage, x))
    return outputs


class Drawing(dict):
    def __init__(self) -> None:
        super().__init__()
        self.rng = torch.Generator().manual_seed(3)

    def conv(self, name: str, inputs: int, outputs: int, size: int = 1, bias: bool = True, groups: int = 1) -> None:
        shape = (outputs, inputs // groups, size, size)
        self[f"{name}.weight"] = torch.randn(shape, generator=self.rng) * (2 / (inputs // groups * size**2)) ** 0.5
        if bias:
            self[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=self.rng)

    def norm(self, name: str, width: int) -> None:
        self[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=self.rng)
        self[f"{name}.bias"] = 0.1 * torch.randn(width, generator=self.rng)
        self[f"{name}.running_mean"] = 0.2 * torch.randn(width, generator=self.rng)
        self[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=self.rng)
        self[f"{name}.num_batches_tracked"] = torch.tensor(7)


def published(refinements: int = 1, maps: int = 19, fields: int = 38) -> Weights:
    w = Drawing()
    w.conv("model.0.0", 3, 32, 3, bias=False)
    w.norm("model.0.1", 32)
    for i, (inputs, outputs, _, _) in enumerate(BACKBONE, start=1):
        w.conv(f"model.{i}.0", inputs, inputs, 3, bias=False, groups=inputs)
        w.norm(f"model.{i}.1", inputs)
        w.conv(f"model.{i}.3", inputs, outputs, bias=False)
        w.norm(f"model.{i}.4", outputs)
    w.conv("cpm.align.0", 512, 128)
    for i in range(3):
        w.conv(f"cpm.trunk.{i}.0", 128, 128, 3, bias=False, groups=128)
        w.conv(f"cpm.trunk.{i}.2", 128, 128, bias=False)
        w.conv(f"initial_stage.trunk.{i}.0", 128, 128, 3)
    w.conv("cpm.conv.0", 128, 128, 3)
    for part, channels in (("heatmaps", maps), ("pafs", fields)):
        w.conv(f"initial_stage.{part}.0.0", 128, 512)
        w.conv(f"initial_stage.{part}.1.0", 512, channels)
    for s in range(refinements):
        for k in range(5):
            block = f"refinement_stages.{s}.trunk.{k}"
            w.conv(f"{block}.initial.0", 128 if k else 128 + maps + fields, 128)
            for i in range(2):
                w.conv(f"{block}.trunk.{i}.0", 128, 128, 3)
                w.norm(f"{block}.trunk.{i}.1", 128)
        for part, channels in (("heatmaps", maps), ("pafs", fields)):
            w.conv(f"refinement_stages.{s}.{part}.0.0", 128, 128)
            w.conv(f"refinement_stages.{s}.{part}.1.0", 128, channels)
    return dict(w)


# vocabulary: on


@pytest.fixture(scope="module")
def weights() -> Weights:
    return published()


@pytest.fixture(scope="module")
def model(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `cairn import` writes for a checkpoint as the published trainer saves it."""
    folder = tmp_path_factory.mktemp("lightweight")
    state = {"state_dict": weights, "optimizer": {"state": {}}, "scheduler": {"last_epoch": 3}, "iter": 370000}
    torch.save({**state, "current_epoch": 3}, folder / "checkpoint_iter_370000.pth")
    return cairn.import_model(folder / "checkpoint_iter_370000.pth", out=folder / "light.onnx")


def images(seed: int = 0, size: tuple[int, int] = (72, 104)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (2, 3, *size)).astype(np.float32)


def close(got: np.ndarray, expected: Tensor) -> None:
    assert got.shape == expected.shape
    assert np.abs(got - expected.numpy()).max() < 1e-3 * expected.abs().max()


# ---- laws


def test_the_network_has_as_many_parameters_as_published() -> None:
    counts = [sum(p.numel() for p in lightweight_openpose(19, 38, n).parameters()) / 1e6 for n in (2, 3, 4)]
    assert counts[0] == pytest.approx(4.09, abs=0.005)
    assert counts[1] - counts[0] == pytest.approx(counts[2] - counts[1])


def test_an_imported_checkpoint_predicts_what_the_paper_describes(model: Path, weights: Weights) -> None:
    network = OnnxNetwork(model, threads=1)
    expected = reference(weights, torch.from_numpy(images()))
    got = network(images())
    close(got["heatmaps"], expected[-1][0])
    close(got["pafs"], expected[-1][1])
    spec = network.spec
    assert (spec.license, spec.stride, spec.input.multiple, spec.outputs) == ("Apache-2.0", 8, 8, ("heatmaps", "pafs"))
    assert spec.decode == {
        "peak_threshold": 0.1, "sample_threshold": 0.05, "sample_share": 0.8, "min_parts": 3, "min_score": 0.2,
        "free_length": 0.5, "second_try": False,
    }  # fmt: skip
    assert cairn.load(model, threads=1)(np.zeros((90, 120, 3), np.uint8)).keypoints.shape[1:] == (18, 2)


def test_the_channels_of_the_pafs_are_those_of_the_published_decoder() -> None:
    assert {limb: 2 * i for i, limb in enumerate(load_skeleton("coco18").limbs)} == PUBLISHED_CHANNELS


@pytest.mark.parametrize(("refinements", "stages"), [(0, None), (3, None), (3, 2), (1, 1)])
def test_each_number_of_stages_is_imported(refinements: int, stages: int | None) -> None:
    weights = published(refinements)
    checkpoint = Checkpoint(Path("light.pth"), {f"module.{key}": value for key, value in weights.items()})
    assert READER.recognizes(checkpoint)
    module, spec = READER.read(checkpoint, "light", **({} if stages is None else {"stages": stages}))
    kept = stages or refinements + 1
    assert spec.provenance["stages"] == kept
    x = torch.from_numpy(images(1, (48, 64)))
    with torch.no_grad():
        for got, expected in zip(module(x), reference(weights, x)[kept - 1], strict=True):
            close(got.numpy(), expected)


def test_imported_weights_are_fine_tuned_from_the_file_to_other_joints(model: Path) -> None:
    start = read_start(str(model))
    assert start.loss == "squared"
    table = network_of(start.weights, 18)
    settings = NetworkSettings.model_validate(table)
    assert settings == NetworkSettings.model_validate({"kind": "lightweight", "background": True})
    recipe = check_recipe(openpose.Recipe, {"network": table, "loss": {"kind": "squared"}})
    coco18 = load_skeleton("coco18")
    other = Skeleton("other", ("left_ear", "tail", "neck"), ((2, 0), (2, 1)))

    def module_for(joints: Skeleton) -> openpose.OpenPoseModule:
        return openpose.module(recipe, joints, Labels(joints, (), np.ones(len(joints), bool)))

    same = module_for(coco18)
    carried, places = carry_over(same.network, start, same.channels(), same.channels())
    assert carried == places > 0
    x = torch.from_numpy(images(2, (64, 64)))
    restore_norms(same.network, folded_norms(same.network, start), [x])
    with torch.no_grad():
        got = same.export_module().eval()(x)
    expected = OnnxNetwork(model, threads=1)(x.numpy())
    close(got[0].numpy(), torch.from_numpy(expected["heatmaps"]))
    close(got[1].numpy(), torch.from_numpy(expected["pafs"]))
    fewer = module_for(other)
    carried, places = carry_over(fewer.network, start, fewer.channels(), same.channels())
    assert 0 < carried < places
    with torch.no_grad():
        maps = fewer.network.eval()(x).heatmaps[0]
    initial = same.network.eval()(x).heatmaps[0].detach()
    close(maps[:, 0].numpy(), initial[:, 17])  # left_ear of the initial stage depends on no other joint
    close(maps[:, 2].numpy(), initial[:, 1])


def test_it_trains_by_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_finish", lambda module, run: run)  # no export
    made_labels(tmp_path / "set", 4, people=2)
    labels = [{"labels": str(tmp_path / "set" / "labels.json")}]
    tables = {
        "input": {"size": 64, "inference_size": 256},
        "network": {"kind": "lightweight"},
        "data": {"train": labels, "val": labels},
        "run": {"epochs": 1, "batch_size": 2, "workers": 0, "threads": 1},
    }
    loop.train(openpose.TRAINING, check_recipe(openpose.Recipe, tables), tmp_path / "run")
    begun = read_start(str(tmp_path / "run"))
    assert begun.skeleton.joints == THING.joints
    assert network_of(begun.weights, 3)["kind"] == "lightweight"


def test_class_maps_are_a_head_of_the_features_and_the_last_pafs() -> None:
    network = openpose.build_network(NetworkSettings.model_validate({"kind": "lightweight"}), THING, classes=2)
    stages = network(torch.rand(1, 3, 64, 64) * 255)
    assert stages.classes is not None
    assert stages.classes.shape == (1, 2, 8, 8)
    channels = openpose.channels_of(network, THING, background=False, classes=("a", "b"))
    state = network.state_dict()
    assert all(state[name].shape[axis] == len(meanings) for name, (axis, meanings) in channels.items())
    inputs = {name for name, (axis, _) in channels.items() if axis == 1}
    assert inputs == {"refinement_stages.0.body.0.initial.0.weight", "class_head.0.0.weight"}


def test_stages_that_differ_in_number_are_an_error() -> None:
    with pytest.raises(RecipeError, match='kind = "lightweight" needs as many heatmap_stages as paf_stages'):
        check_recipe(openpose.Recipe, {"network": {"kind": "lightweight", "paf_stages": 2, "heatmap_stages": 3}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.3.0.weight": None}, r"it lacks model\.3\.0\.weight"),
        (
            {"refinement_stages.0.trunk.4.trunk.1.1.running_var": None},  # vocabulary: allow
            r"lacks refinement_stages.0.trunk.4.trunk.1.1.run",  # vocabulary: allow
        ),
        ({"cpm.conv.1.weight": (128,)}, r"it has cpm\.conv\.1\.weight, which that network lacks"),
        ({"model.12.0.weight": (512, 1, 3, 3)}, r"it has model\.12\.0\.weight, which"),
        ({"cpm.align.0.weight": (128, 256, 1, 1)}, r"cpm.align.0.weight must be \(128, 512, 1, 1\), got"),
        ({"cpm.align.0.bias": torch.full((128,), torch.inf)}, "cpm.align.0.bias has values that are not finite"),
        ({"initial_stage.pafs.1.0.bias": (34,)}, "has 19 maps and 34 fields, but skeleton coco18 needs 19 maps and 38"),
    ],
)
def test_incomplete_or_foreign_weights_are_one_line(
    weights: Weights, change: dict[str, Tensor | tuple[int, ...] | None], message: str
) -> None:
    changed = {key: torch.zeros(value) if isinstance(value, tuple) else value for key, value in change.items()}
    given = {key: value for key, value in (weights | changed).items() if value is not None}
    with pytest.raises(ModelError, match=message) as error:
        READER.read(Checkpoint(Path("light.pth"), given), "light")
    assert "\n" not in str(error.value)


def test_more_stages_than_the_file_has_are_an_error(weights: Weights) -> None:
    with pytest.raises(ModelError, match="has 2 stages: expected --stages from 1 to 2, got 3"):
        READER.read(Checkpoint(Path("light.pth"), weights), "light", stages=3)
