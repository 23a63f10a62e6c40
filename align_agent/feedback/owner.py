"""Whose words count: the owner's alone, not those of others in a shared conversation.

Who spoke is noted beside a turn before the turn is stored, as a digest and never as a name. A
client that tells no sender speaks for the owner. Reads no words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from align_agent.feedback.guard import UNACCEPTED, displaced_by
from align_agent.records import Rule

if TYPE_CHECKING:
    from align_agent.store import Store

STRANGER = "stranger"
SPEAKER = "speaker"
RETRACTED = "retracted"
COUNTER = "feedback.strangers"
NOT_OWNER = "said by somebody else"


def is_owner(sender: str, surface: str, owners: Sequence[str]) -> bool:
    """Whether a sender is on the list: `777`, `telegram:777`, or a pattern with `*` and `?`."""
    bare = sender.casefold().removeprefix(f"{surface.casefold()}:")
    names = (bare, f"{surface.casefold()}:{bare}")
    return any(fnmatchcase(name, owner.casefold()) for owner in owners for name in names)


def note_speaker(
    store: Store,
    turn_id: str,
    conversation: str,
    sender: str,
    surface: str,
    owners: Sequence[str],
    *,
    origin: str = "",
) -> bool:
    """Note who said a turn; False when it was a stranger, whose words do not count.

    Without a list of owners, nobody's words count where more than one has spoken, nor in a branch
    of such a conversation: `origin` is the one that this one was branched from.
    """
    if not sender:
        return True
    speaker = _digest(sender, surface)
    with store.transaction():
        notes = store.links.notes(turn_id)
        if SPEAKER in notes:  # told before, in the request itself
            return STRANGER not in notes
        store.links.note(turn_id, SPEAKER, speaker)
        if owners:
            own = is_owner(sender, surface, owners)
        else:
            own = _alone(store, speaker, conversation) and _alone(store, speaker, origin)
        if not own:
            store.links.note(turn_id, STRANGER, "yes")
            store.counters.bump(COUNTER)
    return own


def is_own(
    store: Store, conversation: str, sender: str, surface: str, owners: Sequence[str]
) -> bool:
    """Whether a rating, a thumb or the like in a conversation is the owner's; others are counted.

    Without a name it is, unless somebody else has spoken there; without a list of owners, the only
    speaker's is.
    """
    if not sender:
        own = not store.links.noted_in(conversation, STRANGER)
    elif owners:
        own = is_owner(sender, surface, owners)
    else:
        own = _alone(store, _digest(sender, surface), conversation)
    if not own:
        store.counters.bump(COUNTER)
    return own


def is_stranger(store: Store, turn_id: str) -> bool:
    """Whether the turn's human message was not the owner's."""
    return STRANGER in store.links.notes(turn_id)


def retract(store: Store, turn_id: str) -> None:
    """Take back what was read from a turn before it was known that a stranger said it.

    Once: a client tells who spoke with everything that it tells of the turn.
    """
    with store.transaction():
        if RETRACTED in store.links.notes(turn_id):
            return
        store.links.note(turn_id, RETRACTED, "yes")
        for found in store.feedback.from_turn(turn_id):
            store.feedback.dismiss(found.id)
        for rule in store.rules.list(("active", "proposed")):
            if turn_id not in store.rules.turns_of(rule.id):
                continue
            if rule.count > 1:
                store.rules.update(rule.id, count=rule.count - 1)
            else:
                store.rules.update(rule.id, status="retired", reason=NOT_OWNER)
                _give_back(store, rule)


def _give_back(store: Store, rule: Rule) -> None:
    """Let what a rule displaced be again what it was: in force, or a proposal."""
    for displaced in store.rules.list(("retired",)):
        if displaced_by(displaced, rule):
            before = "proposed" if displaced.reason.startswith(UNACCEPTED) else "active"
            store.rules.update(displaced.id, status=before, reason="")


def _alone(store: Store, speaker: str, conversation: str) -> bool:
    """Whether nobody else has spoken in a conversation, nor in the one that it came from."""
    others = store.links.noted_in(conversation, SPEAKER) - {speaker}
    return not others and not store.links.noted_in(conversation, STRANGER)


def _digest(sender: str, surface: str) -> str:
    bare = sender.casefold().removeprefix(f"{surface.casefold()}:")
    return hashlib.sha256(bare.encode()).hexdigest()[:12]
