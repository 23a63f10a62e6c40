"""What a client tells about turns beside its requests, put where it belongs in the store.

It is told by OpenClaw's plugin (`events.py`), or stands in a later request (reactions). What is
told may come before its turn, twice, or about turns that were never ours. All texts are redacted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from align_agent.capture.redact import redact
from align_agent.capture.wire.conversations import of_session
from align_agent.capture.wire.openclaw import Reaction
from align_agent.errors import NotFound
from align_agent.feedback.owner import is_own, note_speaker, retract
from align_agent.feedback.reactions import react
from align_agent.records import Turn

if TYPE_CHECKING:
    from align_agent.server.events import Answered, Sent, Which
    from align_agent.store import Store

# Runs that no human asked for. An unknown word is taken for the human's, as in `wire/side.py`.
SIDE_TRIGGERS = ("heartbeat", "cron", "memory", "hook", "subagent")
DIFFERS = "openclaw.text_differs"
_NEAR = 5  # a message is sent soon after its turn

TurnOf = Callable[[str], str]


def told_aside(store: Store, turn: Turn) -> bool:
    """Whether it was told that no human asked for this turn, which is then side traffic."""
    if store.links.notes(turn.id).get("trigger") not in SIDE_TRIGGERS:
        return False
    store.turns.set_aside(turn.id)
    return True


def take_answer(
    store: Store, told: Answered, turn_of: TurnOf, personal: bool, owners: Sequence[str]
) -> bool:
    """Keep what a client knows about a run of its agent; False when its turn is not ours."""
    turn_id = turn_of(told.response) or store.links.find("response", told.response)
    if not turn_id:
        return False
    store.links.put("response", told.response, turn_id)
    if told.run:
        store.links.put("run", told.run, turn_id)
    facts = {
        "trigger": told.trigger,
        "sender": told.sender,
        "surface": told.channel,
        **{f"tool:{tool.call}": _tool(tool.model_dump(exclude={"call"})) for tool in told.tools},
    }
    for name, value in facts.items():
        if value:
            store.links.note(turn_id, name, redact(value, personal).text)
    conversation = of_session(told.session)
    own = note_speaker(store, turn_id, conversation, told.sender, told.channel, owners)
    if not own:
        retract(store, turn_id)
    if not store.turns.has(turn_id):
        return True
    turn = store.turns.get(turn_id)
    if told_aside(store, turn):
        _unlearn(store, turn)
    elif told.text and not _within(redact(told.text, personal).text, turn.user_text):
        # Our reading of the request has words that the human did not say, or lacks some.
        store.counters.bump(DIFFERS)
    return True


def take_message(store: Store, told: Sent) -> bool:
    """Know the turn of a message that went out to a channel; False when there is none."""
    conversation = of_session(told.session)
    turn_id = store.links.find("run", told.run) if told.run else ""
    turn_id = turn_id or _said(store, conversation, told.text)
    if not turn_id:
        return False
    store.links.put("message", message_key(conversation, told.channel, told.message), turn_id)
    return True


def take_reactions(
    store: Store,
    conversation: str,
    reactions: Sequence[Reaction],
    personal: bool,
    *,
    shared: bool,
) -> int:
    """Feedback from the emoji that a request reports. Returns how many were new and said something.

    OpenClaw reports one more than once. It tells the display name alone, which anybody may choose:
    none counts where others than the owner can be.
    """
    taken = 0
    for told in reactions:
        if shared or not is_own(store, conversation, "", told.surface, ()):
            continue
        parts = (conversation, told.emoji, told.action, told.by, told.message, told.surface)
        digest = hashlib.sha256(json.dumps([*parts, told.at]).encode()).hexdigest()
        key = message_key(conversation, told.surface, told.message)
        with store.transaction():
            turn_id = store.links.find("message", key)
            if turn_id and store.turns.has(turn_id) and store.links.first(f"reaction-{digest}"):
                added = told.action == "added"
                who = redact(told.by, personal).text
                taken += react(store, turn_id, told.emoji, added=added, by=who)
    return taken


def find_turn(store: Store, which: Which, turn_of: TurnOf) -> Turn:
    """The turn that is meant: by its own id, the answer, run or message, else the session's last.

    Raises NotFound.
    """
    conversation = of_session(which.session) if which.session else ""
    message = message_key(conversation, which.channel, which.message) if which.message else ""
    turn_id = which.turn or (turn_of(which.response) if which.response else "")
    for kind, key in (("response", which.response), ("run", which.run), ("message", message)):
        turn_id = turn_id or (store.links.find(kind, key) if key else "")
    if turn_id:
        return store.turns.get(turn_id)
    named = which.response or which.run or which.message
    latest = store.turns.latest(conversation) if conversation and not named else None
    if latest is None:
        what = "that answer" if named else "an answer in that session"
        raise NotFound(
            f"{what} was not recorded here",
            hint="only answers that went through align-agent can be rated; check that "
            "the session's model is align/align",
        )
    return latest


def message_key(conversation: str, channel: str, message: str) -> str:
    """The name of a channel's message: such ids count up within one chat only."""
    return f"{conversation} {channel.lower()} {message}"


def _said(store: Store, conversation: str, text: str) -> str:
    """The latest turn of a conversation that answered so; the latest of all where none did."""
    latest = store.turns.list(limit=_NEAR, conversation=conversation)
    for turn in latest:
        if turn.answer and _within(turn.answer, text):
            return turn.id
    return next((turn.id for turn in latest if turn.main), "") if not text else ""


def _within(part: str, whole: str) -> bool:
    return " ".join(part.split()) in " ".join(whole.split())


def _unlearn(store: Store, turn: Turn) -> None:
    """What such a turn says of the one before it was no human's opinion."""
    for found in store.feedback.from_turn(turn.id):
        store.feedback.dismiss(found.id)


def _tool(facts: dict[str, object]) -> str:
    return json.dumps({name: value for name, value in facts.items() if value not in (None, "")})
