"""`cairn.discover` and `cairn.teach`: from images alone to a model of named keypoints."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

import cairn
import cairn.api.discover as discovering
from cairn.errors import LabelError, OutputError, RecipeError
from support.made_figures import SMALL, made_figures

SETTINGS = {
    f"{section}.{name}": value
    for section, table in SMALL.items()
    if isinstance(table, dict)
    for name, value in table.items()
}


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "set"
    made_figures(folder, 24)
    return folder / "labels.json"


@pytest.fixture(scope="module")
def run(labels: Path) -> cairn.Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovering, "PAIRS_PER_EPOCH", 24)
        out = labels.parents[1] / "run"
        return cairn.discover(labels.parent / "images", landmarks=4, epochs=1, out=out, settings=SETTINGS)


def test_a_discovery_is_a_run_of_the_method_landmarks(run: cairn.Run, labels: Path) -> None:
    assert (run.method, run.recipe["network"]["landmarks"]) == ("landmarks", 4)
    assert len(run.history) == 1
    poses = run.load(threads=1)(labels.parent / "images" / "03.png")
    assert poses.keypoints.shape == (1, 4, 2)


def test_a_taught_model_detects_the_labeled_keypoints(run: cairn.Run, labels: Path, tmp_path: Path) -> None:
    taught = cairn.teach(run, labels, metric="diagonal", ridge=True, out=tmp_path / "taught.onnx", name="figure")
    assert taught.path == tmp_path / "taught.onnx"
    model = taught.load(threads=1)
    assert model.spec.skeleton.joints == taught.skeleton.joints
    assert model.spec.metrics == taught.metrics
    assert np.isfinite(model(labels.parent / "images" / "03.png").keypoints).all()
    assert [row["images"] for row in taught.errors if row["regression"] == "ridge"] == [1, 5, 10, 20, 24]
    assert taught.metrics["NME"] == taught.errors[4]["nme"]
    assert repr(taught) == (
        f"TaughtModel({taught.path}: 5 keypoints from 24 images, NME {taught.metrics['NME']:.2f} %)"
    )


def test_contradicting_arguments_are_errors(run: cairn.Run, labels: Path, tmp_path: Path) -> None:
    images = labels.parent / "images"
    with pytest.raises(LabelError, match="sources must be paths, got 5"):
        cairn.discover([5])  # type: ignore[list-item]
    with pytest.raises(RecipeError, match="resume needs --out RUN and no other option"):
        cairn.discover(images, out=run.folder, resume=True)
    with pytest.raises(RecipeError, match="--images goes with a label file"):
        cairn.discover(images, images=images, out=tmp_path / "run")
    with pytest.raises(OutputError, match="is not empty"):
        cairn.discover(images, out=run.folder, settings=SETTINGS)
    with pytest.raises(OutputError, match=r"must end in \.onnx"):
        cairn.teach(run, labels, out=tmp_path / "taught.pt")
    with pytest.raises(RecipeError, match="--val-images needs --val"):
        cairn.teach(run, labels, val_images=images)
    assert not list(tmp_path.iterdir())
