"""Splits keep groups of images together, and are the same for the same seed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.similarity import Signatures
from cairn.datasets.split import image_groups, numbered_sequences, read_split, split, write_split
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

DOT = Skeleton("dot", ("middle",))


def labels_of(groups: Sequence[tuple[str, ...]], names: Sequence[str] | None = None, labeled: bool = True) -> Labels:
    annotation = Annotation(
        np.zeros((1, 1, 2), np.float32),
        np.full((1, 1), 2 if labeled else 0, np.uint8),
        np.ones((1, 4), np.float32),
        np.ones(1, np.float32),
        np.zeros(1, bool),
    )
    names = names or [f"{chr(97 + i % 26)}{i}x.jpg" for i in range(len(groups))]
    images = [
        LabeledImage(10 + i, Path("images") / name, (9, 9), annotation, shared)
        for i, (name, shared) in enumerate(zip(names, groups, strict=True))
    ]
    return Labels(DOT, tuple(images), np.ones(1, bool))


def unrelated(count: int) -> Signatures:
    return Signatures(
        np.eye(count, dtype=np.float32), tuple(i.to_bytes(2, "big") for i in range(count)), ((9, 9),) * count, {}
    )


@given(st.lists(st.integers(0, 12), min_size=30, max_size=80), st.floats(0.05, 0.3), st.integers(0, 99))
def test_no_video_is_in_both_sets_and_the_share_is_as_requested(videos: list[int], share: float, seed: int) -> None:
    labels = labels_of([(f"video {number}",) for number in videos])
    drawn = split(labels, share, seed, unrelated(len(videos)))
    train, val = drawn.apply(labels)
    assert {p.id for p in train} | {p.id for p in val} == {p.id for p in labels}
    assert not {p.id for p in train} & {p.id for p in val}
    shared = {p.groups for p in train} & {p.groups for p in val}
    assert len(shared) <= (1 if drawn.cut else 0)
    wanted = max(1, round(share * len(videos)))
    assert (wanted + 1) // 2 <= len(val) <= max(wanted, min(3 * wanted, len(videos) / 2))
    assert drawn == split(labels, share, seed, unrelated(len(videos)))


def test_another_seed_gives_another_split() -> None:
    labels, signatures = labels_of([()] * 200), unrelated(200)
    assert len({split(labels, 0.1, seed, signatures).val for seed in range(5)}) == 5


@given(st.integers(4, 60), st.integers(0, 9))
def test_a_single_video_is_cut_once(count: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(count)
    labels = labels_of([("video 1",)] * count, [f"f{i:04d}.jpg" for i in order])
    drawn = split(labels, 0.2, seed, unrelated(count))
    numbers = sorted(int(p.path.stem[1:]) for p in drawn.apply(labels)[1])
    assert drawn.cut == count
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))  # neighbors
    assert numbers[0] == 0 or numbers[-1] == count - 1  # at an end


def test_frames_are_ordered_by_frame_number() -> None:
    labels = labels_of([("video 1",)] * 10)
    frames = [3, 9, 1, 0, 2, 8, 7, 5, 6, 4]
    labels = replace(labels, images=tuple(replace(p, frame=frame) for p, frame in zip(labels, frames, strict=True)))
    _, val = split(labels, 0.3, 0, unrelated(10)).apply(labels)
    assert sorted(p.frame or 0 for p in val) == [7, 8, 9]


def test_groups_that_share_an_image_are_merged() -> None:
    labels = labels_of([("video a", "subject 1"), ("video b", "subject 1"), ("video b",), ("video c",), ()])
    assert image_groups(labels, unrelated(5)).tolist() == [0, 0, 0, 1, 2]


def test_numbered_names_are_a_video_if_neighbors_are_near_duplicates() -> None:
    names = [f"clip_{i}.jpg" for i in (2, 10, 1, 3, 20)] + [f"photo{i}.jpg" for i in range(5)]
    labels, signatures = labels_of([()] * 10, names), unrelated(10)
    assert numbered_sequences(labels, signatures) == {}
    still = signatures.thumbnails.copy()
    still[:4] = still[0]  # 1, 2, 3 and 10: three of the four steps change nothing
    assert numbered_sequences(labels, replace(signatures, thumbnails=still)) == {
        str(Path("images") / "clip_*"): [2, 0, 3, 1, 4]
    }


def test_a_split_file_round_trips_for_the_same_labels_only(tmp_path: Path) -> None:
    labels, path = labels_of([()] * 20), tmp_path / "split.json"
    drawn = split(labels, 0.2, 3, unrelated(20))
    write_split(drawn, path)
    assert read_split(path, labels) == drawn
    others = labels_of([()] * 20, [f"other{i}z.jpg" for i in range(20)])
    with pytest.raises(LabelError, match=r"split is of other labels: its image .* here it is other"):
        read_split(path, others).apply(others)
    path.write_text(json.dumps({"val": [10, 12]}))  # as older runs have it, without names
    assert [p.id for p in read_split(path, labels).apply(labels)[1]] == [10, 12]
    path.write_text(json.dumps({"val": [10, 999]}))
    with pytest.raises(LabelError, match="999"):
        read_split(path, labels).apply(labels)
    for damaged in (
        "",
        "[]",
        '{"val": 3}',
        '{"val": ["a"]}',
        '{"val": [10], "files": 3}',
        '{"val": [10], "files": ["a", "b"]}',
    ):
        path.write_text(damaged)
        with pytest.raises(LabelError, match="is damaged"):
            read_split(path, labels)


def test_too_few_images_fail_and_the_validation_set_has_labels() -> None:
    with pytest.raises(LabelError, match="cannot be split"):
        split(labels_of([()]), 0.1, 0, unrelated(1))
    mixed = labels_of([("video 1",)] * 6, [f"f{i}.jpg" for i in range(6)])
    bare = labels_of([()], labeled=False).images[0].annotation
    images = (*mixed.images[:3], *(replace(p, annotation=bare) for p in mixed.images[3:]))
    labels = replace(mixed, images=images)
    _, val = split(labels, 0.2, 0, unrelated(6)).apply(labels)
    assert any(p.annotation.labeled.any() for p in val)
