"""What a training crop of an image shows: the scale of the person, and where the loss counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets.labels import LabeledImage
from cairn.errors import RecipeError
from cairn.methods.openpose.recipe import Input, Recipe
from cairn.methods.openpose.training import MAIN_KEYPOINTS, Encoder, random_square, supervised_cells
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Affine, crop, field_affine
from cairn.structures.outline import Polygons, RunLengths, covered
from cairn.structures.skeleton import load_skeleton
from cairn.training.data.augmentation import NO_AUGMENTATION, Augmentation, moved, random_view
from cairn.training.data.loading import Sample
from cairn.training.recipe_tables import check_recipe

COCO = load_skeleton("coco17")
SIZE = (400, 600)
RELEASED = Augmentation(rotation=40, scale=(0.5, 1.1), shift=40 / 368, flip=0.5)


def people(boxes, labeled=17, areas=5000.0) -> Annotation:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    visibility = np.zeros((len(boxes), 17), np.uint8)
    for row, count in enumerate(np.broadcast_to(labeled, len(boxes))):
        visibility[row, :count] = 2
    keypoints = boxes[:, None, :2] + np.linspace(0, 1, 17)[:, None] * boxes[:, None, 2:]
    return Annotation(
        np.where(visibility[..., None] > 0, keypoints, np.nan).astype(np.float32),
        visibility,
        boxes,
        np.broadcast_to(np.float32(areas), len(boxes)).copy(),
        np.zeros(len(boxes), bool),
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.1, 1.0), side=st.sampled_from([256, 368, 480]))
def test_the_person_has_its_height_in_the_crop(seed, share, side):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 150, 2)
    annotation = people([*corner, *rng.uniform(20, 200, 2)])
    view = random_view(
        NO_AUGMENTATION,
        rng,
        *random_square(annotation, SIZE, Input(size=side, person_height=share), rng),
        (side, side),
    )
    box = moved(annotation, view, COCO).boxes[0]
    assert box[3] == pytest.approx(share * side, rel=1e-5)
    assert box[:2] + box[2:] / 2 == pytest.approx([(side - 1) / 2] * 2, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_ranges_are_those_of_the_release(seed):
    """Height of the person 0.6 x (0.5 to 1.1) of the crop, center within 40 of 368 pixels, rotation within 40°."""
    rng = np.random.default_rng(seed)
    annotation = people([200, 100, 60, 120])
    square = random_square(annotation, SIZE, Input(size=368, person_height=0.6), rng)
    view = random_view(RELEASED, rng, *square, (368, 368))
    assert 0.6 * 368 * 0.5 - 1e-3 <= view.affine.scale * 120 <= 0.6 * 368 * 1.1 + 1e-3
    center = view.affine.apply(np.array([230.0, 160.0]))
    rotation = np.degrees(np.arctan2(view.affine.matrix[1, 0], view.affine.matrix[1, 1]))
    assert abs(rotation) <= 40 + 1e-6
    a, b = (np.cos(np.radians(rotation)), np.sin(np.radians(rotation)))
    offset = np.array([[a, b], [-b, a]]) @ (center - 183.5)  # the shift is along the axes of the image
    assert (np.abs(offset * (1, 1)) <= 40 + 1e-3).all() or view.mirrored


def test_scales_follow_main_people_as_in_the_release():
    """At least five labeled keypoints and 32 x 32 pixels."""
    rng = np.random.default_rng(0)
    settings_ = Input(size=368, person_height=0.6)
    boxes = [[0, 0, 50, 100], [100, 0, 50, 200], [200, 0, 30, 30]]
    few = people(boxes, labeled=[MAIN_KEYPOINTS - 1, MAIN_KEYPOINTS, 17], areas=[5000, 1024, 1023])
    squares = {random_square(few, SIZE, settings_, rng) for _ in range(50)}
    assert squares == {((125.0, 100.0), 200 / 0.6)}
    # Without any the image has its size at inference, around one of the labeled people, or around its center.
    sparse = people(boxes[:1], labeled=2)
    assert random_square(sparse, SIZE, settings_, rng) == random_square(sparse, SIZE, Input(size=368), rng)
    assert random_square(few[:0], SIZE, settings_, rng) == ((299.5, 199.5), 368 * 600 / 384)


def test_a_skeleton_of_few_joints_has_main_people():
    annotation = people([[0, 0, 50, 100]])
    annotation = replace(annotation, keypoints=annotation.keypoints[:, :2], visibility=annotation.visibility[:, :2])
    square = random_square(annotation, SIZE, Input(person_height=0.5), np.random.default_rng(0))
    assert square[1] == pytest.approx(200)


def test_the_scale_of_a_source_and_the_default(tmp_path):
    """`scale` of a source applies beside it; by default the person does not matter; seeds reproduce."""
    annotation = people([[200, 100, 60, 120], [20, 20, 100, 300]])
    image = LabeledImage(1, tmp_path / "a.jpg", SIZE, annotation)
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)

    def encoded(seed, scale=1.0, **settings_):
        recipe = Recipe(input=Input(size=256, **settings_), augmentation=RELEASED)
        sample = Sample(image, np.ones(17, bool), scale=scale)
        return Encoder(recipe, COCO)(pixels, sample, np.random.default_rng(seed))

    first, again, other = (encoded(seed, person_height=0.6) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["image"], other["image"])
    assert not np.array_equal(first["image"], encoded(1)["image"])
    assert not np.array_equal(first["image"], encoded(1, scale=0.5, person_height=0.6)["image"])
    one, two = (random_square(annotation, SIZE, Input(), np.random.default_rng(s)) for s in (0, 5))
    assert one[1] == two[1] == 256 * 600 / 384


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_impossible_heights_are_errors(value):
    with pytest.raises(RecipeError, match=r"input\.person_height"):
        check_recipe(Recipe, {"input": {"person_height": value}})


def test_the_height_does_not_apply_to_crops_of_hands():
    with pytest.raises(RecipeError, match="person_height applies to networks for whole images"):
        check_recipe(Recipe, {"input": {"person_height": 0.6}, "network": {"kind": "hand"}})


# ---- W(p)


def ring(*corners) -> Polygons:
    return Polygons((np.array(corners, np.float32).tobytes(),))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_mask_has_the_outlines_of_people_without_labels(seed):
    """Outlines of people always count, those of crowds outside labeled boxes, boxes where there is no outline."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (5, 2))
    annotation = people(np.concatenate([corners, rng.uniform(10, 60, (5, 2))], axis=1), labeled=[17, 0, 0, 0, 0])
    triangle = ring(*rng.uniform(0, 100, (3, 2)))
    counts = np.array([int(rng.integers(0, 5000)), 3000], np.int64)
    crowd = RunLengths(np.append(counts, 12000 - counts.sum()), (100, 120))
    outlines = np.array([None, triangle, crowd, None, None], dtype=object)
    annotation = replace(annotation, outlines=outlines, crowd=np.array([0, 0, 1, 0, 1], bool))
    view = crop((60, 50), rng.uniform(60, 200), (96, 80), rng.uniform(-40, 40))
    size = (12, 10)
    to_cells = view.then(field_affine(8).inverse())
    mask = supervised_cells(annotation, to_cells, size)
    of_triangle, of_crowd = covered(triangle, to_cells, size), covered(crowd, to_cells, size)
    for y, x in np.ndindex(size):
        px, py = to_cells.inverse().apply(np.array([x, y], np.float32))
        inside = [bx <= px <= bx + bw and by <= py <= by + bh for bx, by, bw, bh in annotation.boxes]
        ignored = of_triangle[y, x] or (not inside[0] and (of_crowd[y, x] or inside[3] or inside[4]))
        assert mask[y, x] == (not ignored)


def test_a_flip_mirrors_the_mask(tmp_path):
    annotation = people([[10, 10, 60, 180], [120, 40, 60, 100]], labeled=[17, 0])
    triangle = ring((120, 40), (180, 60), (130, 140))
    annotation = replace(annotation, outlines=np.array([None, triangle], dtype=object))
    image = LabeledImage(1, tmp_path / "a.jpg", (200, 200), annotation)
    masks = []
    for flip in (0.0, 1.0):
        recipe = Recipe(
            input=Input(size=256, inference_size=256),
            augmentation=NO_AUGMENTATION.model_copy(update={"flip": flip}),
        )
        sample = Sample(image, np.ones(17, bool))
        rng = np.random.default_rng(0)
        masks.append(Encoder(recipe, COCO)(np.zeros((200, 200, 3), np.uint8), sample, rng)["mask"])
    assert not masks[0].all()
    assert np.array_equal(masks[1], masks[0][:, ::-1])


def test_moved_annotations_have_no_outlines_of_the_image():
    annotation = replace(people([0, 0, 9, 9]), outlines=np.array([ring((0, 0), (9, 0), (0, 9))], dtype=object))
    view = random_view(NO_AUGMENTATION, np.random.default_rng(0), (4, 4), 10, (20, 20))
    assert moved(annotation, view, COCO).outlines is None
    assert supervised_cells(annotation[:0], Affine.identity(), (3, 3)).all()
