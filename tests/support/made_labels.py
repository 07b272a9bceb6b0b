"""Labels of small images made by tests, with what formats differ in: track IDs, crowds, occluded joints."""

from pathlib import Path

import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

NAMES = ("head", "wingL", "wingR", "tail end", "nose")
MOTH = Skeleton("moth", NAMES, ((0, 1), (0, 2), (1, 2)), (2,), ((1, 2),), (0.05, 0.05, 0.05, 0.05, 0.026))
SIZE = (40, 60)


def draw_images(folder: Path, names: tuple[str, ...], size: tuple[int, int] = SIZE) -> None:
    """Writes a different image for each name."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full((*size, 3), 20 * i + 10, np.uint8))


def make_labels(
    folder: Path, names: tuple[str, ...] = ("a.png", "b ü.png", "sub/a.png"), crowds: bool = False, seed: int = 3
) -> Labels:
    """Two instances in each image except the last, which has none; joints are at quarters of pixels."""
    generator = np.random.default_rng(seed)
    draw_images(folder, names)
    images = []
    for number, name in enumerate(names, start=1):
        rows = 0 if number == len(names) else 2
        visibility = generator.integers(0, 3, (rows, len(NAMES))).astype(np.uint8)
        visibility[:, :2] = 2  # every instance has labeled joints
        points = generator.integers(4, 4 * 39, (rows, len(NAMES), 2)) / 4
        corner, extent = generator.integers(0, 20, (rows, 2)), generator.integers(4, 20, (rows, 2))
        annotation = Annotation(
            keypoints=np.where(visibility[..., None] > 0, points, np.nan).astype(np.float32),
            visibility=visibility,
            boxes=np.concatenate([corner, extent], axis=1).astype(np.float32),
            areas=generator.uniform(1, 500, rows).astype(np.float32),
            crowd=np.arange(rows) == (1 if crowds else 9),
            tracks=np.arange(rows, dtype=np.int64) + number,
        )
        images.append(LabeledImage(number, folder / name, SIZE, annotation, ("video clip one",), 7 * number))
    return Labels(MOTH, tuple(images), np.ones(len(NAMES), bool))


def assert_same(one: Labels, other: Labels, tolerance: float = 0, but: tuple[str, ...] = ()) -> None:
    """Compares the skeletons, and every field of every instance in the order of images."""
    assert one.skeleton == other.skeleton
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.size == b.size
        for field in Annotation.__dataclass_fields__:
            if field not in but:
                mine, theirs = getattr(a.annotation, field), getattr(b.annotation, field)
                assert (mine is None) == (theirs is None), field
                if mine is not None:
                    np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance, err_msg=field)
