"""Migration of old `network` tables of recipes, and of old names of weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

LIGHT_SETTINGS = "widths", "depths", "depthwise"
"""Settings that version 0.1 wrote for every network, and used for the light one alone."""

VGG_STAGES = (1, 5, 10, 19, 24)
"""First layer of each stage of VGG-19 in the one sequence that version 0.1 had."""


def migrate_network(method: str | None, network: Any) -> tuple[Any, tuple[str, ...]]:
    """Migrates the `network` table of an old recipe.

    Version 0.1 named EfficientNet by two settings (`kind` or `trunk` = "efficientnet", `lite` = 2), and frozen stages
    by `frozen`.

    Args:
        method: Name of the recipe's method; None where it names none.
        network: The table, its keys renamed by `cairn.training.recipe_tables.RENAMED`. Not changed.

    Returns:
        The table, and `old -> new` for each setting that was changed.
    """
    if not isinstance(network, Mapping) or method not in (None, "openpose", "hourglass"):
        return network, ()
    table, changed = dict(network), []
    old = "lite" in table or "frozen" in table
    if "frozen" in table:
        table.setdefault("frozen_stages", table.pop("frozen"))
        changed.append("network.frozen -> network.frozen_stages")
    lite = table.pop("lite", 0)
    key = "kind" if method == "openpose" or "kind" in table else "backbone"
    if table.get(key) == "efficientnet" or (lite and not {"kind", "backbone"} & set(table)):
        if key == "kind":
            table = {name: value for name, value in table.items() if name not in LIGHT_SETTINGS} | {"kind": "light"}
        table["backbone"] = f"efficientnet-lite{lite}"
        changed.append(f'network.{key}, network.lite -> network.backbone = "{table["backbone"]}"')
    elif key == "backbone" and table.get("backbone") == "paper":
        table["backbone"] = "hourglass-stem"
        changed.append('network.backbone = "paper" -> "hourglass-stem"')
    elif old and table.get("kind") in ("paper", "cvpr"):
        table = {name: value for name, value in table.items() if name not in (*LIGHT_SETTINGS, "features")}
    return table, tuple(changed)


def current_name(name: str) -> str:
    """Returns the name that a weight of a run or of an exported file has in present networks."""
    for old, new in RENAMED_WEIGHTS:
        name = re.sub(old, new, name)
    return name


def _vgg(match: re.Match[str]) -> str:
    layer = int(match[1])
    stage = max((i for i, first in enumerate(VGG_STAGES) if first <= layer), default=0)
    return f"network.backbone.stages.{stage}.{layer - VGG_STAGES[stage]}."


def _level(match: re.Match[str]) -> str:
    return f"network.backbone.stages.{int(match[1]) + 1}."


RENAMED_WEIGHTS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^network\.trunk\.", "network.backbone."),
    (r"^detector\.trunk\.", "detector.network."),  # landmarks
    (r"^network\.(?:backbone|stem)\.laterals\.", "network.neck.laterals."),
    (r"^network\.stem\.stages\.", "network.backbone.stages."),  # EfficientNet of an hourglass
    (r"^network\.stem\.conv\.", "network.backbone.stages.0.0."),  # the hourglass's own stem
    (r"^network\.stem\.norm\.", "network.backbone.stages.0.1."),
    (r"^network\.stem\.residuals\.0\.", "network.backbone.stages.1.0."),
    (r"^network\.stem\.residuals\.1\.", "network.backbone.stages.2."),
    (r"^network\.stem\.residuals\.2\.", "network.backbone.stages.3."),
    (r"^network\.backbone\.stem\.1\.", "network.backbone.stages.0."),  # the light backbone
    (r"^network\.backbone\.levels\.(\d+)\.", _level),
    (r"^network\.backbone\.layers\.(\d+)\.", _vgg),
)
"""Old prefixes of names of weights -> present prefixes, applied one after another."""
