"""A night started by a person at the command line: its progress, and how its end is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from align_agent.cli.output import printable, say
from align_agent.errors import GateRefused

if TYPE_CHECKING:
    from align_agent.paths import Home
    from align_agent.records import Run


def night_with_progress(home: Home, *, trigger: str = "manual", resume: bool = True) -> Run:
    """Run a night here and now, with bars on a terminal. Raises NightBusy, AlignAgentError."""
    from align_agent.night.progress import progress_for
    from align_agent.night.run import run_night

    with progress_for() as progress:
        return run_night(home, resume=resume, progress=progress, trigger=trigger)


def tell(run: Run) -> None:
    """How a night ended, for a person."""
    from align_agent.cli.runs import show_verdict

    say(f"{run.status}: {printable(run.reason)}" if run.reason else run.status)
    show_verdict(run.verdict)


def exit_code(run: Run) -> int:
    """0 for an orderly end (also nothing to learn), 3 where the gate refused, 1 for a failure."""
    if run.status == "rejected":
        return GateRefused.exit_code
    return 1 if run.status in ("failed", "interrupted") else 0
