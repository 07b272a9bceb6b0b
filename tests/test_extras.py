"""`cairn.extras`: missing packages are named with the extra that installs them."""

import sys

import pytest

from cairn.errors import MissingExtra
from cairn.extras import require


def test_installed_packages_are_not_imported() -> None:
    before = set(sys.modules)
    require("numpy", "wave", extra="train")
    assert "wave" in before or "wave" not in sys.modules


def test_the_first_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"absent_one.*pip install 'cairn-pose\[video\]'"):
        require("numpy", "absent_one", "absent_two", extra="video")
