"""Splits of YOLO-pose data sets: each image is in one, in all spellings of their places."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.yolo_sets import POSE, put_images, yolo_set

pytest.importorskip("yaml", reason="reading data.yaml needs PyYAML, which is in the io extra")


def splits_of(path: Path, options: ReadOptions | None = None) -> dict[str, list[str]]:
    """Names of the images by split."""
    labels = read_labels(path, options)
    return {split: [image.path.stem for image in labels.of_split(split)] for split in labels.splits}


def three_splits(root: Path, below: str = "images/{}") -> Path:
    """Two images for training, one for validation, one for tests; `below` is the folder of a split."""
    for split, names in (("train", "ab"), ("val", "c"), ("test", "d")):
        put_images(root, *(f"{below.format(split)}/{name}.png" for name in names))
    return root


def write(root: Path, *lines: str, name: str = "data.yaml") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n" + POSE)
    return path


ALL = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}

SPELLINGS = {
    "relative": ("images/{}", ["train: images/train", "val: images/val", "test: images/test"]),
    "folders of splits": ("{}/images", ["train: train/images", "val: val/images", "test: test/images"]),
    "folders that hold both": ("{}/images", ["train: train", "val: val", "test: ./test/"]),
    "Roboflow": ("{}/images", ["train: ../train/images", "val: ../val/images", "test: ../test/images"]),
    "valid": ("images/{}", ["train: images/train", "valid: images/val", "test: images/test"]),
    "validation": ("images/{}", ["train: images/train", "validation: images/val", "test: images/test"]),
    "Windows": ("images/{}", ["path: D:\\data\\set", "train: images\\train", "val: .\\images\\val",
                              "test: images\\test"]),
    "Windows, absolute": ("images/{}", ["train: 'D:\\set\\images\\train'", "val: 'D:\\set\\images\\val'",
                                        "test: 'D:\\set\\images\\test'"]),
    "path of another machine": ("images/{}", ["path: /content/set", "train: images/train", "val: images/val",
                                              "test: images/test", "download: https://example.com/set.zip"]),
    "absolute of another machine": ("images/{}", ["train: /content/set/images/train", "val: /content/set/images/val",
                                                  "test: /content/set/images/test"]),
    "path to nowhere": ("images/{}", ["path: ../datasets/set", "train: images/train", "val: images/val",
                                      "test: images/test"]),
    "an empty path": ("images/{}", ["path:", "train: images/train", "val: images/val", "test: images/test"]),
    "below path": ("data/set/images/{}", ["path: data/set", "train: images/train", "val: images/val",
                                          "test: images/test"]),
    "lists of folders": ("images/{}", ["train: [images/train]", "val: [images/val]", "test:\n  - images/test"]),
    "patterns": ("images/{}", ["train: images/tr*", "val: images/v??", "test: images/test/*.png"]),
    "URL-encoded": ("images/my {}", ["train: images/my%20train", "val: images/my%20val", "test: images/my%20test"]),
    "labels beside the images": ("{}", ["train: train", "val: val", "test: test"]),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_the_places_gives_the_same_splits(tmp_path: Path, spelling: str) -> None:
    below, lines = SPELLINGS[spelling]
    root = three_splits(tmp_path / "set", below)
    path = write(root, *lines)
    assert splits_of(path) == splits_of(root) == ALL
    for split, names in ALL.items():
        assert splits_of(path, ReadOptions(split=split)) == {split: names}


def test_a_yaml_in_another_folder_finds_its_images_by_path_or_by_the_given_folder(tmp_path: Path) -> None:
    root = three_splits(tmp_path / "set")
    lines = ["train: images/train", "val: images/val", "test: images/test"]
    for stated in ("../set", str(root)):
        assert splits_of(write(tmp_path / "configs", f"path: {stated}", *lines, name="fly.yaml")) == ALL
    path = write(tmp_path / "configs", *lines, name="fly.yaml")
    with pytest.raises(LabelError, match=r"no images at images/train \(train\), images/val \(val\), .*--images"):
        read_labels(path)
    assert splits_of(path, ReadOptions(root / "images")) == splits_of(path, ReadOptions(root)) == ALL


def test_the_given_folder_is_the_only_place_where_the_stated_one_does_not_exist(tmp_path: Path) -> None:
    put_images(tmp_path, "photos/a.png")
    write(tmp_path / "configs", "train: somewhere/else", name="fly.yaml")
    assert splits_of(tmp_path / "configs", ReadOptions(tmp_path / "photos")) == {"train": ["a"]}
    write(tmp_path / "configs", "train: somewhere/else", "val: there", name="fly.yaml")
    with pytest.raises(LabelError, match=r"no images at somewhere/else \(train\), there \(val\): below .*photos"):
        read_labels(tmp_path / "configs", ReadOptions(tmp_path / "photos"))


def test_text_files_list_images(tmp_path: Path) -> None:
    root = three_splits(tmp_path / "set")
    (root / "train.txt").write_text("./images/train/b.png\n\nimages/train/a.png  \r\nimages/train/a.png\n")
    (root / "lists").mkdir()
    (root / "lists/val.txt").write_text("../images/val/c.png\n")
    (root / "test.txt").write_text("C:\\data\\images\\test\\d.png\n", encoding="utf-16")
    write(root, "train: train.txt", "val: lists/val.txt", "test: test.txt")
    problems = Problems()
    assert splits_of(root, ReadOptions(problems=problems)) == ALL | {"train": ["b", "a"]}
    assert len(problems.notes) == 1
    assert "several times" in problems.notes[0]
    (root / "train.txt").write_text("images/train/a.png\nimages/train/none.png\n")
    with pytest.raises(LabelError, match=r"1 of 2 images are missing, the first is .*none\.png"):
        read_labels(root)
    (root / "train.txt").write_bytes(b"\xff\x00\x81")
    with pytest.raises(LabelError, match=r"train\.txt must be a folder of images, or a text file"):
        read_labels(root)


@pytest.mark.parametrize(
    "place", ["../test/images", "/content/set/test/images", "images/none", "none.txt", "images/q*"]
)
def test_a_split_without_images_is_skipped_unless_it_is_asked_for(tmp_path: Path, place: str) -> None:
    root = yolo_set(tmp_path / "set", f"{POSE}test: {place}\n")
    put_images(tmp_path, "test/images/other.png")  # of another data set
    put_images(root, "images/extra.png")
    problems = Problems()
    assert splits_of(root, ReadOptions(problems=problems)) == {"train": ["a", "b"], "val": ["c"]}
    (note,) = problems.notes
    assert f"test is {place}" in note
    with pytest.raises(LabelError, match=r"no images at .* \(test\): .*--images"):
        read_labels(root, ReadOptions(split="test"))


def test_a_pattern_that_is_longer_than_any_path_matches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expanding it takes quadratic time."""
    glob = Path.glob

    def glob_of_paths(folder: Path, pattern: str) -> Iterator[Path]:
        assert len(pattern) < 5000
        return glob(folder, pattern)

    monkeypatch.setattr(Path, "glob", glob_of_paths)
    problems = Problems()
    labels = splits_of(yolo_set(tmp_path, f"{POSE}test: x{'[' * 5000}\n"), ReadOptions(problems=problems))
    assert labels == {"train": ["a", "b"], "val": ["c"]}
    (note,) = problems.notes
    assert "test is x[[[" in note


def test_an_empty_folder_is_a_split_without_images(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, f"{POSE}test: images/test\n")
    (root / "images/test").mkdir()
    assert splits_of(root) == {"train": ["a", "b"], "val": ["c"]}
    (root / "data.yaml").write_text(f"train: images/test\n{POSE}")
    with pytest.raises(LabelError, match="no images at images/test"):
        read_labels(root)


def test_a_split_without_label_files_is_skipped_unless_it_is_asked_for(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, f"{POSE}test: images/test\n")
    put_images(root, "images/test/d.png", text=None)
    problems = Problems()
    assert splits_of(root, ReadOptions(problems=problems)) == {"train": ["a", "b"], "val": ["c"]}
    assert "labels/test/d.txt" in problems.notes[0]
    with pytest.raises(LabelError, match=r"no image has a label file: expected .*labels/test/d\.txt"):
        read_labels(root, ReadOptions(split="test"))
    put_images(root, "images/train/e.png", text=None)  # one image of many has no instances
    assert splits_of(root)["train"] == ["a", "b", "e"]


def test_an_image_of_several_splits_is_not_trained_on(tmp_path: Path) -> None:
    root = three_splits(tmp_path)
    write(root, "train: [images/train, images/val, images/test]", "val: images/val", "test: [images/val, images/test]")
    problems = Problems()
    assert splits_of(root, ReadOptions(problems=problems)) == ALL
    assert sorted(note.split(":")[0] for note in problems.notes) == [
        "images of test that are also in val are read as val alone",
        "images of train that are also in test are read as test alone",
        "images of train that are also in val are read as val alone",
    ]
    assert "c.png" in problems.notes[0]
    assert splits_of(root, ReadOptions(split="train")) == {"train": ["a", "b"]}


def test_a_link_to_a_validation_image_is_that_image(tmp_path: Path) -> None:
    root = yolo_set(tmp_path)
    (root / "images/train/linked.png").symlink_to(root / "images/val/c.png")
    assert splits_of(root) == {"train": ["a", "b"], "val": ["c"]}


def test_splits_that_are_the_same_are_not_used_twice(tmp_path: Path) -> None:
    root = three_splits(tmp_path)
    write(root, "train: images/train", "val: images/val", "test: images/val")
    assert splits_of(root) == {"train": ["a", "b"], "val": ["c"]}
    with pytest.raises(LabelError, match="all images of test are also in val"):
        read_labels(root, ReadOptions(split="test"))
    write(root, "train: images/train", "val: images/train")
    for split in (None, "train"):
        with pytest.raises(LabelError, match=r"all images of train are also in val, such as .*--split val"):
            read_labels(root, ReadOptions(split=split))
    assert splits_of(root, ReadOptions(split="val")) == {"val": ["a", "b"]}


def test_the_yaml_file_of_a_folder_is_the_one_with_keypoints(tmp_path: Path) -> None:
    root = yolo_set(tmp_path)
    (root / "docker-compose.yaml").write_text("services: {a: b}\n")
    (root / "broken.yml").write_text("a: [\n")
    (root / "yolo-pose.yaml").write_text("kpt_shape: [17, 3]\nnc: 1\nbackbone: []\n")
    (root / "data.yaml").rename(root / "flies.yaml")
    assert splits_of(root) == {"train": ["a", "b"], "val": ["c"]}
    (root / "more.yaml").write_text((root / "flies.yaml").read_text())
    with pytest.raises(LabelError, match=r"has 2 \.yaml files with kpt_shape: give one of them, such as .*flies\.yaml"):
        read_labels(root)
    (root / "more.yaml").rename(root / "data.yaml")
    assert splits_of(root) == {"train": ["a", "b"], "val": ["c"]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    root = yolo_set(tmp_path)
    for file in (root / "data.yaml", *root.glob("labels/*/*.txt")):
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode(encoding))
    assert splits_of(root) == {"train": ["a", "b"], "val": ["c"]}


def test_a_folder_without_a_yaml_file_says_what_to_add(tmp_path: Path) -> None:
    put_images(tmp_path, "images/a.png")
    for path in (tmp_path, tmp_path / "labels", tmp_path / "labels/a.txt"):
        with pytest.raises(LabelError, match=r"no data\.yaml: write .*data\.yaml.*'kpt_shape: \[3, 3\]'.*names"):
            read_labels(path)
    (tmp_path / "labels/a.txt").write_text("notes of a user\n")
    with pytest.raises(LabelError, match="a folder without"):
        read_labels(tmp_path)
