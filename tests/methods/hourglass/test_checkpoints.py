"""Imported checkpoints against the networks of the ports, written as functions of their state dicts."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import cairn.methods.hourglass.training as hourglass
from cairn.datasets.labels import Labels
from cairn.errors import ModelError
from cairn.inference.model_spec import ModelSpec
from cairn.methods.autoconfig import with_network
from cairn.methods.hourglass.checkpoints import read_checkpoint
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.autoconfig.choices import Choice
from cairn.training.checkpoints.pretrained import carry_over, read_start
from cairn.training.checkpoints.reading import read_weights
from cairn.training.data.loading import stack
from cairn.training.engine.initial_weights import build_module
from cairn.training.engine.training_module import make_optimizer
from cairn.training.exporting.onnx_file import export
from cairn.training.recipe_tables import check_recipe
from support.made_data import made_labels

Weights = dict[str, Tensor]
MEAN = torch.tensor([0.4404, 0.4440, 0.4327])[:, None, None]


def read_file(path: Path, name: str, joints: Skeleton | None = None) -> tuple[torch.nn.Module, ModelSpec]:
    return read_checkpoint(read_weights(path), name, joints)


# ---- the ports, as functions of their weights


def conv(w: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = w[f"{name}.weight"]
    return F.conv2d(x, weight, w[f"{name}.bias"], stride=stride, padding=weight.shape[2] // 2)


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    scale = w[f"{name}.weight"] / torch.sqrt(var + 1e-5)
    return F.relu((x - mean[:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None])


def bottleneck(w: Weights, name: str, x: Tensor, inner: str, skip: str) -> Tensor:
    y = x
    for i in (1, 2, 3):
        y = conv(w, f"{name}.conv{i}{inner}", norm(w, f"{name}.bn{i}", y))
    # Only where the widths differ, though princeton-vl has the weights everywhere.
    return y + (conv(w, f"{name}.{skip}", x) if x.shape[1] != y.shape[1] else x)


def up(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def princeton(w: Weights, images: Tensor, stacks: int) -> Tensor:
    def residual(name: str, x: Tensor) -> Tensor:
        return bottleneck(w, name, x, ".conv", "skip_layer.conv")

    def hourglass(name: str, x: Tensor, n: int) -> Tensor:
        low = residual(f"{name}.low1", F.max_pool2d(x, 2))
        low = hourglass(f"{name}.low2", low, n - 1) if n > 1 else residual(f"{name}.low2", low)
        return residual(f"{name}.up1", x) + up(residual(f"{name}.low3", low))

    x = norm(w, "pre.0.bn", conv(w, "pre.0.conv", images / 255, stride=2))
    x = residual("pre.4", residual("pre.3", F.max_pool2d(residual("pre.1", x), 2)))
    for s in range(stacks):
        y = residual(f"features.{s}.0", hourglass(f"hgs.{s}.0", x, 4))
        y = norm(w, f"features.{s}.1.bn", conv(w, f"features.{s}.1.conv", y))
        maps = conv(w, f"outs.{s}.conv", y)
        if s < stacks - 1:
            x = x + conv(w, f"merge_preds.{s}.conv.conv", maps) + conv(w, f"merge_features.{s}.conv.conv", y)
    return maps


def bearpaw(w: Weights, images: Tensor, stacks: int, blocks: int = 1) -> Tensor:
    def residuals(name: str, x: Tensor, count: int = blocks) -> Tensor:
        for block in range(count):
            x = bottleneck(w, f"{name}.{block}", x, "", "downsample.0")
        return x

    def hourglass(name: str, x: Tensor, n: int) -> Tensor:
        low = residuals(f"{name}.{n - 1}.1", F.max_pool2d(x, 2))
        low = hourglass(name, low, n - 1) if n > 1 else residuals(f"{name}.0.3", low)
        return residuals(f"{name}.{n - 1}.0", x) + up(residuals(f"{name}.{n - 1}.2", low))

    x = norm(w, "bn1", conv(w, "conv1", images / 255 - MEAN, stride=2))
    x = residuals("layer3", residuals("layer2", F.max_pool2d(residuals("layer1", x, 1), 2), 1), 1)
    for s in range(stacks):
        y = residuals(f"res.{s}", hourglass(f"hg.{s}.hg", x, 4))
        y = norm(w, f"fc.{s}.1", conv(w, f"fc.{s}.0", y))
        maps = conv(w, f"score.{s}", y)
        if s < stacks - 1:
            x = x + conv(w, f"fc_.{s}", y) + conv(w, f"score_.{s}", maps)
    return maps


# ---- weights under the ports' names


class Drawing(dict):
    """Random weights by name, at a scale that keeps activations near 1."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.rng = torch.Generator().manual_seed(seed)

    def conv(self, name: str, inputs: int, outputs: int, size: int = 1) -> None:
        self[f"{name}.weight"] = torch.randn(outputs, inputs, size, size, generator=self.rng) / (inputs**0.5 * size)
        self[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=self.rng)

    def norm(self, name: str, width: int) -> None:
        self[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=self.rng)
        self[f"{name}.bias"] = 0.1 * torch.randn(width, generator=self.rng)
        self[f"{name}.running_mean"] = 0.3 * torch.randn(width, generator=self.rng)
        self[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=self.rng)
        self[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def bottleneck(self, name: str, inputs: int, outputs: int, inner: str, skip: str, always: bool) -> None:
        half = outputs // 2
        for i, (a, b, size) in enumerate(((inputs, half, 1), (half, half, 3), (half, outputs, 1)), start=1):
            self.norm(f"{name}.bn{i}", a)
            self.conv(f"{name}.conv{i}{inner}", a, b, size)
        if always or inputs != outputs:
            self.conv(f"{name}.{skip}", inputs, outputs)


def princeton_weights(
    stacks: int, c: int = 256, joints: int = 16, widths: tuple[int, int, int] = (64, 128, 128)
) -> Weights:
    w = Drawing()
    a, b, last = widths

    def residual(name: str, inputs: int = c, outputs: int = c) -> None:
        w.bottleneck(name, inputs, outputs, ".conv", "skip_layer.conv", always=True)

    w.conv("pre.0.conv", 3, a, 7)
    w.norm("pre.0.bn", a)
    residual("pre.1", a, b)
    residual("pre.3", b, last)
    residual("pre.4", last, c)
    for s in range(stacks):
        for level in range(4):
            for place in ("up1", "low1", "low3") + (("low2",) if level == 3 else ()):
                residual(f"hgs.{s}.0.{'low2.' * level}{place}")
        residual(f"features.{s}.0")
        w.conv(f"features.{s}.1.conv", c, c)
        w.norm(f"features.{s}.1.bn", c)
        w.conv(f"outs.{s}.conv", c, joints)
        if s < stacks - 1:
            w.conv(f"merge_features.{s}.conv.conv", c, c)
            w.conv(f"merge_preds.{s}.conv.conv", joints, c)
    return dict(w)


def bearpaw_weights(
    stacks: int, blocks: int = 1, c: int = 256, joints: int = 16, widths: tuple[int, int, int] | None = None
) -> Weights:
    w = Drawing()
    a, b, last = widths or (64, 128, c)

    def residual(name: str, inputs: int = c, outputs: int = c) -> None:
        w.bottleneck(name, inputs, outputs, "", "downsample.0", always=False)

    w.conv("conv1", 3, a, 7)
    w.norm("bn1", a)
    residual("layer1.0", a, b)
    residual("layer2.0", b, last)
    residual("layer3.0", last, c)
    for s in range(stacks):
        for block in range(blocks):
            for level in range(4):
                for place in range(4 if level == 0 else 3):
                    residual(f"hg.{s}.hg.{level}.{place}.{block}")
            residual(f"res.{s}.{block}")
        w.conv(f"fc.{s}.0", c, c)
        w.norm(f"fc.{s}.1", c)
        w.conv(f"score.{s}", c, joints)
        if s < stacks - 1:
            w.conv(f"fc_.{s}", c, c)
            w.conv(f"score_.{s}", joints, c)
    return dict(w)


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {prefix + name: value for name, value in weights.items()}


# ---- laws


@pytest.mark.parametrize(
    ("port", "reference", "content"),
    [
        (
            "princeton-vl",
            lambda w, x: princeton(w, x, 2),
            lambda: {"state_dict": prefixed("model.module.", princeton_weights(2)), "optimizer": {}, "epoch": 3},
        ),
        (
            "bearpaw",
            lambda w, x: bearpaw(w, x, 2),
            lambda: {
                "epoch": 90,
                "arch": "hg",
                "state_dict": prefixed("module.", bearpaw_weights(2)),
                "best_acc": np.float64(0.87),
            },
        ),
        ("anibali", lambda w, x: bearpaw(w, x, 1), lambda: bearpaw_weights(1)),
        ("anibali", lambda w, x: bearpaw(w, x, 2, blocks=2), lambda: bearpaw_weights(2, blocks=2, c=32)),
    ],
    ids=["princeton-vl", "bearpaw", "anibali", "two blocks"],
)
def test_an_imported_network_predicts_the_heatmaps_of_the_port(
    tmp_path: Path, port: str, reference: Callable[[Weights, Tensor], Tensor], content: Callable[[], dict]
) -> None:
    saved = content()
    torch.save(saved, tmp_path / "some.pth.tar")
    module, spec = read_file(tmp_path / "some.pth.tar", "some")
    images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(1)) * 255
    named = saved.get("state_dict", saved)
    expected = reference({name.split("module.")[-1]: value for name, value in named.items()}, images)
    with torch.no_grad():
        (got,) = module(images)
    assert expected.abs().max() > 0.1
    assert (got - expected).abs().max() / expected.abs().max() < 1e-4
    assert spec.provenance["imported from"] == port
    assert (spec.skeleton, spec.task, spec.input.size) == (load_skeleton("mpii16"), "crop", 256)


@pytest.mark.parametrize(
    ("weights", "stacks", "raw", "used"),
    [(princeton_weights, 2, 8.43, 6.57), (bearpaw_weights, 2, 6.73, 6.73), (bearpaw_weights, 8, 25.59, 25.59)],
)
def test_parameter_counts_are_as_published(
    tmp_path: Path, weights: Callable[[int], Weights], stacks: int, raw: float, used: float
) -> None:
    named = weights(stacks)
    trained = [name for name in named if name.endswith(("weight", "bias"))]
    torch.save(named, tmp_path / "some.pt")
    module, _ = read_file(tmp_path / "some.pt", "some")
    assert round(sum(named[name].numel() for name in trained) / 1e6, 2) == raw
    assert round(sum(weight.numel() for weight in module.parameters()) / 1e6, 2) == used
    if weights is princeton_weights:
        assert len(trained) - len(list(module.parameters())) == 58


def test_files_in_the_old_format_without_counts_of_batches_are_read(tmp_path: Path) -> None:
    weights = {name: value for name, value in bearpaw_weights(1).items() if "num_batches" not in name}
    torch.save(weights, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    module, _ = read_file(tmp_path / "old.pth.tar", "old")
    assert not module.training


def test_another_skeleton_is_accepted_if_it_fits(tmp_path: Path) -> None:
    torch.save(bearpaw_weights(1, c=32, joints=14), tmp_path / "lsp.pth")
    assert read_file(tmp_path / "lsp.pth", "lsp", load_skeleton("lsp14"))[1].skeleton.name == "lsp14"
    with pytest.raises(ModelError, match="has 14 heatmaps, but skeleton mpii16 has 16 joints"):
        read_file(tmp_path / "lsp.pth", "lsp")


class Touch:
    """A class whose unpickling runs a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def refused(path: Path, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        read_file(path, "x")
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_a_file_that_could_run_code_is_rejected_and_runs_none(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for name, new in (("new.pth", True), ("old.pth", False)):
        content = {"state_dict": bearpaw_weights(1, c=32), "extra": Touch(marker)}
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=new)
        refused(tmp_path / name, "could run code")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Touch(marker)))
    refused(tmp_path / "bare.pth", "could run code|is truncated, or not a PyTorch")
    assert not marker.exists()


def test_damaged_files_are_one_line_errors(tmp_path: Path) -> None:
    refused(tmp_path / "absent.pth", "no checkpoint at")
    for name, new in (("new.pth", True), ("old.pth", False)):
        torch.save(bearpaw_weights(1, c=32), tmp_path / name, _use_new_zipfile_serialization=new)
        whole = (tmp_path / name).read_bytes()
        for share in (0.0, 0.001, 0.3, 0.99):
            (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
            refused(tmp_path / name, "is truncated, or not a PyTorch checkpoint")
    (tmp_path / "text.pth").write_text("weights of mine\n")
    refused(tmp_path / "text.pth", "is truncated, or not a PyTorch checkpoint")


def test_other_architectures_and_incomplete_weights_are_one_line_errors(tmp_path: Path) -> None:
    def given(content: object, words: str) -> None:
        torch.save(content, tmp_path / "x.pth")
        refused(tmp_path / "x.pth", words)

    given([1, 2, 3], "contains no named weights")
    given({"epoch": 3}, "contains no named weights")
    resnet = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}
    given(resnet, "of another network than Stacked Hourglass of princeton-vl, bearpaw and anibali: it contains conv1")
    whole = bearpaw_weights(2, c=32)
    given({k: v for k, v in whole.items() if k != "hg.1.hg.2.0.0.bn2.weight"}, r"is incomplete: stacks\.1.* is missing")
    given(
        {k: v for k, v in whole.items() if not k.startswith("score.0")},
        r"is incomplete: the convolution stacks\.0\.heatmaps is missing",
    )
    given({k: v for k, v in whole.items() if not k.startswith("hg.0.hg.2")}, r"is incomplete: stacks\.0.* is missing")
    given({**whole, "attention.0.weight": torch.zeros(3)}, "has weights that the network lacks: attention.0.weight")
    given(
        {**whole, "score_.0.weight": torch.zeros(32, 15, 1, 1)},
        r"expected \(32, 16, 1, 1\) for .*, got \(32, 15, 1, 1\)",
    )
    given({**whole, "hg.0.hg.0.9.0.bn1.weight": torch.zeros(3)}, "but not its numbering")
    given({**whole, "hg.x.hg.y.z.0.bn1.weight": torch.zeros(3)}, "but not its numbering")
    given({**whole, "hg.0.hg.99.0.0.bn1.weight": torch.zeros(3)}, "is incomplete")
    given({**whole, "res.0.99999.bn1.weight": torch.zeros(3)}, "is incomplete: .* is missing")


# ---- as a start for training


@pytest.mark.parametrize(
    ("content", "backbone"),
    [
        (lambda: princeton_weights(1, 64, widths=(16, 32, 32)), "hourglass-stem"),
        (lambda: bearpaw_weights(1, c=64, widths=(16, 32, 64)), "hourglass-stem-wide"),
    ],
    ids=["princeton-vl", "anibali"],
)
def test_fine_tuning_an_imported_file_begins_with_its_heatmaps_and_lowers_the_loss(
    tmp_path: Path, content: Callable[[], dict], backbone: str
) -> None:
    torch.save(content(), tmp_path / "hg.pth.tar")
    module, spec = read_checkpoint(read_weights(tmp_path / "hg.pth.tar"), "hg")
    small = spec.model_copy(update={"input": spec.input.model_copy(update={"size": 64})})
    export(module, small, tmp_path / "hg.onnx")
    labels = made_labels(tmp_path / "set", 4)
    source = [{"labels": str(tmp_path / "set" / "labels.json")}]
    given = {"method": "hourglass", "pretrained": str(tmp_path / "hg.onnx"), "data": {"train": source, "val": source}}
    recipe = check_recipe(hourglass.Recipe, with_network(Choice({**given, "run": {"threads": 1}})).tables)
    assert recipe.network.backbone == backbone
    assert (recipe.loss, recipe.task, recipe.input.size, recipe.input.margin) == ("squared", "crop", 64, 1.25)
    method, own = hourglass.TRAINING, spec.skeleton
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255
    start = read_start(str(tmp_path / "hg.onnx"))
    same = method.module(recipe, own, Labels(own, (), np.ones(16, bool)))
    assert carry_over(same.network, start, same.channels(), same.channels())[0] > 0
    with torch.inference_mode():
        expected = module(images)[0]
        assert torch.allclose(same.export_module().eval()(images)[0], expected, atol=1e-3 * float(expected.abs().max()))
    skeleton, sources, val = method.read_data(recipe, tmp_path)
    training = method.training_set(recipe, skeleton, sources)
    tuned = build_module(method, recipe, skeleton, val, training, resumed=False)
    assert tuned.network.stacks[0].heatmaps.out_channels == len(labels.skeleton)
    batch = stack([training[i] for i in range(4)])
    optimizer = make_optimizer(tuned.network, recipe.optimizer)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = torch.stack(list(tuned.train().losses(batch).values())).sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
