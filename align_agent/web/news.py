"""The one sentence on top of the morning. Pure: facts in, a sentence and its loudness out.

A night that was skipped, failed or missed is told as plainly as one that went well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from align_agent.display import counted
from align_agent.records import Run, version_label
from align_agent.web.words import when

Tone = Literal["good", "calm", "attention", "bad"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known this morning. `due`: the moment of a night that is owed, or empty."""

    champion: int
    since: str = ""
    moved_by: str = ""  # who moved `champion` last
    run: Run | None = None
    trained: int = 0  # turns that the run learned from
    rules: int = 0
    gates: tuple[int, int] = (0, 0)  # passed, of
    waiting: int = 0  # a version that waits for a yes
    held: str = ""
    fallback: str = ""
    due: str = ""
    forbids: tuple[str, ...] = field(default=())  # why a night may not run now
    scheduler: bool = False
    turns: int = 0
    corrected: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """`detail` may be empty."""

    tone: Tone
    sentence: str
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"tone": self.tone, "sentence": self.sentence, "detail": self.detail}


def headline(facts: Facts) -> News:
    """What a person needs to hear first."""
    serves = f"{version_label(facts.champion)} serves"
    run = facts.run
    if facts.fallback:
        return News("bad", f"{_capital(facts.fallback)}.", "Look at Versions, and choose another.")
    if run is not None and run.status == "running" and not facts.due:
        return News("calm", f"A night is under way: {_phase(run)}. {_capital(serves)} meanwhile.")
    if facts.due:
        return _owed(facts, serves)
    if run is None:
        return _never(facts)
    ended = when(run.finished_at)
    if run.status == "promoted":
        return _promoted(facts, run, serves)
    if run.status == "review":
        return _review(facts, run, serves)
    if run.status == "rejected":
        made = version_label(run.candidate) if run.candidate else "what the night made"
        return News(
            "bad",
            f"The gate rejected {made} at {ended}. {_capital(serves)}, as before.",
            f"{_capital(run.reason)}.",
        )
    if run.status == "skipped":
        return News(
            "attention",
            f"The night of {ended} was skipped. {_capital(serves)}, as before.",
            f"{_capital(run.reason)}.",
        )
    if run.status == "failed":
        return News(
            "bad", f"The night failed at {ended}. {_capital(serves)}, as before.", run.reason
        )
    return News(
        "attention",
        f"The night was interrupted at {ended or when(run.started_at)}. {_capital(serves)}.",
        f"{_capital(run.reason)}.",
    )


def _owed(facts: Facts, serves: str) -> News:
    reasons = "; ".join(facts.forbids)
    if not facts.scheduler:
        reasons = "No scheduler is running: start one with `align-agent schedule run`."
    elif reasons:
        reasons = f"It waits: {reasons}."
    else:
        reasons = "It starts within minutes."
    return News(
        "bad",
        f"The night of {when(facts.due)} did not run. {_capital(serves)}, as before.",
        reasons,
    )


def _never(facts: Facts) -> News:
    if not facts.turns:
        return News(
            "calm",
            "Nothing was said yet.",
            "Chat with `align-agent chat`, or point an agent's client at this server.",
        )
    said = f"{counted(facts.turns, 'turn')}, {facts.corrected:,} of them corrected by you"
    detail = "" if facts.scheduler else "`align-agent distill run` starts the first night now."
    return News("calm", f"No night has run yet. There is something to read: {said}.", detail)


def _promoted(facts: Facts, run: Run, serves: str) -> News:
    since = f"{_capital(serves)} since {when(facts.since)}"
    if run.candidate != facts.champion:
        left = f"{version_label(run.candidate or 0)}, which the night promoted, does not"
        why = f"Nights promote nothing: {facts.held}." if facts.held else ""
        return News("attention", f"{since}; {left}.", why)
    learned = [f"learned from {counted(facts.trained, 'turn')}"]
    if facts.rules:
        learned.append(counted(facts.rules, "rule"))
    passed, of = facts.gates
    learned.append(
        f"all {of} gates passed"
        if of and passed == of
        else f"{passed} of {of} gates passed"
        if of
        else "the gate passed it"
    )
    return News("good", f"{since}: {', '.join(learned)}.", _held(facts))


def _review(facts: Facts, run: Run, serves: str) -> News:
    made = version_label(run.candidate or 0)
    if facts.waiting != run.candidate:
        return _promoted(facts, run, serves)
    return News(
        "attention",
        f"{made} waits for your yes: learned from {counted(facts.trained, 'turn')}. "
        f"{_capital(serves)} until then.",
        f"{_capital(run.reason)}." if run.reason else "",
    )


def _held(facts: Facts) -> str:
    return f"Nights promote nothing until you release them: {facts.held}." if facts.held else ""


def _phase(run: Run) -> str:
    return f"it is in its phase {run.phase}" if run.phase else "it has begun"


def _capital(text: str) -> str:
    """A sentence's beginning; a version's name stays as it is."""
    text = text.rstrip(".")
    if text[:1] == "v" and text[1:2].isdigit():
        return text
    return text[:1].upper() + text[1:]
