"""The table of formats: every entry is complete, and a new format is one module plus one entry."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.formats import FORMATS, Format, ReadOptions
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.formats.instances import Instance, collect
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.datasets.writing import form_by_name, write_labels
from cairn.errors import LabelError, OutputError
from cairn.structures.skeleton import Skeleton
from support.made_labels import assert_same, draw_images, make_labels

DOT = Skeleton("dot", ("center",))


def read_dots(path: Path, options: ReadOptions) -> Labels:
    """A line `dots`, then a line `IMAGE X Y` for each instance."""
    instances = []
    for number, line in enumerate(path.read_text().splitlines()[1:], start=2):
        with options.problems:
            name, *values = line.split()
            if len(values) != 2:
                raise LabelError(f"{path} line {number}: expected IMAGE X Y, got {line}")
            instances.append(Instance(name, np.array([values], float), np.zeros(1, bool)))
    return collect(instances, DOT, path, options.images, problems=options.problems)


def write_dots(labels: Labels, path: Path, split: str) -> tuple[str, ...]:
    lines = ["dots"]
    for image in labels:
        lines += [f"{image.path.name} {x:g} {y:g}" for x, y in image.annotation.keypoints[:, 0]]
    path.write_text("\n".join(lines) + "\n")
    return ("bounding boxes are skipped: dots has no field for them",)


DOTS = Format(
    "dots", "dots (.dots)", (".dots",), lambda path: first_bytes(path).startswith(b"dots\n"), read_dots, write_dots
)
WITH_DOTS = (*FORMATS, DOTS)


def test_a_new_format_is_one_module_and_one_entry(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    path = tmp_path / "labels.dots"
    path.write_text("dots\na.png 3 4\na.png 10 12.5\nb.png 7 7\n")
    labels = read_labels(path, formats=WITH_DOTS)
    assert [len(image.annotation) for image in labels] == [2, 1]
    np.testing.assert_array_equal(labels.images[0].annotation.keypoints[:, 0], [[3, 4], [10, 12.5]])

    write_labels(labels, tmp_path / "labels.json", formats=WITH_DOTS)
    again = read_labels(tmp_path / "labels.json", formats=WITH_DOTS)
    assert_same(labels, again)

    assert form_by_name(tmp_path / "again.dots", WITH_DOTS) == "dots"
    lost = write_labels(again, tmp_path / "again.dots", formats=WITH_DOTS)
    assert lost == ("bounding boxes are skipped: dots has no field for them",)
    assert (tmp_path / "again.dots").read_bytes() == path.read_bytes()


def test_a_new_format_has_the_options_of_the_others(tmp_path: Path) -> None:
    draw_images(tmp_path / "elsewhere", ("a.png",))
    path = tmp_path / "labels.dots"
    path.write_text("dots\na.png 3 4\na.png 10\n")
    with pytest.raises(LabelError, match="line 3: expected IMAGE X Y"):
        read_labels(path, ReadOptions(tmp_path / "elsewhere"), formats=WITH_DOTS)
    problems = Problems(skip=True)
    assert len(read_labels(path, ReadOptions(tmp_path / "elsewhere", problems=problems), formats=WITH_DOTS)) == 1
    assert len(problems.skipped) == 1
    with pytest.raises(LabelError, match="labels in dots format have no splits, got split val"):
        read_labels(path, ReadOptions(split="val"), formats=WITH_DOTS)
    labels = read_labels(path, ReadOptions(tmp_path / "elsewhere", problems=problems), formats=WITH_DOTS)
    with pytest.raises(OutputError, match="labels in dots format have no splits, got val"):
        write_labels(labels, path, "dots", "val", WITH_DOTS)
    with pytest.raises(LabelError, match=r"unknown format: expected .*COCO"):
        read_labels(path)
    with pytest.raises(
        OutputError, match=r"cannot determine the format of .*: expected a folder \(yolo\), .*\.json \(coco\)"
    ):
        form_by_name(path)


def test_entries_are_complete_and_distinct() -> None:
    names = [known.name for known in FORMATS]
    assert len(set(names)) == len(names)
    for known in FORMATS:
        assert known.read or known.write
        assert known.suffixes
        assert all(suffix == "" or suffix.startswith(".") for suffix in known.suffixes)
    writable = [known.suffixes[0] for known in FORMATS if known.write]
    assert len(set(writable)) == len(writable)


@pytest.mark.parametrize("name", [known.name for known in FORMATS if known.read and known.write])
def test_a_written_file_is_detected_and_read(tmp_path: Path, name: str) -> None:
    package = {"yolo": "yaml", "deeplabcut": "yaml", "sleap": "sleap_io", "parquet": "pyarrow"}.get(name)
    if package:
        pytest.importorskip(package, reason=f"{name} needs {package}, which is in an extra")
    (known,) = (known for known in FORMATS if known.name == name)
    write_coco(make_labels(tmp_path), tmp_path / "labels.json")
    labels = read_coco(tmp_path / "labels.json")
    target = tmp_path / f"again{known.suffixes[0]}"
    assert form_by_name(target) == name
    write_labels(labels, target)
    assert detect_format(target) is known
    again = read_labels(target)
    assert [image.path.name for image in again] == [image.path.name for image in labels]
    assert [len(image.annotation) for image in again] == [len(image.annotation) for image in labels]


def test_a_format_that_is_only_read_is_not_written(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    for form in ("mpii", "none"):
        with pytest.raises(OutputError, match=f"labels can be written as .*coco.*, got '{form}'"):
            write_labels(labels, tmp_path / "labels.slp", form)


def test_a_format_that_is_only_written_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "labels.dots").write_text("dots\n")
    written = Format("dots", "dots (.dots)", (".dots",), DOTS.sniff, write=write_dots)
    with pytest.raises(LabelError, match=r"dots \(\.dots\) can be written but not read"):
        read_labels(tmp_path / "labels.dots", formats=(written,))


def test_the_table_imports_no_optional_package() -> None:
    code = (
        "import sys, cairn.datasets.reading, cairn.datasets.writing; "
        "print(sorted({'h5py', 'yaml', 'sleap_io', 'scipy', 'pyarrow', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
