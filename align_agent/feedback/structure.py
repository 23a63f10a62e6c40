"""Opinions that nobody put into words: what was done to an answer, or instead of one.

An answer stopped before its end, a message edited after it was answered, a tool call that the user
refused, a file that the user changed after the agent wrote it, a conversation left after a
complaint. Each is weak evidence: it is kept and shown, and counts in training only where another
signal agrees (its confidence lies below `feedback.min_confidence`). None has words, so none makes a
rule: what tools return is never the user's word.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from align_agent.feedback.owner import is_stranger
from align_agent.feedback.text import key_of
from align_agent.records import Feedback, Message, Turn

if TYPE_CHECKING:
    from align_agent.store import Store

DETECTOR = "structure-1"
ABANDONED = "abandoned"
LEFT_AFTER = timedelta(days=1)
_STOPPED = ("interrupted", "aborted")
_PATHS = ("path", "file_path", "filename", "file", "filepath")
_TEXTS = ("content", "contents", "text", "file_text", "data")
# A file that was changed, rather than replaced by another or read back with line numbers.
_LIKE = 0.5
_COMPARED = 8_000
# How agents' harnesses tell the model that the user said no; the whole result must say nothing
# else, since a page or a file that was read may hold such words as well.
_REFUSED = re.compile(
    r"(?:error: ?)?(?:the )?(?:user|human|owner) (?:has )?(?:rejected|denied|declined|refused"
    r"|cancelled|canceled|does ?n[o']t want to proceed with)\b[^\n]{0,160}"
    r"|(?:error: ?)?(?:exec|execution|tool call|tool use|command|approval|permission)"
    r" (?:was )?(?:denied|rejected|declined)(?: by (?:the )?(?:user|human|owner))?\W{0,3}"
    r"|tool use was rejected by the user\W{0,3}",
    re.I,
)


def seen_in(turn: Turn, previous: Turn | None) -> list[Feedback]:
    """What a turn shows that was just stored: about itself, and about the turn before it."""
    found = [*_stopped(turn), *_refused(turn)]
    if previous is not None:
        found += _changed(turn, previous)
    return found


def edited(replaced: Turn, new_text: str) -> Feedback | None:
    """A message that was sent again in other words, in the place of an answered one.

    None where the new text is the same, or goes another way altogether.
    """
    before, after = key_of(replaced.user_text[:_COMPARED]), key_of(new_text[:_COMPARED])
    if not replaced.answer.strip() or before == after or _likeness(before, after) < _LIKE:
        return None
    return _weak(replaced, "edited", "clarification", 0.45, "the message was edited and sent again")


def left(turn: Turn, complained: bool, after: Turn | None, moment: str) -> Feedback | None:
    """A conversation that ended a day ago or more with an answer to a complaint."""
    if after is not None or not complained or not turn.answer.strip():
        return None
    if datetime.fromisoformat(moment) - datetime.fromisoformat(turn.created_at) < LEFT_AFTER:
        return None
    evidence = "the conversation ended with this answer to a complaint"
    return _weak(turn, ABANDONED, "none", 0.35, evidence)


def note_edit(store: Store, last_shared: str, new_text: str) -> bool:
    """Note that the message after a turn was replaced by another; False when that is no edit.

    `last_shared` is the last turn that the old conversation and the new one have in common.
    """
    if not store.turns.has(last_shared):
        return False
    replaced = store.turns.follow_up_of(store.turns.get(last_shared))
    if replaced is not None and is_stranger(store, replaced.id):
        return False
    found = edited(replaced, new_text) if replaced is not None else None
    return found is not None and store.feedback.add(found)


def _stopped(turn: Turn) -> Iterator[Feedback]:
    if turn.finish_reason in _STOPPED and turn.answer.strip():
        yield _weak(turn, "stopped", "none", 0.4, "the answer was stopped before its end")


def _refused(turn: Turn) -> Iterator[Feedback]:
    names = {call.id: call.name for message in turn.response for call in message.tool_calls}
    for message in turn.response:
        if message.role == "tool" and _REFUSED.fullmatch(message.content.strip()):
            name = names.get(message.tool_call_id, "a tool")
            evidence = f"the call of {name} was refused"
            yield _weak(turn, "refused", "unsafe_action", 0.55, evidence)
            return


def _changed(turn: Turn, previous: Turn) -> Iterator[Feedback]:
    """A file that the agent wrote in one turn and found changed in the next."""
    written = dict(_written(previous.response))
    for path, text in _read(turn.response):
        before = written.get(path)
        if before is None or _squeezed(before) in _squeezed(text):
            continue
        if _likeness(before, text) >= _LIKE:
            evidence = f"{path} was changed after the agent wrote it"
            yield _weak(previous, "file_changed", "wrong_result", 0.5, evidence)
            return


def _written(response: tuple[Message, ...]) -> Iterator[tuple[str, str]]:
    for message in response:
        for call in message.tool_calls:
            path, text = _named(call.arguments, _PATHS), _named(call.arguments, _TEXTS)
            if path and text:
                yield path, text


def _read(response: tuple[Message, ...]) -> Iterator[tuple[str, str]]:
    """(path, content) of files that were read before anything was written to them."""
    asked: dict[str, str] = {}
    for message in response:
        for call in message.tool_calls:
            path, text = _named(call.arguments, _PATHS), _named(call.arguments, _TEXTS)
            if path and text:
                return
            if path:
                asked[call.id] = path
        if message.role == "tool" and message.tool_call_id in asked:
            yield asked[message.tool_call_id], message.content


def _named(arguments: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(arguments[n]) for n in names if isinstance(arguments.get(n), str)), "")


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _likeness(one: str, other: str) -> float:
    one, other = one[:_COMPARED], other[:_COMPARED]
    return difflib.SequenceMatcher(None, one.split(), other.split()).ratio()


def _weak(turn: Turn, kind: str, category: str, confidence: float, evidence: str) -> Feedback:
    digest = hashlib.sha256(f"{kind}\n{turn.id}".encode()).hexdigest()
    return Feedback(
        turn_id=turn.id,
        kind=kind,
        polarity="negative",
        category=category,
        confidence=confidence,
        text="",
        detector=DETECTOR,
        evidence=evidence[:200],
        strength=0.5,
        id=f"fb-{digest[:20]}",
    )
