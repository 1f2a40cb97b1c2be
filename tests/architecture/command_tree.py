"""The command line as it is: every command by its full name, with its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from lbs.cli import build

if TYPE_CHECKING:
    from collections.abc import Iterator


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(words), command
        return
    for name, child in below.items():
        yield from _walk(child, (*words, name))


COMMANDS: Final[dict[str, Any]] = dict(_walk(typer.main.get_command(build()), ()))
"""`import stores` -> the command."""


def options_of(name: str) -> list[str]:
    """Its long options; --help is everybody's."""
    parameters = COMMANDS[name].params
    return [word for parameter in parameters for word in parameter.opts if word.startswith("--") and word != "--help"]


def command_of(words: list[str]) -> str | None:
    """The command that words after `lbs` begin with; None if there is none."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if len(words) >= length and name in COMMANDS:
            return name
    return None
