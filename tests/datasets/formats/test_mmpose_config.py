"""Configurations of mmpose as data sets: the annotation files of their splits, without executing anything."""

from pathlib import Path

import pytest

from cairn.api.convert import convert
from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import CairnError, LabelError
from cairn.structures.skeleton import Skeleton
from support.coco_sets import put_coco
from support.made_labels import draw_images

INFO = """dataset_info = dict(
    dataset_name='bug',
    keypoint_info={0: dict(name='head', id=0, swap=''), 1: dict(name='tail', id=1, swap='')},
    skeleton_info={0: dict(link=('head', 'tail'), id=0)},
    sigmas=[0.1, 0.2])
"""

VERSION_0 = """
_base_ = ['../_base_/default_runtime.py', '../_base_/bug.py']
channel_cfg = dict(num_output_channels=2, dataset_joints=list(range(2)))
data_root = 'data/bug'
data_cfg = dict(image_size=[192, 256], **other)
data = dict(
    samples_per_gpu=64,
    train=dict(type='TopDownCocoDataset', ann_file=f'{data_root}/annotations/train.json',
               img_prefix=f'{data_root}/train/', data_cfg=data_cfg, dataset_info={{_base_.dataset_info}}),
    val=dict(type='TopDownCocoDataset', ann_file=f'{data_root}/annotations/val.json',
             img_prefix=f'{data_root}/val/', data_cfg=data_cfg, dataset_info={{_base_.dataset_info}}),
    test=dict(type='TopDownCocoDataset', ann_file=f'{data_root}/annotations/val.json',
              img_prefix=f'{data_root}/val/', data_cfg=data_cfg, dataset_info={{_base_.dataset_info}}))
"""

VERSION_1 = """
from mmengine import Config
_base_ = ['../_base_/default_runtime.py']
dataset_type = 'CocoDataset'
data_root = 'data/bug/'
train_pipeline = [dict(type='LoadImage'), dict(type='GenerateTarget', encoder=Config.fromfile('x'))]
train_dataloader = dict(
    batch_size=64, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, data_mode='topdown', ann_file='annotations/train.json',
                 data_prefix=dict(img='train/'), pipeline=train_pipeline,
                 metainfo=dict(from_file='configs/_base_/bug.py')))
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='annotations/val.json',
                 data_prefix=dict(img='val/'), metainfo=dict(from_file='configs/_base_/bug.py')))
test_dataloader = val_dataloader
"""


def repository(root: Path, config: str, data: str = "data/bug") -> Path:
    """A repository with configurations and data, and its configuration for bugs."""
    for split, names in (("train", ("a.png", "b.png")), ("val", ("c.png",)), ("test", ("d.png",))):
        draw_images(root / data / split, names)
        put_coco(root / data / f"annotations/{split}.json", *names)
    path = root / "configs/bug/hrnet.py"
    for file, text in ((path, config), (root / "configs/_base_/bug.py", INFO)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def splits_of(path: Path, options: ReadOptions | None = None) -> dict[str, list[str]]:
    labels = read_labels(path, options)
    return {split: [image.path.name for image in labels.of_split(split)] for split in labels.splits}


TRAIN_AND_VAL = {"train": ["a.png", "b.png"], "val": ["c.png"]}


@pytest.mark.parametrize("config", [VERSION_0, VERSION_1], ids=["0", "1"])
def test_the_annotation_files_are_the_splits(tmp_path: Path, config: str) -> None:
    path = repository(tmp_path, config)
    assert detect_format(path).name == "mmpose"
    problems = Problems()
    labels = read_labels(path, ReadOptions(problems=problems))
    assert {split: [image.path.name for image in labels.of_split(split)] for split in labels.splits} == TRAIN_AND_VAL
    assert labels.skeleton == Skeleton("bug", ("head", "tail"), ((0, 1),), sigmas=(0.1, 0.2))
    (note,) = problems.notes
    assert note.endswith("test is val")
    assert splits_of(path, ReadOptions(split="val")) == {"val": ["c.png"]}
    with pytest.raises(LabelError, match="test has the annotations of val: choose --split val"):
        read_labels(path, ReadOptions(split="test"))
    given = Skeleton("ant", ("tail", "head"))
    assert read_labels(path, ReadOptions(skeleton=given)).skeleton == given


def test_a_test_file_of_its_own_is_a_split(tmp_path: Path) -> None:
    config = VERSION_0.replace("annotations/val.json',\n              img_prefix=f'{data_root}/val/",
                               "annotations/test.json',\n              img_prefix=f'{data_root}/test/")  # fmt: skip
    assert splits_of(repository(tmp_path, config)) == TRAIN_AND_VAL | {"test": ["d.png"]}


DATASET = "dataset=dict(type=dataset_type, data_root"
END = "bug.py')))"

SPELLINGS = {
    "another machine": {"'data/bug/'": "r'C:\\repo\\data\\bug'", "configs/_base_": "_base_"},
    "a sum": {"'data/bug/'": "'data/' + 'bug' + '/'"},
    "joined": {"'data/bug/'": "osp.join('data', 'bug')"},
    "a dot": {"ann_file='annotations": "ann_file='./annotations"},
    "repeated": {DATASET: "dataset=dict(type='RepeatDataset', times=3, dataset=dict(data_root", END: "bug.py'))))"},
    "combined": {DATASET: "dataset=dict(type='CombinedDataset', datasets=[dict(data_root", END: "bug.py'))]))"},
    "images elsewhere": {"data_prefix=dict(img='train/')": "data_prefix=dict(img='elsewhere/')"},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_version_1(tmp_path: Path, spelling: str) -> None:
    config = VERSION_1
    for old, new in SPELLINGS[spelling].items():
        assert old in config
        config = config.replace(old, new)
    path = repository(tmp_path, config)
    if spelling == "another machine":
        path = path.rename(tmp_path / "hrnet.py")
    assert splits_of(path) == TRAIN_AND_VAL


def test_a_configuration_inherits_from_another(tmp_path: Path) -> None:
    repository(tmp_path, VERSION_1)
    own = tmp_path / "configs/bug/mine.py"
    own.write_text("_base_ = './hrnet.py'\ntrain_dataloader = dict(dataset=dict(ann_file='annotations/test.json', "
                   "data_prefix=dict(img='test/')))\n")  # fmt: skip
    assert splits_of(own) == {"train": ["d.png"], "val": ["c.png"]}


def test_names_of_joints_follow_the_configuration_by_number(tmp_path: Path) -> None:
    path = repository(tmp_path, VERSION_1)
    for split in ("train", "val"):
        file = tmp_path / f"data/bug/annotations/{split}.json"
        file.write_text(file.read_text().replace('"head", "tail"', '"0", "1"'))
    problems = Problems()
    assert read_labels(path, ReadOptions(problems=problems)).skeleton.joints == ("head", "tail")
    assert any("0 is head" in note for note in problems.notes)


@pytest.mark.parametrize(
    "info", ["dataset_info = dict(keypoint_info={0: dict(name='x')})", "", "dataset_info = open('x')"]
)
def test_a_skeleton_that_cannot_be_used_is_noted(tmp_path: Path, info: str) -> None:
    path = repository(tmp_path, VERSION_1)
    (tmp_path / "configs/_base_/bug.py").write_text(info)
    problems = Problems()
    labels = read_labels(path, ReadOptions(problems=problems))
    assert labels.skeleton.joints == ("head", "tail")
    assert any("skeleton that cannot be used" in note for note in problems.notes)


def test_a_split_without_its_file_is_skipped_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = repository(tmp_path, VERSION_1)
    (tmp_path / "data/bug/annotations/val.json").unlink()
    problems = Problems()
    assert splits_of(path, ReadOptions(problems=problems)) == {"train": ["a.png", "b.png"]}
    assert any("val is data/bug/annotations/val.json" in note for note in problems.notes)
    with pytest.raises(LabelError, match=r"no annotation file at data/bug/annotations/val\.json \(val\): run in"):
        read_labels(path, ReadOptions(split="val"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("data_root = 'data/bug/'", "data_root = os.environ['X']", r"line \d+: expected plain values, got os\.environ"),
        ("data_root = 'data/bug/'", "data_root = _base_.root", r"got _base_\.root for the data_root of train"),
        ("ann_file='annotations/train.json'", "ann_file=3", "expected text for the ann_file of train"),
        ("train_dataloader = dict(", "train_dataloader = make(", "got make.* for train: write the paths"),
        ("test_dataloader", "train_dataloader['dataset'] = 1\ntest_dataloader", "got train_dataloader"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_an_error(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = repository(tmp_path, VERSION_1.replace(old, new, 1))
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


def test_nothing_is_executed(tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    path = repository(tmp_path, f"open({str(executed)!r}, 'w')\nx = open({str(executed)!r}, 'w')\n{VERSION_1}")
    assert splits_of(path) == TRAIN_AND_VAL
    assert not executed.exists()


def test_values_that_grow_without_bound_are_not_computed(tmp_path: Path) -> None:
    bomb = (
        "a = [1] * 9000\n"
        + "a = a + a\n" * 60
        + "b = [1, 1]\n"
        + "b = [b, b]\n" * 60
        + "c = 'x'\n"
        + "c = f'{c}{c}'\n" * 60
    )
    assert splits_of(repository(tmp_path, bomb + VERSION_1)) == TRAIN_AND_VAL


def test_a_configuration_is_converted_and_its_skeleton_too(tmp_path: Path) -> None:
    path = repository(tmp_path, VERSION_1)
    result = convert(path, tmp_path / "out.json")
    assert result.num_images == 3
    (tmp_path / "info.py").write_text(INFO)
    assert convert(tmp_path / "info.py", tmp_path / "bug.toml").skeleton.joints == ("head", "tail")


@pytest.mark.parametrize(
    "text",
    [
        "a = 0x" + "f" * 5000,
        "a = 0x" + "f" * 5000 + "\nb = f'{a}'",
        "a = x(0x" + "f" * 5000 + ")",
        "a0 = ['x']\n" + "\n".join(f"a{i} = [{', '.join([f'a{i - 1}'] * 9)}]" for i in range(1, 30)),
        "_base_ = " + str(["config.py"] * 10),  # each of which has ten more
        "a = [" + "-" * 5000 + "1]",
    ],
)
def test_values_without_end_are_not_expanded(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.py").write_text(f"{text}\ndata = dict(train=dict(ann_file='missing.json', a=a29))\n")
    with pytest.raises(CairnError) as caught:
        read_labels(tmp_path / "config.py")
    assert len(str(caught.value).splitlines()) == 1
