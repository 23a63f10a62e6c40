"""A night at the command line: its progress, how its end is told, and all its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.output import paint, pairs, prose, say, table, when, wrapped
from align_agent.display import counted, printable
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.config import PrivacyConfig
    from align_agent.paths import Home
    from align_agent.records import Run
    from align_agent.store import Store

_PAIRS = 2  # answers before and after, where not all are asked for
_LINES = 8  # of an answer
_SAID = 3  # complaints that are quoted

detailed = click.option("--details", is_flag=True, help="Every figure, in tables.")


def night_with_progress(
    home: Home, privacy: PrivacyConfig, *, trigger: str = "manual", resume: bool = True
) -> Run:
    """Run a night here and now, with bars on a terminal. Raises NightBusy, AlignAgentError."""
    from align_agent.night.progress import progress_for
    from align_agent.night.run import run_night
    from align_agent.privacy.ready import make_ready

    make_ready(home, privacy)
    with progress_for() as progress:
        return run_night(home, resume=resume, progress=progress, trigger=trigger)


def night_data(store: Store, run: Run) -> dict[str, Any]:
    """A night with all that is on record of it, for JSON."""
    from align_agent.adapters.timeline import RULES
    from align_agent.night.told import complaint

    turns = store.runs.turns_of(run.id)
    learned = [turn_id for turn_id, use, _ in turns if use == "train"]
    said = [complaint(store, turn_id) for turn_id in learned]
    return {
        "run": run,
        "turns": [{"turn": t, "use": use, "reason": reason} for t, use, reason in turns],
        "rules": list(run.config.get(RULES, ())),
        "complaints": list(dict.fromkeys(text for text in said if text)),
        "metrics": store.runs.metrics(run.id),
        "samples": store.runs.samples(run.id),
    }


def show_night(run: Run, data: dict[str, Any], details: bool) -> None:
    """A night for a person: how it ended and why, what it learned, answers before and after."""
    from align_agent.night.told import ending, reasons

    for line in wrapped(ending(run)):
        say(paint(line, bold=True))
    told = reasons(run)
    if told:
        _title("Why")
    for reason in told:
        prose(reason, "  ", "- ")
    _show_learned(run, data)
    _show_pairs(data["samples"], details)
    if details:
        _show_figures(run, data)
    say()
    prose(f"{run.id}, {when(run.started_at)} to {when(run.finished_at) or '(not finished)'}")
    if not details and run.verdict:
        prose(f"every figure: align-agent runs show {run.id[:12]} --details")


def _title(text: str) -> None:
    say()
    say(paint(text, bold=True))


def _show_learned(run: Run, data: dict[str, Any]) -> None:
    uses: dict[str, int] = {}
    for turn in data["turns"]:
        uses[turn["use"]] = uses.get(turn["use"], 0) + 1
    if not uses:
        return
    if run.candidate is None:
        _title("What it looked at")
        prose(_used({"to learn from" if use == "train" else use: n for use, n in uses.items()}))
        return
    _title("What it learned")
    for rule in data["rules"]:
        prose(rule, "  ", "- ")
    said = data["complaints"]
    quotes = ", ".join(f'"{printable(text)}"' for text in said[:_SAID])
    more = f" and {len(said) - _SAID} more" if len(said) > _SAID else ""
    if said:
        prose(f"from what you said: {quotes}{more}")
    prose(_used(uses))


def _used(uses: dict[str, int]) -> str:
    """What became of the turns, such as "turns: 4 learned from, 2 kept aside for the gate"."""
    from align_agent.night.told import USES

    places = [*USES, *uses]
    told = [f"{uses[use]} {USES.get(use, use)}" for use in sorted(uses, key=places.index)]
    return f"turns: {', '.join(told)}"


def _show_pairs(samples: list[dict[str, Any]], details: bool) -> None:
    if not samples:
        return
    _title("Before and after")
    labels = ("base", "before", "after") if details else ("before", "after")
    for number, sample in enumerate(samples if details else samples[:_PAIRS]):
        if number:
            say()
        for line in wrapped(f"> {sample['prompt']}"):
            say(paint(line, bold=True))
        pairs([(name, _cut(sample[name], details)) for name in labels if sample.get(name)])
        if sample.get("note"):
            prose(f"({sample['note']})")


def _cut(text: str, whole: bool) -> str:
    lines = [line for line in text.splitlines() if line.strip() or whole]
    return "\n".join(lines if whole or len(lines) <= _LINES else [*lines[: _LINES - 1], "…"])


def _show_figures(run: Run, data: dict[str, Any]) -> None:
    """The gate's table, what each difference says, and the training's last step."""
    from align_agent.gate.told import table_of

    found = table_of(run.verdict)
    rows = found["rows"]
    if rows:
        _title("What the gate measured")
        table(
            ("measure", *found["who"]),
            [(row["measure"], *map(_cell, row["values"])) for row in rows],
            flexible=(0,),
        )
    if rows and "gate" in rows[0]:
        _title("What the differences say")
        for word, passed in (("passed", True), ("FAILED", False)):
            gates = dict.fromkeys(row["gate"] for row in rows if row["passed"] is passed)
            if gates:
                prose(f"{word}: {', '.join(gates)}")
        _show_differences(rows)
    if last := _last_step(data["metrics"]):
        _title("The training's last step")
        pairs(last)
    _title("Made")
    made = version_label(run.candidate) if run.candidate else "nothing"
    prose(f"{made}, from {version_label(run.parent)}, over {run.base or 'an unknown base'}")


def _show_differences(rows: list[dict[str, Any]]) -> None:
    table(
        ("measure", "against", "difference", "95% between", "says", "gate"),
        [
            (
                row["measure"],
                row["against"],
                row["change"],
                row["between"],
                row["says"],
                ("passed: " if row["passed"] else "FAILED: ") + row["gate"],
            )
            for row in rows
        ],
        flexible=(0, 1),
        spare=("gate",),
    )


def _last_step(metrics: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What the training measured last, by the names that the dashboard has for it."""
    from align_agent.night.told import FIGURES

    steps = [row for row in metrics if "loss" in row]
    if not steps:
        return []
    last = steps[-1]
    known = [(title, f"{last[name]:.3g}") for name, title in FIGURES.items() if name in last]
    return [("step", f"{last['step']} of {counted(len(steps), 'step')} on record"), *known]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
