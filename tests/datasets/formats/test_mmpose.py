"""mmpose's dataset_info is parsed and never executed."""

from pathlib import Path

import pytest

from cairn.datasets.formats.mmpose import read_dataset_info
from cairn.datasets.formats.skeleton_file import read_skeleton
from cairn.errors import SkeletonError

INFO = """# a configuration of mmpose
_base_ = ['../default_runtime.py']
dataset_info = dict(
    dataset_name='bird',
    paper_info=dict(author='A ' 'B', year='2020'),
    keypoint_info={
        0: dict(name='beak', id=0, color=[255, 128, 0], type='upper', swap=''),
        2: dict(name='wing_b', id=2, color=[0, 255, 0], type='upper', swap='wing_a'),
        1: dict(name='wing_a', id=1, color=[0, 0, 255], type='upper', swap='wing_b'),
    },
    skeleton_info={
        0: dict(link=('beak', 'wing_a'), id=0, color=[0, 255, 0]),
        1: {'link': ('beak', 'wing_b'), 'id': 1},
        2: dict(link=('wing_a', 'wing_b'), id=2),
    },
    joint_weights=[1.] * 2 + [1.5],
    sigmas=[0.025, 0.1, 0.1])
"""


def put(folder: Path, text: str) -> Path:
    path = folder / "bird.py"
    path.write_text(text)
    return path


def test_every_field_is_read(tmp_path: Path) -> None:
    result = read_dataset_info(put(tmp_path, INFO))
    assert result.name == "bird"
    assert result.joints == ("beak", "wing_a", "wing_b")
    assert result.flip_pairs == ((1, 2),)
    assert result.limbs == ((0, 1), (0, 2), (1, 2))
    assert result.redundant == (2,)
    assert result.sigmas == (0.025, 0.1, 0.1)
    assert result.colors == ("#ff8000", "#0000ff", "#00ff00")
    assert read_skeleton(tmp_path / "bird.py") == result


def test_missing_sigmas_are_those_of_coco_by_name(tmp_path: Path) -> None:
    text = INFO.replace("sigmas=[0.025, 0.1, 0.1]", "sigmas=[]").replace("'beak'", "'nose'")
    assert read_dataset_info(put(tmp_path, text)).sigmas == (0.026, 0.05, 0.05)


def test_nothing_is_executed(tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    trap = f"open({str(executed)!r}, 'w')"
    read_dataset_info(put(tmp_path, f"{trap}\n{INFO}"))
    assert not executed.exists()
    for text in (INFO.replace("[1.] * 2 + [1.5]", trap), INFO.replace("'bird'", f"str({trap})")):
        with pytest.raises(SkeletonError, match=r"bird\.py line \d+: expected plain values"):
            read_dataset_info(put(tmp_path, text))
        assert not executed.exists()


INVALID = [
    ("", "has no dataset_info"),
    ("dataset_info = dict(", "is not valid Python"),
    ("dataset_info = [1]", "needs keypoint_info"),
    ("dataset_info = dict(**other)", "plain values"),
    ("dataset_info = dict(keypoint_info={0: dict(id=0)})", "needs a name"),
    ("dataset_info = dict(keypoint_info={0: dict(name='a', swap='b')})", "swap of a names 'b'"),
    (
        "dataset_info = dict(keypoint_info={0: dict(name='a', swap='b'), 1: dict(name='b', swap='')})",
        "not the other way around",
    ),
    ("dataset_info = dict(keypoint_info={0: dict(name='a')}, skeleton_info={0: dict(link=('a', 'c'))})", "names 'c'"),
    ("dataset_info = dict(keypoint_info={0: dict(name='a')}, sigmas=[1, 2])", "needs 1 positive sigmas"),
    ("dataset_info = dict(keypoint_info={0: dict(name='a'), 1: dict(name='a')})", "each name once"),
]


@pytest.mark.parametrize(("text", "message"), INVALID, ids=[message for _, message in INVALID])
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SkeletonError, match=message) as caught:
        read_dataset_info(put(tmp_path, text))
    assert "\n" not in str(caught.value)
