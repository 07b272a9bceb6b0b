"""`cairn convert`: exit status, output and files."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cairn.cli import main
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.reading import read_labels
from cairn.structures.skeleton import load_skeleton
from support.made_labels import assert_same, draw_images, make_labels

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["convert", *arguments])
        code = ended.value.code
        return (code if isinstance(code, int) else 0), *capsys.readouterr()

    return run


def nameless(folder: Path) -> Path:
    """Writes COCO labels without limbs."""
    draw_images(folder, ("a.png",))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "bug", "keypoints": ["nose", "wingL", "wingR", "tail"]}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [10, 10, 2, 20, 8, 2, 20, 12, 2, 40, 10, 2]}
        ],
    }
    path = folder / "bugs.json"
    path.write_text(json.dumps(content))
    return path


def test_conversion_through_all_formats_and_back_is_identity(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="reading data.yaml needs PyYAML, which is in the io extra")
    write_coco(make_labels(tmp_path), tmp_path / "one.json")
    steps = ("one.json", "two.csv", "three.parquet", "four", "five.json")
    for source, target in pairwise(steps):
        code, out, _ = run(source, target)
        assert (code, out.splitlines()[-1]) == (0, target)
    one, back = read_coco(tmp_path / "one.json"), read_coco(tmp_path / "five.json")
    assert_same(one, back, 1e-4, but=("areas", "tracks"))


def test_inferred_skeleton_is_printed_and_can_be_corrected(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(str(nameless(tmp_path)), "out.json")
    assert code == 0
    for line in (
        "1 images, 1 instances, skeleton bug",
        "limbs: INFERRED: joints near each other",
        "flip pairs: from left and right in the names",
        "sigmas: COCO's for nose; default 0.05 for the other 3, not measured",
    ):
        assert line in out
    guessed = read_coco(tmp_path / "out.json").skeleton
    limbs = {tuple(sorted(limb)) for limb in guessed.limbs}
    assert (1, 2) in limbs
    assert len(limbs & {(0, 1), (0, 2)}) == len(limbs & {(1, 3), (2, 3)}) == 1
    assert len(limbs) == 3
    file = tmp_path / "out.skeleton.toml"
    assert load_skeleton(str(file)) == guessed
    file.write_text(file.read_text().replace("0.026", "0.3"))
    code, _, error = run("bugs.json", "out.json")
    assert code == 2
    assert "out.json exists" in error
    load_skeleton.cache_clear()
    code, out, _ = run("bugs.json", "out.json", "--skeleton", "out.skeleton.toml", "--overwrite")
    assert code == 0
    assert "limbs: given" in out
    assert read_coco(tmp_path / "out.json").skeleton.sigmas[0] == 0.3
    assert "0.3" in file.read_text()


def test_a_corrected_skeleton_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    nameless(tmp_path)
    (tmp_path / "out.skeleton.toml").write_text('name = "mine"\njoints = ["nose"]\n')
    code, _, error = run("bugs.json", "out.json")
    assert code == 2
    assert "out.skeleton.toml exists with another skeleton" in error
    assert not (tmp_path / "out.json").exists()


def test_split_of_a_yolo_folder_is_named_after_the_source(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="reading data.yaml needs PyYAML, which is in the io extra")
    source = nameless(tmp_path)
    for part in ("train", "val"):
        (tmp_path / f"{part}.json").write_bytes(source.read_bytes())
        assert run(f"{part}.json", "yolo")[0] == 0
    assert (tmp_path / "yolo/labels/val/a.txt").is_file()
    assert len(read_labels(tmp_path / "yolo")) == 2
    code, _, error = run("val.json", "yolo")
    assert code == 2
    assert "yolo/images/val exists" in error


def test_skeleton_of_mmpose_is_converted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "info.py").write_text(
        "dataset_info = dict(dataset_name='bug', keypoint_info={0: dict(name='nose'), 1: dict(name='wingL', "
        "swap='wingR'), 2: dict(name='wingR', swap='wingL'), 3: dict(name='tail')}, "
        "skeleton_info={0: dict(link=('nose', 'tail'))})"
    )
    assert run("info.py", "bug.toml")[:2] == (0, "bug.toml\n")
    assert load_skeleton(str(tmp_path / "bug.toml")).limbs == ((0, 3),)
    nameless(tmp_path)
    assert run("bugs.json", "out.json", "--skeleton", "info.py")[0] == 0
    assert read_coco(tmp_path / "out.json").skeleton.limbs == ((0, 3),)


def test_invalid_records_are_skipped_on_request(run: Run, tmp_path: Path) -> None:
    source = nameless(tmp_path)
    content = json.loads(source.read_text())
    row = content["annotations"][0]
    content["annotations"] += [row | {"id": i, "keypoints": [1]} for i in range(2, 9)]
    source.write_text(json.dumps(content))
    code, _, error = run("bugs.json", "out.csv")
    assert (code, error.count("\n")) == (2, 1)
    assert "bugs.json: annotation 2: keypoints must be" in error
    assert not list(tmp_path.glob("out*"))
    code, _, error = run("bugs.json", "out.csv", "--skip-bad")
    assert code == 0
    assert "skipped: 7 records that cannot be used" in error
    assert "and 2 more" in error
    assert len(read_labels(tmp_path / "out.csv").images[0].annotation) == 1


def test_extracted_frames_are_removed_after_a_failure(run: Run, tmp_path: Path) -> None:
    sio = pytest.importorskip("sleap_io", reason="SLEAP's files need sleap-io, which is in the io extra")
    draw_images(tmp_path / "p", ("a.png",))
    bug = sio.Skeleton(["head", "tail"])
    instance = sio.Instance.from_numpy(np.ones((2, 2)), skeleton=bug)
    video = sio.Video.from_filename([str(tmp_path / "p/a.png")])
    frame = sio.LabeledFrame(video=video, frame_idx=0, instances=[instance])
    content = sio.Labels(videos=[video], skeletons=[bug], labeled_frames=[frame])
    content.save(str(tmp_path / "bugs.pkg.slp"), embed="user", verbose=False)
    assert run("bugs.pkg.slp", "out/bugs.json", "--skeleton", "coco17")[0] == 2
    assert not (tmp_path / "out/images").exists()
    assert run("bugs.pkg.slp", "out/bugs.json")[0] == 0
    assert read_coco(tmp_path / "out/bugs.json").images[0].path == tmp_path / "out/images/p/000000.png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.json", "out.json"), "cannot read labels none.json"),
        (("bugs.json", "bugs.json"), "is the source of the conversion"),
        (("bugs.json", "out.abc"), "cannot determine the format of out.abc by its suffix"),
        (("bugs.json", "out.json", "--part", "val"), "labels in coco format have no splits"),
        (("bugs.json", "out.json", "--skeleton", "none.toml"), "no skeleton file at none.toml"),
        (("bugs.json", "out.json", "--skeleton", "hand21"), "share none with skeleton hand21"),
        (("bugs.json", "a.png/out.json"), "cannot write"),
    ],
)
def test_invalid_input_is_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    nameless(tmp_path)
    code, _, error = run(*arguments)
    assert code == 2
    assert any(part in error for part in message.split("|")), error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_every_writable_format_can_be_chosen() -> None:
    from cairn.cli.convert import Format
    from cairn.datasets.formats import FORMATS

    assert {choice.value for choice in Format} == {known.name for known in FORMATS if known.write} | {"toml"}
