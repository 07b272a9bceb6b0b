"""Every verb of the command line is a function with the same options."""

import inspect
from collections.abc import Callable

import pytest

import cairn
from cairn.cli import app

COMMANDS = {each.name or each.callback.__name__: each.callback for each in app.registered_commands if each.callback}

RENAMED = {"import": "import_model"}
"""Verbs that are keywords of Python."""

POSITIONAL = {
    "evaluate": {"given": "model", "refine_with": "refine"},
    "export": {"target": "path"},
    "serve": {"allow_host": "allow_hosts", "limit": "limits"},
    "train": {"source": "data"},
}
"""Arguments that have another name in Python: there they take more than paths, or several at once."""

TYPED_ONLY = {"calibrate": {"convert", "unit", "draw_board"}}
"""Options that do something else instead, for which Python has functions of their own."""


@pytest.mark.parametrize("verb", sorted(set(COMMANDS) - {"detect"}))
def test_every_option_of_a_verb_is_an_argument_of_its_function(verb: str) -> None:
    function = getattr(cairn, RENAMED.get(verb, verb))
    assert callable(function)
    accepted = inspect.signature(function).parameters
    names = [POSITIONAL.get(verb, {}).get(name, name) for name in inspect.signature(COMMANDS[verb]).parameters]
    assert set(names) - TYPED_ONLY.get(verb, set()) <= set(accepted)


@pytest.mark.parametrize("verb", sorted(set(COMMANDS) - {"detect"}))
def test_defaults_of_a_function_are_those_of_the_verb(verb: str) -> None:
    function = inspect.signature(getattr(cairn, RENAMED.get(verb, verb))).parameters
    for name, option in inspect.signature(COMMANDS[verb]).parameters.items():
        accepted = function.get(name)
        if accepted is None or option.default is option.empty:
            continue
        default = getattr(option.default, "value", option.default)
        assert accepted.default == default, name


def test_import_cairn_imports_nothing_heavy(python: Callable[[str], str]) -> None:
    functions = "; ".join(f"cairn.{RENAMED.get(verb, verb)}" for verb in COMMANDS if verb != "detect")
    code = f"""
import sys, cairn
{functions}
print(*(set(sys.modules) & {{"cv2", "onnxruntime", "rich", "torch", "lightning", "scipy", "typer"}}))
"""
    assert python(code).split() == []


def test_the_version_is_stated_once() -> None:
    assert cairn.__version__.count(".") == 2


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'cairn' has no attribute 'trian'"):
        _ = cairn.trian
