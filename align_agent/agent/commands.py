"""What a person can type in a chat besides messages: /rate, /edit, /undo, /why, and more.

Parsing is pure; `run` does the work and returns what to show. Prints nothing itself.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from align_agent.adapters import working
from align_agent.adapters.registry import Registry
from align_agent.capture.redact import clean, redact
from align_agent.distill.hindsight import Shown
from align_agent.errors import UsageError
from align_agent.explain import explain
from align_agent.feedback.profile import Profile
from align_agent.feedback.shown import edit
from align_agent.feedback.signals import rate
from align_agent.night.lock import as_it_is
from align_agent.records import version_label
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.agent.session import AgentSession

NAMES = ("rate", "edit", "undo", "why", "rollback")


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command: its name without the slash, and the rest of the line."""

    name: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command did: lines for a person, `data` for `--json`."""

    lines: list[str]
    data: dict[str, Any] = field(default_factory=dict)


def parse(text: str, names: tuple[str, ...] = NAMES) -> Command | None:
    """The command in a line, or None when it is a message to the agent.

    A command is a slash and a word; a path such as /usr/bin is a message. Raises UsageError for
    a word that is no command.
    """
    line = text.strip()
    word, _, rest = line.partition(" ")
    name = word[1:]
    if not word.startswith("/") or not name.isalpha() or not name.isascii():
        return None
    if name.lower() not in names:
        near = difflib.get_close_matches(name.lower(), names, n=1)
        meant = f"did you mean /{near[0]}? " if near else ""
        listed = ", ".join(f"/{known}" for known in names)
        raise UsageError(f"there is no command /{name}", hint=f"{meant}there are: {listed}")
    return Command(name.lower(), rest.strip())


def run(command: Command, session: AgentSession) -> Reply:
    """Do a command in a session. Raises UsageError, NotFound, AdapterDamaged."""
    with Store.open(session.home.database) as store:
        if command.name == "rate":
            return _rate(command.rest, session, store)
        if command.name == "edit":
            return _edit(command.rest, session, store)
        if command.name == "undo":
            left = working.undo(store)
            line = "taken back: it answers as before the last step"
            return Reply([line, f"{left} steps are left"], {"steps": left})
        registry = Registry(store, session.home)
        if command.name == "why" and command.rest:
            return _blame(command.rest, session, store)
        if command.name == "why":
            profile = Profile(store, session.config)
            profile.sync_declared(session.config.preferences)
            last = as_it_is(store.runs.latest("night"), session.home)
            explanation = explain(store, registry, profile, last)
            reply = Reply(explanation.lines(), {"version": explanation.version})
            return _with_steps(session, store, registry, reply)
        if command.name != "rollback":
            raise UsageError(f"/{command.name} is not known here")
        old, new = registry.rollback(why="/rollback in a chat")
        line = f"rolled back from {version_label(old)} to {version_label(new)}"
        held = "promotion is held until `align-agent adapters release`"
        return Reply([line, held], {"old": old, "new": new})


def _with_steps(session: AgentSession, store: Store, registry: Registry, reply: Reply) -> Reply:
    """The reply with the steps learned at once: how many of them are behind the last answer, and
    how many act from the next one on."""
    if not session.config.learn.live:
        return reply
    home, then = session.home, session.last_adapter
    now = registry.answering(session.model.base, session.model.base_hash)[1]
    behind, total = working.number(store, home, then), working.number(store, home, now)
    lines = []
    if total:
        more = f", {total - behind} more from the next one on" if total > behind else ""
        lines = [f"steps learned at once: {behind} behind the last answer{more}"]
        lines.append("/undo takes the last one back")
    if then is not None and then.parent == home.working and not behind:
        lines.append("the last answer came from a step that was taken back")
    return Reply([*reply.lines, *lines], {**reply.data, "steps": total, "behind": behind})


def _blame(rest: str, session: AgentSession, store: Store) -> Reply:
    """What these words of the user speak against in the last answer, token by token."""
    from align_agent.credit import of_turn

    if session.last_turn is None:
        raise UsageError("there is no answer to explain yet", hint="ask something first")
    clean = redact(rest, session.config.privacy.redact_personal).text
    found = of_turn(store, session.config, session.model, session.last_turn, feedback=clean)
    return Reply(found.lines(), found.to_dict())


def _edit(rest: str, session: AgentSession, store: Store) -> Reply:
    """The last answer as it should have been: a demonstration for the night."""
    if session.last_turn is None:
        raise UsageError("there is no answer to edit yet", hint="ask something first")
    if not rest:
        raise UsageError("say what the answer should be", hint="for example: /edit It is 42.")
    session.recorder.flush()
    text = clean(rest.replace("\\n", "\n"), session.config.privacy.redact_personal).text
    found = edit(store, session.last_turn.id, text)
    line = "noted: the next night learns from your answer"
    data = {"turn": found.turn_id, "answer": found.text}
    return _at_once(session, Shown(demonstration=text), Reply([line], data))


def _at_once(session: AgentSession, shown: Shown, reply: Reply) -> Reply:
    """The reply with what was learned at once, if `learn.live` says so."""
    if session.last_turn is None or not session.learn_at_once(session.last_turn, shown):
        return reply
    step = session.last_step
    assert step is not None
    line = f"learned at once, in {step.seconds:.1f} s (step {step.number}); /undo takes it back"
    return Reply([*reply.lines, line], {**reply.data, "step": step.number})


def _rate(rest: str, session: AgentSession, store: Store) -> Reply:
    verdict, _, why = rest.partition(" ")
    if verdict not in ("up", "down"):
        raise UsageError("rate it up or down", hint="for example: /rate down too long")
    if session.last_turn is None:
        raise UsageError("there is no answer to rate yet", hint="ask something first")
    session.recorder.flush()
    clean = redact(why.strip(), session.config.privacy.redact_personal).text
    found = rate(store, session.last_turn.id, verdict == "up", clean, session.config)
    data = {"turn": found.turn_id, "verdict": verdict, "why": clean}
    reply = Reply([f"noted: {verdict}"], data)
    worded = verdict == "down" and clean
    return _at_once(session, Shown(clean), reply) if worded else reply
