"""`align-agent distill`: learn now, or see what the next night would learn from."""

from __future__ import annotations

from typing import Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.nightly import detailed
from align_agent.cli.output import emit, note, pairs, plain, say, table


@click.group(cls=NounGroup, default="plan")
@common
def command() -> None:
    """Learning. A night does it by itself; here it is done now, or only looked at."""


@command.command("plan")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=0))
@click.option("--probe", is_flag=True, help="Also foretell time and memory: loads the model.")
@common
@click.pass_obj
def plan(app: App, limit: int, probe: bool) -> None:
    """What the next night would learn from, and why every other turn is left out.

    --limit bounds the table of turns; the counts and `--json` are always complete. --probe tries a
    few answers and steps on this machine, and says how long the night will take.
    """
    from align_agent.night.plan import plan as make_plan

    data: dict[str, Any] = plain(make_plan(app.require_home()))
    if probe and data["ready"]:
        from align_agent.night.estimate import estimate

        data["estimate"] = plain(estimate(app.require_home()))
    emit(data, app.json, lambda: _show(data, limit))


def _show(data: dict[str, Any], limit: int) -> None:
    from align_agent.night.told import PLANNED

    say(("ready: " if data["ready"] else "") + data["reason"])
    pairs(
        [
            ("learn from", data["train"]),
            ("start", data["start"]),
            ("kept aside", data["heldout"]),
            ("held in place", f"{data['anchors']} of yours, {data['general']} everyday prompts"),
            *([("", data["few"])] if data["few"] else []),
            ("left out", sum(data["skipped"].values())),
            *[("", f"{number}x {reason}") for reason, number in data["skipped"].items()],
            ("rules", "\n".join(data["rules"]) or "(none)"),
        ]
    )
    if found := data.get("estimate"):
        by_phase = ", ".join(f"{name} {value:.0f} s" for name, value in found["seconds"].items())
        pairs(
            [
                ("answers", found["answers"]),
                ("steps", found["steps"]),
                ("minutes", f"about {found['minutes']:.1f} ({by_phase})"),
                ("", f"about {found['least_minutes']:.1f} if it finds nothing new to learn"),
                ("memory", f"about {found['memory_gb']:.1f} GB"),
            ]
        )
    if data["turns"] and limit:
        say()
    table(
        ("turn", "use", "why", "you"),
        [
            (
                turn["turn_id"][:12],
                PLANNED.get(turn["use"], turn["use"]),
                turn["reason"],
                turn["text"][:200],
            )
            for turn in data["turns"][:limit]
        ],
    )
    if len(data["turns"]) > limit:
        note(f"{len(data['turns']) - limit} more turns: --limit, or --json for all of them")


@command.command("run")
@click.option("--fresh", is_flag=True, help="Do not go on with an interrupted night.")
@detailed
@common
@click.pass_obj
def run(app: App, fresh: bool, details: bool) -> None:
    """Learn now. What was learned serves from the next turn on, if the gate lets it.

    Exit code 0 also when there is nothing to learn, 3 when the gate refuses the result.
    """
    from align_agent.cli.nightly import night_data, night_with_progress, show_night
    from align_agent.night.run import exit_code

    done = night_with_progress(app.require_home(), app.config.privacy, resume=not fresh)
    with app.store(read_only=True) as store:
        data = night_data(store, done)
    emit(done, app.json, lambda: show_night(done, data, details))
    if code := exit_code(done):
        click.get_current_context().exit(code)
