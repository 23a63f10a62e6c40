"""`align-agent schedule`: when nights run, and the process that starts them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, when
from align_agent.errors import AlignAgentError, NightBusy
from align_agent.localtime import here

if TYPE_CHECKING:
    from align_agent.paths import Home


@click.group(cls=NounGroup, default="show")
@common
def command() -> None:
    """When nights run. A night needs the window AND a quiet while AND no hold."""


def told(ahead: dict[str, Any]) -> str:
    """The outlook's `next` for a person."""
    if not ahead["enabled"]:
        return "none: schedule.enabled is false"
    due = when(ahead["next"] or "") or "unknown"
    return due if ahead["scheduler_running"] else f"{due}, if `align-agent schedule run` runs then"


@command.command("show")
@common
@click.pass_obj
def show(app: App) -> None:
    """When the next night is due, and what keeps one from running now."""
    from align_agent.schedule import outlook

    with app.registry() as (store, registry):
        data = outlook(app.home, app.config, store, registry)

    def print_it() -> None:
        pairs(
            [
                ("cron", data["cron"] + ("" if data["enabled"] else "  (switched off)")),
                ("window", data["window"]),
                ("quiet", f"{data['idle_minutes']} minutes without a message"),
                ("next", told(data)),
                ("now", ("may run: " if data["may_run_now"] else "") + "; ".join(data["reasons"])),
            ]
        )

    emit(data, app.json, print_it)


@command.command("run")
@common
@click.pass_obj
def run(app: App) -> None:
    """Stay in the foreground and start a night whenever one is due. Ctrl-C ends it.

    A night that was missed while the machine slept is caught up when the rules allow.
    """
    from align_agent.schedule import Scheduler, next_start

    home = app.require_home()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with _alone(home):
        scheduler = Scheduler(home)
        scheduler.start()
        due = next_start(app.config, here())
        note(f"waiting; the next night is due {when(due.isoformat()) if due else '(switched off)'}")
        ended.wait()
        scheduler.stop()
    note("stopped")


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One scheduler a home. Raises AlignAgentError."""
    from align_agent.night.lock import NightLock

    try:
        lock = NightLock(home.scheduler_lock).__enter__()
    except NightBusy as error:
        raise AlignAgentError(
            f"a scheduler for {home.root} is running already", hint="leave it, or stop it first"
        ) from error
    try:
        yield
    finally:
        lock.__exit__()
