"""Predictors of one instance per crop, and refinement."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ImageError, LabelError, ModelError
from cairn.inference.merging import merged
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Maps
from cairn.inference.predictor import CROPS_AT_ONCE, RefinedPredictor
from cairn.inference.top_down import PLAIN, TURNED, TopDownPredictor
from cairn.methods.hourglass import predictor
from cairn.structures.geometry import Affine, crop
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from support.fake_network import FixedPredictor

PAIR = Skeleton("pair", ("left", "right"), flip_pairs=((0, 1),))
SPEC = ModelSpec(
    name="dots",
    method="hourglass",
    skeleton=PAIR,
    task="crop",
    input=InputSpec(resize="square", size=64, multiple=16, margin=1.5),
    stride=4,
    outputs=("heatmaps",),
)


@dataclass
class DotNetwork:
    """Detects the red dot (left) and the green dot (right), and keeps its inputs."""

    spec: ModelSpec = SPEC
    inputs: list[NDArray[np.float32]] = field(default_factory=list)
    device: str = "cpu"
    threads: int = 0

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        self.inputs.append(images)
        count, _, height, width = images.shape
        cells = (images[:, :2] / 255).reshape(count, 2, height // 4, 4, width // 4, 4).mean(axis=(3, 5))
        return {"heatmaps": np.maximum(cells, 1e-6).astype(np.float32)}


class LopsidedNetwork:
    """A random linear network, which treats left and right differently."""

    spec = SPEC
    device = "cpu"
    threads = 0

    def __init__(self, seed: int) -> None:
        self.kernels = np.random.default_rng(seed).normal(0, 1, (2, 3, 5, 5))

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        count, _, height, width = images.shape
        cells = images.reshape(count, 3, height // 4, 4, width // 4, 4).mean(axis=(3, 5)) / 255
        around = np.lib.stride_tricks.sliding_window_view(np.pad(cells, [(0, 0)] * 2 + [(2, 2)] * 2), (5, 5), (2, 3))
        responses = np.einsum("bcyxij,kcij->bkyx", around, self.kernels)
        return {"heatmaps": (1 / (1 + np.exp(-responses))).astype(np.float32)}


def dots(size: tuple[int, int], left: tuple[float, float], right: tuple[float, float], sigma: float) -> NDArray:
    """A black image with a red and a green Gaussian."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.zeros((*size, 3))
    for channel, (cx, cy) in enumerate((left, right)):
        image[..., channel] = 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return image.round().astype(np.uint8)


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.floats(70, 130), st.floats(50, 90)),
    st.floats(20, 60),
    st.floats(0.4, 1),
    st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
)
def test_keypoints_in_a_box_are_in_image_pixels(
    center: tuple[float, float], side: float, aspect: float, left: tuple, right: tuple
) -> None:
    expected = np.array(center) + side * np.array([left, right])
    image = dots((140, 200), *expected, sigma=0.1 * side)
    width, height = side, side * aspect
    box = (center[0] - width / 2, center[1] - height / 2, width, height)
    poses = predictor(DotNetwork())(image, [box])
    cell = 4 * SPEC.input.margin * side / SPEC.input.size  # in the image's pixels
    assert np.abs(poses.keypoints[0] - expected).max() < 0.25 * cell + 0.1


def test_crop_is_the_margin_times_the_longer_side_around_the_center() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    network = DotNetwork()
    predictor(network)(image, [[20, 10, 30, 40]])
    expected = crop((35, 30), 1.5 * 40, (64, 64)).warp(image, (64, 64))
    assert np.array_equal(network.inputs[0][0].transpose(1, 2, 0), expected)


def test_without_boxes_the_crop_holds_the_whole_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 121, 3), np.uint8)
    network = DotNetwork()
    poses = predictor(network)(image)
    assert len(poses) == 1
    expected = crop((60, 29.5), 121, (64, 64)).warp(image, (64, 64))
    assert np.array_equal(network.inputs[0][0].transpose(1, 2, 0), expected)


def test_many_boxes_run_in_chunks_and_keep_their_order() -> None:
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(rng.integers(0, 256, (200, 300, 3), np.uint8), (0, 0), 4)
    boxes = np.concatenate([rng.uniform(0, 150, (2 * CROPS_AT_ONCE + 3, 2)), rng.uniform(20, 90, (35, 2))], axis=1)
    network = DotNetwork()
    together = predictor(network)(image, boxes)
    assert [len(images) for images in network.inputs] == [CROPS_AT_ONCE, CROPS_AT_ONCE, 3]
    for i, box in enumerate(boxes):
        alone = predictor(DotNetwork())(image, [box])
        assert np.array_equal(alone.keypoints[0], together.keypoints[i], equal_nan=True)
        assert alone.scores[0] == together.scores[i]


@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4))])
def test_empty_boxes_give_no_instances_and_no_inference(boxes: ArrayLike) -> None:
    network = DotNetwork()
    assert len(predictor(network)(np.zeros((50, 50, 3), np.uint8), boxes)) == 0
    assert not network.inputs


def test_batch_with_boxes_equals_single_calls() -> None:
    image = dots((120, 200), (60, 50), (90, 70), 5)
    images, boxes = [image, image[:, ::-1].copy(), image], [[[50, 40, 50, 40]], [], [[40, 30, 60, 60]] * 20]
    model = predictor(DotNetwork())
    alone = [model(*pair) for pair in zip(images, boxes, strict=True)]
    for one, other in zip(alone, model(images, boxes), strict=True):
        assert np.array_equal(one.keypoints, other.keypoints)
    assert [len(poses) for poses in alone] == [1, 0, 20]
    with pytest.raises(LabelError, match=r"image 1 of the batch: box 0 .* has no area"):
        model(images[:2], [None, [[0, 0, 0, 0]]])
    with pytest.raises(LabelError, match="a batch of 3 images needs boxes for each image, got boxes for 1"):
        model(images, [[[50, 40, 50, 40]]])


def mirrored(poses: Poses, width: int) -> Poses:
    order = list(poses.skeleton.flip_order)
    moved = poses.transformed(Affine.mirror(width))
    return replace(moved, keypoints=moved.keypoints[:, order], confidence=moved.confidence[:, order])


@pytest.mark.parametrize("seed", range(6))
def test_flip_test_of_a_mirrored_image_is_the_mirrored_result(seed: int) -> None:
    image = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (96, 131, 3), np.uint8), (0, 0), 5)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    box = np.array([[20.0, 10, 60, 70], [50, 30, 45, 20]])
    other = np.stack([131 - 1 - box[:, 0] - box[:, 2], *box[:, 1:].T], axis=1)
    model = predictor(LopsidedNetwork(seed), flip=True)
    there = mirrored(model(image, box), 131)
    here = model(np.ascontiguousarray(image[:, ::-1]), other)
    # OpenCV's warp rounds positions to 1/32 pixel, and not the same way from both sides.
    assert np.allclose(here.keypoints, there.keypoints, atol=0.25)
    assert np.allclose(here.confidence, there.confidence, atol=0.01)
    plain = predictor(LopsidedNetwork(seed))
    assert not np.allclose(
        plain(np.ascontiguousarray(image[:, ::-1]), other).keypoints,
        mirrored(plain(image, box), 131).keypoints,
        atol=1.0,
    )


@pytest.mark.parametrize("flip", [False, True])
def test_the_average_over_turns_turns_with_the_image(flip: bool) -> None:
    image = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (96, 131, 3), np.uint8), (0, 0), 5)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    box = np.array([[20.0, 10, 60, 70], [50, 30, 45, 20]])
    turned = np.stack([box[:, 1], 130 - box[:, 0] - box[:, 2], box[:, 3], box[:, 2]], axis=1)

    def pair(turns: int) -> tuple[Poses, Poses]:
        model = predictor(LopsidedNetwork(3)).with_views(flip, [(turn, 1.0) for turn in range(turns)])
        here = model(image, box)
        return model(np.ascontiguousarray(np.rot90(image)), turned), replace(
            here, keypoints=np.stack([here.keypoints[..., 1], 130 - here.keypoints[..., 0]], axis=-1)
        )

    there, here = pair(turns=4)
    assert np.allclose(there.keypoints, here.keypoints, atol=0.25)
    assert np.allclose(there.confidence, here.confidence, atol=0.01)
    plain, other = pair(turns=1)
    assert not np.allclose(plain.keypoints, other.keypoints, atol=1.0)


def test_a_model_turns_crops_where_its_file_says_so() -> None:
    spec = SPEC.model_copy(update={"decode": {"turns": True}})
    assert predictor(DotNetwork(spec)).views == TURNED
    assert predictor(DotNetwork(spec), turns=False).views == PLAIN
    assert predictor(DotNetwork(SPEC)).views == PLAIN
    assert sorted(turn for turn, _ in TURNED) == [0, 1, 2, 3]


def test_flip_test_is_identity_for_a_symmetric_network() -> None:
    image = dots((100, 100), (40, 50), (63, 44), 6)
    spec = SPEC.model_copy(update={"skeleton": Skeleton("dots", ("red", "green"))})
    once, twice = (predictor(DotNetwork(spec), flip=flip)(image, [[20, 20, 60, 60]]) for flip in (False, True))
    assert np.allclose(once.keypoints, twice.keypoints, atol=1e-3)
    assert np.allclose(once.confidence, twice.confidence, atol=1e-5)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[0, 0, 10]], r"boxes must be \(P, 4\) .* got \(1, 3\)"),
        ([0, 0, 10, 10], r"boxes must be \(P, 4\) .* got \(4,\)"),
        ([[0, 0, 10, 10], [1, 2]], r"boxes must be \(P, 4\)"),
        ([["a", "b", "c", "d"]], r"boxes must be \(P, 4\)"),
        ({"a": 1}, r"boxes must be \(P, 4\)"),
        ([[0, 0, 40, 40], [0, np.nan, 40, 40]], r"box 1 \(0, nan, 40, 40\) has a number that is not finite"),
        ([[0, 0, np.inf, 40]], "box 0 .* not finite"),
        ([[5, 5, 0, 40]], r"box 0 \(5, 5, 0, 40\) has no area"),
        ([[5, 5, 40, -3]], "box 0 .* has no area"),
        ([[0, 0, 40, 40], [100, 0, 40, 40]], r"box 1 .* lies outside the image of 100 x 80 pixels"),
        ([[-41, 10, 40, 40]], "lies outside"),
        ([[10, 80, 40, 40]], "lies outside"),
        ([[10, 10, 10, 10]], r"box 0 .* gives a crop of 15.0 pixels; the minimum is 16"),
    ],
)
def test_invalid_boxes_raise_one_line(boxes: ArrayLike, words: str) -> None:
    network = DotNetwork()
    with pytest.raises(LabelError, match=words) as caught:
        predictor(network)(np.zeros((80, 100, 3), np.uint8), boxes)
    assert "\n" not in str(caught.value)
    assert not network.inputs


def test_boxes_may_cross_the_border() -> None:
    assert (
        len(predictor(DotNetwork())(np.zeros((80, 100, 3), np.uint8), [[-30, -30, 40, 40], [-5e8, -5e8, 1e9, 1e9]]))
        == 2
    )


def test_too_small_images_and_other_inputs_raise_one_line() -> None:
    for image, words in (
        (np.zeros((1, 1, 3), np.uint8), "the image is 1 x 1 pixels; its longer side must be 16 at least"),
        (np.zeros((80, 100)), r"expected an image of uint8 from 0 to 255, got float64 \(80, 100\)"),
    ):
        with pytest.raises(ImageError, match=words):
            predictor(DotNetwork())(image)


def test_settings_of_the_caller_override_the_specification() -> None:
    image = dots((64, 64), (30.4, 30), (20, 20), 5)

    def x(**settings: object) -> float:
        network = DotNetwork(SPEC.model_copy(update={"decode": {"refinement": "none"}}))
        return float(predictor(network, **settings)(image, [[0, 0, 42, 42]]).keypoints[0, 0, 0])

    assert x() != x(refinement="log-parabola")
    network = DotNetwork()
    predictor(network, size=32)(image)
    assert network.inputs[0].shape == (1, 3, 32, 32)
    for settings_, words in (
        ({"size": 40}, "a multiple of 16, got 40"),
        ({"threshold": 0.5}, r"decode\(\) of hourglass has no threshold; it has refinement"),
    ):
        with pytest.raises(ModelError, match=words):
            predictor(DotNetwork(), **settings_)
    for change in (
        {"outputs": ("heatmaps", "pafs")},
        {"task": "multi_instance", "input": InputSpec(resize="letterbox", size=64)},
    ):
        with pytest.raises(ModelError, match="hourglass needs the output heatmaps for task crop or single_instance"):
            predictor(DotNetwork(SPEC.model_copy(update=change)))


# ---- refinement


TRIO = Skeleton("trio", ("a", "b", "c"))


def whole(keypoints: ArrayLike, scores: ArrayLike) -> FixedPredictor:
    points = np.array(keypoints, np.float32)
    confidence = np.isfinite(points).all(axis=2).astype(np.float32)
    return FixedPredictor(Poses(points, confidence, np.array(scores, np.float32), TRIO))


def test_refinement_predicts_in_the_box_around_the_keypoints_of_each_instance() -> None:
    image = dots((120, 200), (60, 50), (90, 70), 5)
    found = whole([[[50, 40], [100, 80], [np.nan] * 2], [[52, 41], [70, 80], [99, 60]]], [0.8, 0.5])
    crops = predictor(DotNetwork())
    poses = RefinedPredictor(found, crops)(image)
    expected = crops(image, [[50, 40, 50, 40], [52, 41, 47, 39]])
    assert np.array_equal(poses.keypoints, expected.keypoints)
    assert poses.skeleton == PAIR
    assert np.allclose(poses.scores, expected.scores * [0.8, 0.5])
    assert RefinedPredictor(found, crops).spec == SPEC.model_copy(update={"task": "multi_instance"})
    with pytest.raises(ModelError, match="give boxes or refine, not both"):
        RefinedPredictor(found, crops)(image, boxes=[[0, 0, 50, 50]])
    for pair in ((crops, crops), (found, found)):
        with pytest.raises(ModelError, match="refinement needs a model of all instances and a model of one instance"):
            RefinedPredictor(*pair)


def test_a_second_crop_is_around_the_keypoints_of_the_first() -> None:
    again = SPEC.model_copy(update={"input": SPEC.input.model_copy(update={"margin": 2.0}),
                                    "decode": {"second_margin": 1.5}})  # fmt: skip
    image = dots((120, 200), (60, 50), (90, 70), 5)
    found = whole([[[50, 40], [100, 80], [np.nan] * 2], [[52, 41], [70, 80], [99, 60]]], [0.8, 0.5])
    once = predictor(DotNetwork(SPEC.model_copy(update={"input": again.input})))(image, found.poses.boxes)
    expected = predictor(DotNetwork())(image, once.boxes)
    assert not np.allclose(once.keypoints, expected.keypoints, atol=1e-3)
    poses = RefinedPredictor(found, predictor(DotNetwork(again)))(image)
    assert np.allclose(poses.keypoints, expected.keypoints, atol=1e-4)
    assert np.allclose(poses.scores, expected.scores * [0.8, 0.5])


def narrow_and_wide(image: NDArray, network: DotNetwork) -> Poses:
    """The poses in two crops of one instance, merged, by their squared confidences."""
    crops = predictor(network)
    both = Poses.concatenate([crops(image, [box]) for box in ([50, 40, 50, 40], [25, 20, 100, 80])], PAIR)
    return merged(replace(both, scores=(both.confidence**2).mean(axis=1)))


def test_a_narrow_and_a_wide_crop_of_each_instance_are_merged() -> None:
    image = dots((120, 200), (60, 50), (90, 70), 5)
    found = whole([[[50, 40], [100, 80], [np.nan] * 2]], [0.64])
    wide = SPEC.model_copy(update={"decode": {"wide_margin": 2 * SPEC.input.margin}})
    expected = narrow_and_wide(image, DotNetwork())
    poses = RefinedPredictor(found, predictor(DotNetwork(wide)))(image)
    assert len(poses) == len(expected) == 1
    assert np.allclose(poses.keypoints, expected.keypoints, atol=1e-4)
    best = max(predictor(DotNetwork())(image, [[50, 40, 50, 40], [25, 20, 100, 80]]), key=lambda pose: pose.score)
    clarity = (expected.confidence**2).sum() / expected.confidence.sum()
    assert np.allclose(poses.scores, 0.8 * best.score * clarity)
    empty = whole(np.zeros((0, 3, 2)), [])
    assert len(RefinedPredictor(empty, predictor(DotNetwork(wide)))(image)) == 0


def test_the_last_crops_after_two_first_ones_have_three_sizes_and_the_flip_test() -> None:
    image = dots((120, 200), (60, 50), (90, 70), 5)
    found = whole([[[50, 40], [100, 80], [99, 60]]], [0.64])
    first = narrow_and_wide(image, DotNetwork())
    last = predictor(DotNetwork()).with_views(True, [(0, 0.8), (0, 1.0), (0, 1.25)])
    x, y, width, height = first.boxes[0]
    factor = 2.0 / SPEC.input.margin
    around = [x - width * (factor - 1) / 2, y - height * (factor - 1) / 2, width * factor, height * factor]
    expected = last(image, [around])
    network = DotNetwork(
        SPEC.model_copy(update={"decode": {"flip": True, "wide_margin": 2 * SPEC.input.margin, "second_margin": 2.0}})
    )
    poses = RefinedPredictor(found, predictor(network))(image)
    assert np.allclose(poses.keypoints, expected.keypoints, atol=1e-4)
    assert np.allclose(poses.scores, 0.8 * (expected.confidence**2).mean(axis=1))
    assert [len(images) for images in network.inputs] == [2] + [1] * 6


@pytest.mark.parametrize("scale", [0.8, 1.25, 3.0])
def test_maps_of_crops_of_several_sizes_are_averaged_around_the_center(scale: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    box, side, cells = [20, 10, 40, 40], 1.5 * 40, SPEC.input.size // SPEC.stride
    network = DotNetwork()

    def maps(factor: float) -> NDArray:
        pixels = crop((40, 30), factor * side, (64, 64)).warp(image, (64, 64)).transpose(2, 0, 1)
        values = network(pixels[None].astype(np.float32))["heatmaps"][0]
        middle = (cells - 1) / 2
        to_cells = np.array([[1 / factor, 0, middle * (1 - 1 / factor)], [0, 1 / factor, middle * (1 - 1 / factor)]])
        places = np.arange(cells) / factor + to_cells[0, 2]
        inside = np.abs(places - middle) <= cells / 2
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = [
            cv2.warpAffine(each, to_cells, (cells, cells), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for each in values
        ]
        return np.stack(warped) * inside * inside[:, None]

    seen: list[NDArray] = []

    def keep(found: Maps) -> Poses:
        seen.append(found["heatmaps"])
        return Poses.empty(PAIR)

    TopDownPredictor(network, keep, views=[(0, 1.0), (0, scale)])(image, [box])
    assert np.allclose(seen[0], (maps(1.0) + maps(scale)) / 2, atol=0.02)  # warpAffine rounds to 1/32 of a cell


def test_a_pose_without_a_second_crop_stays_as_it_is() -> None:
    class Last(DotNetwork):
        """Detects nothing but in the last of the crops that it is given at once."""

        def __call__(self, images: NDArray[np.float32]) -> Maps:
            maps = super().__call__(images)
            maps["heatmaps"][:-1] = 0
            return maps

    again = SPEC.model_copy(update={"decode": {"second_margin": 1.25}})
    image = dots((120, 200), (60, 50), (90, 70), 5)
    found = whole([[[50, 40], [100, 80], [99, 60]], [[52, 41], [70, 80], [99, 60]]], [0.8, 0.5])
    poses = RefinedPredictor(found, predictor(Last(again)))(image)
    assert poses.detected.all(axis=1).tolist() == [False, True]


def test_refinement_accepts_every_detection_of_the_first_predictor() -> None:
    nothing = [np.nan] * 2
    found = whole(
        [
            [[50, 40], nothing, nothing],  # one keypoint: a box without area
            [nothing, nothing, nothing],
            [[300, 40], [310, 60], nothing],  # in the padding of the letterbox
            [[199, 40], [240, 60], nothing],
        ],
        [0.4, 0.3, 0.2, 0.1],
    )
    image, crops = np.zeros((120, 200, 3), np.uint8), predictor(DotNetwork())
    assert len(RefinedPredictor(found, crops)(image)) == 2
    empty = whole(np.zeros((0, 3, 2)), [])
    assert len(RefinedPredictor(empty, crops)(image)) == 0


def test_detections_below_the_minimum_score_are_dropped() -> None:
    image = dots((120, 200), (60, 50), (90, 70), 5)
    found = whole([[[50, 40], [100, 80], [np.nan] * 2], [[52, 41], [70, 80], [99, 60]]], [0.8, 0.5])
    both = RefinedPredictor(found, predictor(DotNetwork()))(image)
    for min_score, kept in ((0.5, 2), (0.6, 1), (0.9, 0)):
        poses = RefinedPredictor(found, predictor(DotNetwork()), min_score)(image)
        assert np.array_equal(poses.keypoints, both.keypoints[:kept])
        assert np.array_equal(poses.scores, both.scores[:kept])


def test_frames_of_videos_have_the_keypoints_of_the_plain_predictor(tmp_path: Path) -> None:
    points = np.array([[[50, 40], [100, 80]]], np.float32)
    found = FixedPredictor(Poses(points, np.ones((1, 2), np.float32), np.array([0.8], np.float32), PAIR))
    refined = RefinedPredictor(found, predictor(DotNetwork()), plain=found)
    assert refined.name == found.name
    with pytest.raises(ModelError, match="fixed and dots have other keypoints"):
        RefinedPredictor(found, predictor(DotNetwork()), plain=whole([[[50, 40], [100, 80], [99, 60]]], [0.8]))
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"frame_{i:02d}.png"), dots((120, 200), (60, 50), (90, 70), 5)[..., ::-1])
    for frame in refined.stream(tmp_path / "frame_%02d.png", track=True):
        assert np.array_equal(frame.poses.keypoints, points)
    for frame in refined.stream(sorted(tmp_path.iterdir())):
        assert np.allclose(frame.poses.keypoints, [[[60, 50], [90, 70]]], atol=1)


@pytest.mark.parametrize(("height", "detected"), [(80, True), (70, True), (60, False)])
def test_keypoints_outside_the_image_are_dropped_where_the_plain_predictor_has_none(
    height: int, detected: bool
) -> None:
    confidence, scores = np.ones((1, 2), np.float32), np.ones(1, np.float32)
    found = FixedPredictor(Poses(np.array([[[50, 40], [100, 58]]], np.float32), confidence, scores, PAIR))
    again = FixedPredictor(Poses(np.array([[[60, 50], [90, 70]]], np.float32), confidence, scores, PAIR), SPEC)
    image = np.zeros((height, 200, 3), np.uint8)
    assert RefinedPredictor(found, again)(image).detected.tolist() == [[True, True]]
    poses = RefinedPredictor(found, again, plain=found)(image)
    assert poses.detected.tolist() == [[True, detected]]
    assert poses.confidence.tolist() == [[1, float(detected)]]


def test_refinement_of_a_batch_equals_that_of_each_image() -> None:
    found = whole([[[50, 40], [100, 80], [np.nan] * 2], [[52, 41], [70, 80], [99, 60]]], [0.8, 0.5])
    refined = RefinedPredictor(found, predictor(DotNetwork()))
    images = [dots((120, 200), (60 + 5 * i, 50), (90, 70 - 4 * i), 5) for i in range(3)]
    for poses, image in zip(refined.batch(images), images, strict=True):
        assert np.array_equal(poses.keypoints, refined(image).keypoints)
        assert np.array_equal(poses.scores, refined(image).scores)
    with pytest.raises(ModelError, match="give boxes or refine, not both"):
        refined.batch(images, [None, [[0, 0, 50, 50]], None])
