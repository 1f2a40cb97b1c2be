"""`lbs demo`: the sample city."""

import sys
from typing import Annotated

import typer

from lbs.commands.terminal import Json, answer, say


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running")(demo)


def demo(
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Stop once offers have arrived on every channel; exit code 1 if they have not within 180 s."
        ),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, metavar="N", help="Let people walk for N seconds at most.")
    ] = None,
    walkers: Annotated[int, typer.Option(min=9, max=5_000, help="How many people walk about.")] = 240,
    as_json: Json = False,
) -> None:
    """Let a few hundred simulated people walk through central Helsinki, and watch offers reach them.

    Starts everything as `lbs up` does, makes a tenant with 1,009 real stores and their fences, takes campaigns live,
    and registers phones: with Web Push, with a webhook, with the inbox. They report positions over HTTP and get what
    the service sends, on receivers of the demo's own on loopback. A person of each role is invited, and it is shown
    where they sign in. Ctrl-C ends it, and stops whatever it started.
    """
    # loads every part of the program
    from lbs.demo.run import Options, StoppedEarlyError, run  # noqa: PLC0415
    from lbs.demo.screen import make_screen  # noqa: PLC0415

    screen = make_screen(plain=as_json)
    try:
        result, silent = run(Options(once=once, seconds=seconds, walkers=walkers), screen)
    except StoppedEarlyError:
        sys.exit(130)
    arrived = ", ".join(f"{count:,} by {channel}" for channel, count in result["arrived"].items())
    answer(
        result,
        as_json=as_json,
        text=f"{result['positions']:,} positions, {result['visits']:,} visits, {result['decisions']['offered']:,}"
        f" offers.\nArrived: {arrived}. Good bye!",
    )
    if once and silent:
        say(f"lbs: no offer arrived by {', '.join(silent)}")
        sys.exit(1)
