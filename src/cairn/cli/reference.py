"""The command reference: Markdown of all commands, from their own help.

`python -m cairn.cli.reference` prints it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

DEFAULT = re.compile(r"\s*\[([^\[\]]*)\]$")
"""The default at the end of a help text."""


@dataclass(frozen=True)
class _Parameter:
    """An argument or option of a command.

    Attributes:
        name: Name of the parameter in Python.
        kind: Type of a value; the type of an item where several are given.
        several: Whether several values are given.
        info: What the command declares: help, names, metavar.
        default: Default of the function; None where there is none.
    """

    name: str
    kind: Any
    several: bool
    info: Any
    default: Any

    @property
    def is_argument(self) -> bool:
        return isinstance(self.info, ArgumentInfo)

    @property
    def metavar(self) -> str:
        name = self.info.metavar or self.name.upper()
        return f"{name}..." if self.several and "..." not in name else str(name)

    @property
    def names(self) -> str:
        given = (self.info.default, *(self.info.param_decls or ()))  # Annotated: the first name is in `default`
        declared = [
            name for each in given if isinstance(each, str) and each.startswith("-") for name in each.split("/")
        ]
        return ", ".join(f"`{each}`" for each in declared or [f"--{self.name.replace('_', '-')}"])

    @property
    def text(self) -> str:
        """The help without the default that it states, and the allowed values."""
        text = DEFAULT.sub("", self.info.help or "")
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            text += f" One of {', '.join(str(each.value) for each in self.kind)}."
        return text

    @property
    def stated_default(self) -> str:
        """The default as the help states it, or that of the function."""
        if stated := DEFAULT.search(self.info.help or ""):
            return stated[1]
        value = getattr(self.default, "value", self.default)
        return "" if value is None or isinstance(value, bool) else f"`{value}`"


def reference() -> str:
    """Returns the reference of the command line as Markdown."""
    from cairn.cli import app

    commands = {each.name or _callback(each).__name__: _callback(each) for each in app.registered_commands}
    overview = [(f"[`cairn {name}`](#cairn-{name})", _paragraphs(command)[0]) for name, command in commands.items()]
    lines = ["# Command reference", "", "All commands, as `cairn COMMAND --help` prints them.", ""]
    lines.append(_table(("command", "description"), overview))
    for name, command in commands.items():
        lines += ["", *_section(name, command)]
    return "\n".join(lines) + "\n"


def _callback(command: Any) -> Callable[..., Any]:
    callback: Callable[..., Any] = command.callback
    return callback


def _paragraphs(command: Callable[..., Any]) -> list[str]:
    return [" ".join(text.split()) for text in re.split(r"\n\s*\n", inspect.getdoc(command) or "")]


def _section(name: str, command: Callable[..., Any]) -> Iterator[str]:
    """Yields the lines of a command: help, usage, arguments and options."""
    parameters = list(_parameters(command))
    arguments = [each for each in parameters if each.is_argument]
    options = [each for each in parameters if not each.is_argument]
    yield f"## cairn {name}"
    for text in _paragraphs(command):
        yield ""
        yield f"```bash\n{text}\n```" if text.startswith("cairn ") else text
    yield ""
    yield f"Usage: `cairn {name} [OPTIONS] {' '.join(each.metavar for each in arguments)}`"
    yield ""
    yield _table(("argument", "description"), [(f"`{each.metavar}`", each.text) for each in arguments])
    yield ""
    yield _table(("option", "description", "default"), [(o.names, o.text, o.stated_default) for o in options])


def _parameters(command: Callable[..., Any]) -> Iterator[_Parameter]:
    """Yields the parameters of a command, from the signature of its function."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind, info = get_args(hints[name])[:2]
        if get_origin(kind) in (Union, UnionType):
            kind = next(each for each in get_args(kind) if each is not NoneType)
        several = get_origin(kind) is list
        kind = get_args(kind)[0] if several else kind
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        yield _Parameter(name, kind, several, info, default)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = [tuple(" ".join(text.split()).replace("|", "\\|") for text in row) for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *cells))


if __name__ == "__main__":
    print(reference(), end="")
