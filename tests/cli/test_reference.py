"""The command reference lists every command and option, as the commands accept them."""

import inspect
import re

import pytest

from cairn.cli import app, main
from cairn.cli.reference import reference

COMMANDS = {each.name or each.callback.__name__: each.callback for each in app.registered_commands if each.callback}


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    parts = re.split(r"^## cairn ", reference(), flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0]: part for part in parts}


def test_every_command_has_a_section_and_a_summary(sections: dict[str, str]) -> None:
    assert set(sections) == set(COMMANDS)
    for name, command in COMMANDS.items():
        assert (inspect.getdoc(command) or "").split("\n")[0] in sections[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_those_of_the_help(
    name: str, sections: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert not ended.value.code
    shown = set(re.findall(r"^\s+(--[a-z0-9-]+)", capsys.readouterr().out, flags=re.MULTILINE)) - {"--help"}
    listed = set(re.findall(r"`(--[a-z0-9-]+)`", sections[name]))
    assert shown
    assert shown <= listed


def test_every_row_of_the_tables_has_all_cells(sections: dict[str, str]) -> None:
    for part in sections.values():
        for table in re.findall(r"(?:^\|.*\n?)+", part, flags=re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.strip().splitlines()}
            assert len(widths) == 1, table
