"""Every command explains itself, and expected errors are one line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
import sqlalchemy as sa
import typer

from geofences.errors import NotFoundError
from lbs.cli import build, explain
from lbs.runtime import CommandError
from lbs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, *path, name)


LBS: Any = typer.main.get_command(build())
EVERY = dict(commands(LBS))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert not LBS.main([*path, "--help"], prog_name="lbs", standalone_mode=False)
    assert " ".join(["Usage: lbs", *path]) in capsys.readouterr().out
    assert EVERY[path].help


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_option_says_what_it_does(path: tuple[str, ...]) -> None:
    silent = [option.name for option in EVERY[path].params if not getattr(option, "help", None)]
    assert silent == []


def test_the_promised_commands_are_there() -> None:
    promised = {
        *("up", "down", "status", "migrate", "replay", "match", "export", "api", "engine", "worker", "scheduler"),
        *("doctor", "tenant", "key", "import"),
    }
    assert promised <= {path[0] for path in EVERY if path}


def test_expected_errors_are_one_line() -> None:
    lost = sa.exc.OperationalError("SELECT secret", {}, Exception("connection refused\n\tIs the server running?"))
    old = sa.exc.ProgrammingError("SELECT secret", {}, Exception('relation "geofences.tenants" does not exist'))
    for error, words in (
        (CommandError("no engine"), "no engine"),
        (NotFoundError("no tenant 'x'"), "no tenant 'x'"),
        (lost, "the database does not answer: connection refused"),
        (old, "run `lbs migrate`"),
        (redis.ConnectionError("away"), "Redis does not answer: away"),
        (FileNotFoundError(2, "No such file or directory", "there"), "there: No such file or directory"),
    ):
        line = explain(error)
        assert line is not None
        assert words in line
        assert "\n" not in line
        assert "SELECT" not in line


def test_a_wrong_setting_is_named_as_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBS_RETENTION_DAYS", "1")
    with pytest.raises(ValueError, match="retention") as error:
        Settings()
    assert str(explain(error.value)).startswith("LBS_RETENTION_DAYS: ")


def test_a_defect_keeps_its_traceback() -> None:
    assert explain(KeyError("ours")) is None
