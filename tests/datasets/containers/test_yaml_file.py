"""YAML files of a few lines do not expand without bounds."""

from pathlib import Path

import pytest

from cairn.datasets.containers.yaml_file import read_yaml
from cairn.errors import LabelError

pytest.importorskip("yaml", reason="PyYAML is in the io extra")


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(30), "or more than 1,000,000 values"),
        ("names: &a [*a]", "or more than 1,000,000 values"),
        ("names: &a {b: {c: *a}}", "or more than 1,000,000 values"),
        ("kpt_shape: [0x" + "f" * 10**4 + ", 3]", "numbers without end"),
        ("names: " + "[" * 10**5, "nested too deeply"),
        ("names: " + "{a: " * 10**5, "nested too deeply"),
        ("- " * 10**4, "nested too deeply"),
    ],
)
def test_bombs_are_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(LabelError, match=rf"a\.yaml is not valid YAML: .*{message}") as caught:
        read_yaml(tmp_path / "a.yaml")
    assert len(str(caught.value)) < 400


def test_aliases_and_nested_lists_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(bomb(3) + "\nb: *a2\nc: " + "[" * 50 + "]" * 50)
    content = read_yaml(tmp_path / "a.yaml")
    assert content["b"] == content["a2"] == [[["x"]] * 9] * 9
    content["b"].append("changed by a caller")
    assert read_yaml(tmp_path / "a.yaml")["b"] == [[["x"]] * 9] * 9
