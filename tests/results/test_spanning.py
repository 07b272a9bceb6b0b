"""Files of several images: one for each clip, complete at its end; one that fails is given up alone."""

import csv
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TextIO

import pytest

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results import Detections, WriterOptions, create_writers
from cairn.results.spanning import SpanningWriter, table_path
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from support.fake_poses import random_poses

EMPTY = Poses.empty(load_skeleton("coco17"))


def image(stem: str) -> Detections:
    return Detections(ImageName(Path(f"{stem}.jpg"), PurePath(stem)), (4, 4), EMPTY)


def frame(clip: str, number: int) -> Detections:
    name = ImageName(Path(f"{clip}.mp4"), PurePath(f"{clip}_{number}"), PurePath(clip), number, float(number))
    return Detections(name, (4, 4), EMPTY)


class Names(SpanningWriter[TextIO]):
    """Writes the name of each image; fails for images whose names contain `bad`, and at the end of `late`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    @contextmanager
    def _opened(self, detections: Detections) -> Iterator[TextIO]:
        path = table_path(self.folder, detections.name, ".names.txt", single=False)
        with atomic_write(path) as beside, beside.open("w") as file:
            yield file
            if detections.name.clip == PurePath("late"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _add(self, file: TextIO, detections: Detections) -> None:
        if "bad" in detections.name.output.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        print(detections.name.output, file=file)


def written(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().replace("\n", " ") for path in folder.iterdir()}


def test_a_file_of_a_clip_appears_when_the_clip_ends(tmp_path: Path) -> None:
    with Names(tmp_path) as writer:
        writer.write(image("a"))
        writer.write(frame("x", 0))
        assert not (tmp_path / "x.names.txt").exists()
        writer.write(frame("x", 1))
        writer.write(frame("y", 0))
        assert (tmp_path / "x.names.txt").read_text() == "x_0\nx_1\n"
        writer.write(image("b"))
        assert (tmp_path / "y.names.txt").read_text() == "y_0\n"
        writer.write(frame("z", 0))
        writer.end_clip()
        assert (tmp_path / "z.names.txt").exists()
        assert not (tmp_path / "names.txt").exists()
    assert written(tmp_path)["names.txt"] == "a b "


def test_a_file_that_fails_is_given_up_and_the_others_are_written(tmp_path: Path) -> None:
    with Names(tmp_path) as writer:
        writer.write(image("a"))
        writer.write(frame("x", 0))
        with pytest.raises(OutputError, match=r"cannot write .*x\.names\.txt: No space left"):
            writer.write(replace(frame("x", 1), name=replace(frame("x", 1).name, output=PurePath("x_bad"))))
        writer.write(frame("x", 2))  # ignored
        writer.write(frame("y", 0))
        writer.write(image("b"))
    assert written(tmp_path) == {"names.txt": "a b ", "y.names.txt": "y_0 "}


def test_a_file_that_fails_at_its_end_takes_no_other_with_it(tmp_path: Path) -> None:
    writer = Names(tmp_path)
    writer.__enter__()
    writer.write(image("a"))
    writer.write(frame("late", 0))
    with pytest.raises(OutputError, match=r"cannot write .*late\.names\.txt"):
        writer.__exit__(None, None, None)
    assert written(tmp_path) == {"names.txt": "a "}


def test_a_table_is_that_of_its_clip_of_the_one_image_or_of_the_run() -> None:
    out = Path("out")
    assert table_path(out, frame("sub/x", 3).name, ".cairn.csv", single=False) == out / "sub" / "x.cairn.csv"
    assert table_path(out, frame("x", 3).name, ".cairn.csv", single=True) == out / "x.cairn.csv"
    assert table_path(out, image("a").name, ".cairn.csv", single=True) == out / "a.cairn.csv"
    assert table_path(out, image("sub/a").name, ".cairn.csv", single=False) == out / "cairn.csv"


@pytest.mark.parametrize("name", ["csv", "parquet", "coco", "json"])
def test_a_full_disk_ends_the_file_with_an_error_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limits")
    if name == "parquet":
        pytest.importorskip("pyarrow")
    many = replace(frame("x", 0), poses=random_poses(0, 200, EMPTY.skeleton))
    options = WriterOptions(tmp_path, "person", [Path("a.jpg")])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (writer,) = create_writers([name], options)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*x\.cairn\."), writer:  # noqa: PT012
            for _ in range(20):
                writer.write(many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_tables_have_a_fixed_number_of_decimals_and_no_exponent(tmp_path: Path) -> None:
    poses = random_poses(0, 1, EMPTY.skeleton)
    poses.keypoints[0, :3] = [[12.5, -0.001], [1e-7, 99999.9996], [3, 0.125]]
    poses.confidence[0, :3] = [0.5, 0.00004, 1]
    for decimals, expected in (
        (None, [("12.50", "0.00", "0.5000"), ("0.00", "100000.00", "0.0000"), ("3.00", "0.12", "1.0000")]),
        (0, [("12", "0", "0.5000"), ("0", "100000", "0.0000"), ("3", "0", "1.0000")]),
        (6, [("12.500000", "-0.001000", "0.500000"), ("0.000000", "100000.000000", "0.000040")]),
    ):
        options = WriterOptions(tmp_path, "person", single=True, decimals=decimals)
        (writer,) = create_writers(["csv"], options)
        with writer:
            writer.write(replace(image("a"), poses=poses))
        with (tmp_path / "a.cairn.csv").open(newline="") as file:
            rows = [(row["x"], row["y"], row["confidence"]) for row in csv.DictReader(file)]
        assert rows[: len(expected)] == expected
