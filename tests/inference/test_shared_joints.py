"""Two models of crops: the joints that both have are those of the second."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cairn
from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec, Task
from cairn.inference.network import Maps
from cairn.inference.shared_joints import SharedJointsPredictor
from cairn.inference.top_down import SIZES
from cairn.methods.hourglass import predictor
from cairn.structures.skeleton import Skeleton

OWN = Skeleton("own", ("neck", "left", "right"), flip_pairs=((1, 2),))
OTHER = Skeleton("other", ("right", "nose", "left"), flip_pairs=((0, 2),))
BOXES = [[40.0, 20.0, 60.0, 70.0], [90.0, 30.0, 80.0, 50.0]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "portraits.jpg"


def spec(skeleton: Skeleton, task: Task = "crop") -> ModelSpec:
    kind = InputSpec(resize="square", size=64, multiple=16, margin=1.25)
    return ModelSpec(
        name=skeleton.name,
        method="hourglass",
        skeleton=skeleton,
        task=task,
        input=kind,
        stride=4,
        outputs=("heatmaps",),
    )


@dataclass
class RandomNetwork:
    """Random linear maps of the cells of an image, one for each joint."""

    spec: ModelSpec
    device: str = "cpu"
    threads: int = 1

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        weights = np.random.default_rng(len(self.spec.name)).uniform(0, 1, (len(self.spec.skeleton), 3))
        count, _, height, width = images.shape
        cells = images.reshape(count, 3, height // 4, 4, width // 4, 4).mean(axis=(3, 5)) / 255
        return {"heatmaps": np.einsum("kc,bcyx->bkyx", weights, cells).astype(np.float32) / 3}


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)


def test_joints_of_both_are_those_of_the_second_and_the_others_of_the_first(image: NDArray) -> None:
    own, other = predictor(RandomNetwork(spec(OWN))), predictor(RandomNetwork(spec(OTHER)))
    model = SharedJointsPredictor(own, other)
    poses, first, second = model(image, BOXES), own(image, BOXES), other.with_views(True, SIZES)(image, BOXES)
    assert poses.skeleton == OWN
    assert np.array_equal(poses["neck"], first["neck"])
    for joint in ("left", "right"):
        assert np.array_equal(poses[joint], second[joint])
        assert not np.array_equal(poses[joint], first[joint])
    assert np.allclose(poses.scores, poses.confidence.mean(axis=1))
    assert model.spec == own.spec
    assert model.networks == (*own.networks, *other.networks)
    assert not model.has_maps


def test_a_batch_and_whole_images_give_what_single_calls_do(image: NDArray) -> None:
    model = SharedJointsPredictor(predictor(RandomNetwork(spec(OWN))), predictor(RandomNetwork(spec(OTHER))))
    images, boxes = [image, image[:90, :110]], [BOXES, None]
    for poses, one, own in zip(model.batch(images, boxes), images, boxes, strict=True):
        assert np.array_equal(poses.keypoints, model(one, own).keypoints)
        assert len(poses) == (len(own) if own else 1)


def test_models_that_do_not_fit_are_one_line() -> None:
    crops, other = predictor(RandomNetwork(spec(OWN))), predictor(RandomNetwork(spec(OTHER)))
    single = predictor(RandomNetwork(spec(OTHER, "single_instance")))
    hand = predictor(RandomNetwork(spec(Skeleton("hand", ("wrist", "thumb")))))
    for pair in ((crops, single), (single, other)):
        with pytest.raises(ModelError, match="one instance per crop is refined by another model of one instance per"):
            SharedJointsPredictor(*pair)
    with pytest.raises(ModelError, match="hand cannot refine own: they have no joint of the same name"):
        SharedJointsPredictor(crops, hand)


def test_person_single_is_refined_by_default_in_single_images() -> None:
    boxes = [[60, 20, 380, 560]]
    model, alone = cairn.load("person-single", threads=1), cairn.load("person-single", threads=1, refine=False)
    refiner = cairn.load("person-refine", threads=1, flip=True)
    poses, plain, finer = model(EXAMPLE, boxes), alone(EXAMPLE, boxes), refiner.with_views(True, SIZES)(EXAMPLE, boxes)
    assert (model.name, model.spec.task, poses.skeleton.name) == ("person-single", "crop", "lsp14")
    for joint in poses.skeleton.joints:
        expected = plain if joint in ("neck", "head_top") else finer
        assert np.array_equal(poses[joint], expected[joint]), joint
    assert np.array_equal(model.plain(EXAMPLE, boxes).keypoints, plain.keypoints)
    always = cairn.load("person-single", threads=1, refine=True)
    assert np.array_equal(always(EXAMPLE, boxes).keypoints, poses.keypoints)
    assert np.array_equal(always.plain(EXAMPLE, boxes).keypoints, poses.keypoints)
    with pytest.raises(ModelError, match="person-single"):
        cairn.load("person-single", refine="face-landmarks")
