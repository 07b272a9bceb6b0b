"""Numbers in messages."""

import pytest

from cairn.wording import counted, joined


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0, "image"), "0 images"),
        ((1, "image"), "1 image"),
        ((2, "image"), "2 images"),
        ((1, "person", "people"), "1 person"),
        ((3, "person", "people"), "3 people"),
    ],
)
def test_a_number_has_its_noun_in_the_singular_or_plural(values: tuple[int, str], text: str) -> None:
    assert counted(*values) == text


def test_items_are_joined_as_in_a_sentence():
    assert [joined("abc"[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
