"""Lengths that users give: in multiples of the resolution, in a unit, or in the coordinates of the cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cairn.errors import CloudError
from cairn.structures.cloud import UNITS, Cloud, check_unit

OWN = ("units", "unit", "u")
"""What stands for the coordinates of the cloud themselves."""


@dataclass(frozen=True)
class Length:
    """A length: `Length(6)` is 6 times the resolution, `Length(2, "mm")` is 2 mm, `Length(2, "units")` 2 as stored.

    Attributes:
        value: A positive number.
        unit: A unit of `UNITS`, "units" for the coordinates of the cloud, or None for multiples of the resolution.
    """

    value: float
    unit: str | None = None

    @classmethod
    def parse(cls, given: str | float | Length, name: str = "length") -> Length:
        """Returns a length: 6 or "6" (multiples of the resolution), "2mm", "0.01 m", or "2units".

        Raises:
            CloudError: It is no length, or not positive.
        """
        if isinstance(given, Length):
            return given
        found = re.fullmatch(r"\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Zµμ]*)\s*", str(given))
        try:
            value = float(found[1]) if found else float("nan")
        except ValueError:
            value = float("nan")
        if found is None or not 0 < value < float("inf"):
            raise CloudError(
                f"{name} must be a positive multiple of the resolution such as 6, or a length such as 2mm; got {given}"
            )
        unit = found[2] or None
        if unit in ("x", "times"):
            return cls(value)
        return cls(value, unit if unit is None else OWN[0] if unit.lower() in OWN else check_unit(unit))

    def in_cloud(self, cloud: Cloud, resolution: float) -> float:
        """Returns the length in the coordinates of a cloud.

        Raises:
            CloudError: It has a unit, and the cloud has none.
        """
        if self.unit is None:
            return self.value * resolution
        if self.unit == OWN[0]:
            return self.value
        if cloud.unit is None:
            raise CloudError(
                f"{cloud.source} does not state its unit, so {self.value:g}{self.unit} cannot be converted: give the "
                f"unit of the file, such as --unit mm, or {self.value:g}{OWN[0]} for a length as it is stored"
            )
        return self.value * UNITS[self.unit] / UNITS[cloud.unit]


def described(length: float, resolution: float, unit: str | None) -> str:
    """Returns a length in the cloud's coordinates in words: "2.4 mm (6 x resolution)"."""
    return f"{length:.4g} {unit or 'units'} ({length / resolution:.3g} x resolution)"
