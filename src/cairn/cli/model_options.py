"""Options of models that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Refine: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--refine", help="Second prediction of each instance in a crop, more accurate: of person with person-refine."
    ),
]

RefineWith: TypeAlias = Annotated[
    str | None, typer.Option(help="Model of one instance per crop, to refine with it.", show_default=False)
]
