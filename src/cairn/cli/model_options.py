"""Options of models that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Refine: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--refine/--no-refine",
        help="Second prediction of each instance in a crop, more accurate: of bundled models of people with "
        "person-refine, of a run with its own refiner. [a run that has one; person and person-single in images]",
        show_default=False,
    ),
]

RefineWith: TypeAlias = Annotated[
    str | None, typer.Option(help="Model of one instance per crop, to refine with it.", show_default=False)
]
