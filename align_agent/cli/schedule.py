"""`align-agent schedule`: when nights run, and the process that starts them."""

from __future__ import annotations

import signal
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.config import Config
    from align_agent.paths import Home
    from align_agent.store import Store


@click.group(cls=NounGroup, default="show")
@common
def command() -> None:
    """When nights run. A night needs the window AND a quiet while AND no hold."""


def outlook(home: Home, config: Config, store: Store, registry: Registry) -> dict[str, Any]:
    """When the next night is due, and whether one may run at this moment."""
    from align_agent import schedule

    moment = datetime.now().astimezone()
    permission = schedule.may_run(moment, config, store, registry, home.night_lock)
    due = schedule.next_fire(config, moment)
    return {
        "enabled": config.schedule.enabled,
        "cron": config.schedule.cron,
        "window": config.schedule.window,
        "idle_minutes": config.schedule.idle_minutes,
        "next": due.isoformat() if due else None,
        "may_run_now": permission.allowed,
        "reasons": list(permission.reasons),
    }


@command.command("show")
@common
@click.pass_obj
def show(app: App) -> None:
    """When the next night is due, and what keeps one from running now."""
    with app.registry() as (store, registry):
        data = outlook(app.home, app.config, store, registry)

    def print_it() -> None:
        pairs(
            [
                ("cron", data["cron"] + ("" if data["enabled"] else "  (switched off)")),
                ("window", data["window"]),
                ("quiet", f"{data['idle_minutes']} minutes without a message"),
                ("next", data["next"] or "(none)"),
                ("now", "may run" if data["may_run_now"] else "\n".join(data["reasons"])),
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
    from align_agent.schedule import Scheduler, next_fire

    home = app.require_home()
    scheduler = Scheduler(home)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    scheduler.start()
    due = next_fire(app.config, datetime.now().astimezone())
    note(f"waiting for the next night: {due.isoformat() if due else 'the schedule is off'}")
    ended.wait()
    scheduler.stop()
    note("stopped")
