"""A night started by a person at the command line: its progress, and how its end is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from align_agent.cli.output import printable, say

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
