"""Names of results: short enough for file systems, and one name for each source."""

import os
import unicodedata
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.media.names import MAX_STEM, ImageName, short_stem
from cairn.media.reading import first_name, read_sources
from cairn.media.sources import find_sources

CHARACTERS = st.characters(exclude_characters="/\x00", exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS, min_size=1, max_size=300)


@given(NAMES)
def test_a_stem_fits_is_recognizable_and_is_always_the_same(name: str) -> None:
    stem = short_stem(name)
    assert len(os.fsencode(stem)) <= MAX_STEM
    assert short_stem(name) == stem
    start, _, hashed = stem.rpartition("~")
    assert stem == name or (name.startswith(start) and len(hashed) == 10)
    if stem != name and len(os.fsencode(name)) > MAX_STEM:  # cut at a character, as late as possible
        assert len(os.fsencode(start)) > MAX_STEM - 11 - 4


@given(NAMES, NAMES)
def test_two_stems_have_two_names(one: str, other: str) -> None:
    assert (short_stem(one) == short_stem(other)) == (one == other)


@pytest.mark.parametrize(
    "name",
    ["m" * 240, "\u65e5\u672c" * 40, "\U0001f40e" * 60, unicodedata.normalize("NFD", "\u00e9" * 120), "caf\udce9" * 60],
)
def test_long_names_that_differ_in_their_end_or_in_case_stay_apart(name: str) -> None:
    names = [name, name + "1", name + "2", name.upper() + "1", name[:-1]]
    assert len({short_stem(each).lower() for each in names}) == len(set(names))


def test_a_name_that_looks_shortened_is_not_that_of_another_source() -> None:
    short = short_stem("m" * 240)
    assert short_stem(short) != short
    assert short_stem("a~b") == "a~b"


@pytest.mark.parametrize("ending", [".cairn.json", ".cairn.coco-images.json", ".cairn.parquet", "_keypoints.json"])
def test_names_of_results_fit_with_frame_number_and_ending(tmp_path: Path, ending: str) -> None:
    video = ImageName(Path("x.mp4"), PurePath(short_stem("x" * 300)))
    frame = ImageName(video.path, PurePath(f"{video.output.name}_{7:012d}"), video.output, 7)
    for path in (frame.beside(tmp_path, ending), frame.beside_clip(tmp_path, ending)):
        assert len(os.fsencode(path.name)) <= 255
        path.touch()
    assert "_000000000007" in frame.beside(tmp_path, ending).name


def test_sources_have_short_names_whatever_else_is_named(tmp_path: Path) -> None:
    long = "m" * 240
    for name in (f"{long}.jpg", f"{long}.png", f"{long[:-1]}.jpg", "a.jpg"):
        (tmp_path / name).touch()
    outputs = {source.name.path.name: source.name.output.name for source in find_sources([str(tmp_path)])}
    assert len({output.lower() for output in outputs.values()}) == 4
    assert all(len(output) <= MAX_STEM for output in outputs.values())
    assert outputs["a.jpg"] == "a.jpg"  # the suffix is kept in this folder
    (alone,) = find_sources([str(tmp_path / f"{long[:-1]}.jpg")])
    assert alone.name.output.name == short_stem(long[:-1])


def test_the_first_name_is_that_of_the_first_frame(tmp_path: Path) -> None:
    for number in (3, 4):
        (tmp_path / f"{'f' * 230}_{number:05d}.png").touch()
    (sequence,) = find_sources([str(tmp_path / f"{'f' * 230}_%05d.png")])
    first, second = (frame.name for frame in read_sources([sequence]))
    assert first_name(sequence) == first
    assert first.output != second.output
    assert first.path.name.endswith("_00003.png")
    (image,) = find_sources([str(tmp_path / "a.png")])
    assert first_name(image) == image.name
    (video,) = find_sources([str(tmp_path / "a.mp4")])
    assert first_name(video).output == PurePath("a_000000000000")
