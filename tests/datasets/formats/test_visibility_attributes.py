"""Visibility in attributes of the user's own names."""

from typing import Any

import pytest

from cairn.datasets.formats.visibility_attributes import visibility_of


@pytest.mark.parametrize(
    ("attributes", "visibility"),
    [
        ({}, 2),
        ({"occluded": True}, 1),
        ({"Occluded": "yes"}, 1),
        ({"occluded": {"yes": True}}, 1),
        ({"occluded": {"yes": False}}, 2),
        ({"occluded": 0}, 2),
        ({"occluded": "false"}, 2),
        ({"occluded": None}, 2),
        ({"not visible": 1}, 1),
        ({"visible": False}, 1),
        ({"visible": "no"}, 1),
        ({"visible": "1"}, 2),
        ({"visible": ""}, 2),
        ({"visibility": "0"}, 0),
        ({"visibility": 1.0}, 1),
        ({"visibility": 2}, 2),
        ({"visibility": "Occluded"}, 1),
        ({"visibility": ""}, 2),
        ({"state": "occluded"}, 1),
        ({"state": ["good", "hidden"]}, 1),
        ({"state": "absent", "occluded": True}, 0),
        ({"color": "red", "occluded": False, "truncated": True}, 2),
    ],
)
def test_flags_numbers_and_words(attributes: dict[str, Any], visibility: int) -> None:
    assert visibility_of(attributes) == visibility
