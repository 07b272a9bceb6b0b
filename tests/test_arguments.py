"""Arguments of public functions are checked against their annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from cairn.arguments import checked
from cairn.errors import CairnError

if TYPE_CHECKING:
    from decimal import Decimal


@checked
def function(
    path: str | Path = "a",
    number: float = 0.0,
    *,
    count: int | None = None,
    flag: bool = False,
    names: str | Sequence[str] = (),
    table: Mapping[str, Any] | Iterable[str] | None = None,
    kind: Literal["x", "y"] = "x",
    anything: Any = None,
    later: Decimal | None = None,
    unknown=None,
    **others: int,
) -> tuple[Any, ...]:
    """Documented."""
    return path, number, count, flag


class Folder:
    def __fspath__(self) -> str:
        return "folder"

    @checked
    def joined(self, other: Folder) -> str:
        return "joined"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": 5}, "path must be a path, got 5"),
        ({"path": None}, "path must be a path, got None"),
        ({"number": "a"}, "number must be a number, got 'a'"),
        ({"number": True}, "number must be a number, got True"),
        ({"count": 1.5}, "count must be an integer or None, got 1.5"),
        ({"count": "3"}, "count must be an integer or None, got '3'"),
        ({"flag": "no"}, "flag must be True or False, got 'no'"),
        ({"names": 3}, "names must be a string or a list, got 3"),
        ({"table": 3}, "table must be a mapping or a list or None, got 3"),
    ],
)
def test_a_wrong_type_is_one_line_with_the_name_of_the_argument(values: dict[str, Any], message: str) -> None:
    with pytest.raises(CairnError) as error:
        function(**values)
    assert str(error.value) == message


def test_positional_arguments_and_methods_are_checked() -> None:
    with pytest.raises(CairnError, match=r"^number must be a number, got 'b'$"):
        function("a", "b")
    with pytest.raises(CairnError, match=r"^other must be a Folder, got 3$"):
        Folder().joined(3)
    assert Folder().joined(other=Folder()) == "joined"


def test_values_that_python_takes_for_the_type_are_accepted() -> None:
    assert function(Folder(), np.float32(0.5), count=np.int64(3))[2] == 3
    assert function(Path("a"), 1, names=["a"], table={}, flag=True)[3] is True


def test_annotations_that_are_no_classes_are_not_checked() -> None:
    function(kind=3, anything=3, later=3, unknown=3, other="text")


@pytest.mark.parametrize("value", [list(range(1000)), np.zeros((9, 9))])
def test_a_long_value_is_cut_to_one_line(value: object) -> None:
    with pytest.raises(CairnError) as error:
        function(count=value)
    assert len(str(error.value)) < 150
    assert "\n" not in str(error.value)


def test_name_and_documentation_are_kept_and_an_unknown_argument_is_pythons_error() -> None:
    assert (function.__name__, function.__doc__) == ("function", "Documented.")
    with pytest.raises(TypeError, match=r"joined\(\) got an unexpected keyword argument 'x'"):
        Folder().joined(Folder(), x=1)
