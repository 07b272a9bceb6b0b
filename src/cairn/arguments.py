"""Arguments of public functions, checked against their annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, get_args, get_origin

from cairn.errors import CairnError

P = ParamSpec("P")
R = TypeVar("R")

WORDS = {
    str: "a string",
    PathLike: "a path",
    Integral: "an integer",
    Real: "a number",
    bool: "True or False",
    NoneType: "None",
    Sequence: "a list",
    Iterable: "a list",
    Mapping: "a mapping",
}
ACCEPTED = {Path: PathLike, int: Integral, float: Real}
"""What is accepted for an annotation: any path object, and NumPy's numbers too."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function, which raises a `CairnError` of one line for an argument of a wrong type.

    An argument is checked where its annotation is a class or a union of classes; of generic types, such as
    `Sequence[str]`, the container alone is checked. Names that exist only for type checkers are not checked.
    """
    signature = inspect.signature(function)

    @cache
    def kinds() -> dict[str, tuple[type, ...]]:  # at the first call: a method may name its own class
        scope = inspect.unwrap(function).__globals__
        named = {name: _classes(each.annotation, scope) for name, each in signature.parameters.items()}
        return {name: found for name, found in named.items() if found}

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        values = dict(zip(signature.parameters, args, strict=False)) | kwargs
        for name, accepted in kinds().items():
            if name in values and not _is_one_of(values[name], accepted):
                got = " ".join(repr(values[name]).split())
                raise CairnError(f"{name} must be {_described(accepted)}, got {got:.80}")
        return function(*args, **kwargs)

    return call


def _classes(annotation: Any, scope: dict[str, Any]) -> tuple[type, ...]:
    """Returns the classes of a union, or of one class; none where the annotation has anything else."""
    try:
        kind = eval(annotation, scope) if isinstance(annotation, str) else annotation
    except NameError:
        return ()
    members = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    found = [NoneType if each is None else get_origin(each) or each for each in members]
    if not all(isinstance(each, type) and each.__module__ not in ("typing", "inspect") for each in found):
        return ()  # such as Any, TextIO, which is no base class of streams, or no annotation
    return tuple(dict.fromkeys(ACCEPTED.get(each, each) for each in found))


def _is_one_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a value has one of the types; True and False are no numbers."""
    if isinstance(value, bool):
        return bool in kinds or object in kinds
    return isinstance(value, kinds)


def _described(kinds: tuple[type, ...]) -> str:
    """Returns the types in words: a string that stands for a path is a path."""
    shown = [kind for kind in kinds if not (kind is str and PathLike in kinds)]
    return " or ".join(dict.fromkeys(WORDS.get(kind, f"a {kind.__name__}") for kind in shown))
