import pytest

from cairn.errors import CloudError
from cairn.pointclouds.lengths import Length, described
from cairn.structures.cloud import Cloud

POINTS = [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [
        (6, None, 3.0),
        ("6", "mm", 3.0),
        ("6x", "mm", 3.0),
        ("2mm", "mm", 2.0),
        ("2 mm", "m", 0.002),
        ("0.01m", "mm", 10.0),
        ("1e-3m", "um", 1000.0),
        ("2units", None, 2.0),
        ("2 u", "mm", 2.0),
        ("1in", "mm", 25.4),
    ],
)
def test_lengths_in_the_coordinates_of_a_cloud(given, unit, expected):
    assert Length.parse(given).in_cloud(Cloud(POINTS, unit=unit), 0.5) == pytest.approx(expected)


@pytest.mark.parametrize(
    "given", ["", "mm", "-1", "0", "2parsec", "nan", "inf", "1.2.3", "2mm 3", -4, 0.0, float("nan")]
)
def test_no_lengths(given):
    with pytest.raises(CloudError, match=r"must be a positive multiple|expected a unit"):
        Length.parse(given, "radius")


def test_a_length_in_a_unit_needs_the_unit_of_the_cloud():
    with pytest.raises(CloudError, match=r"does not state its unit.*--unit mm, or 2units"):
        Length.parse("2mm").in_cloud(Cloud(POINTS), 0.5)


def test_lengths_in_words():
    assert described(3.0, 0.5, "mm") == "3 mm (6 x resolution)"
    assert described(3.0, 0.5, None) == "3 units (6 x resolution)"
