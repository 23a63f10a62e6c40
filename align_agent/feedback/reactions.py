"""Emoji put on an answer, and an answer asked for again, as Feedback on that turn."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from align_agent.records import Feedback

if TYPE_CHECKING:
    from align_agent.store import Store

REACTION = "reaction-1"
ANEW = "anew-1"

_UP = set("👍❤🔥🥰👏😁🎉🤩🙏👌💯⚡🏆💋🤗🫡😍💘😘😎🤝✅⭐🌟💖💪🚀😊☺🙌🥳💚💙")
_DOWN = set("👎💩🤮😡🤬🖕🥱😴🤨😐❌🙄😤😠🤦😒")
BLUNT = set("👎💩🖕")  # nothing else can be meant; anger may be at what was told
# How Slack and others name them.
_NAMED = {
    "+1": 1, "thumbsup": 1, "heart": 1, "fire": 1, "clap": 1, "tada": 1, "100": 1, "pray": 1,
    "ok_hand": 1, "star": 1, "white_check_mark": 1, "raised_hands": 1, "rocket": 1,
    "-1": -1, "thumbsdown": -1, "x": -1, "angry": -1, "rage": -1, "face_with_rolling_eyes": -1,
    "facepalm": -1, "yawning_face": -1,
}  # fmt: skip
# Variation selectors and skin tones change how a sign looks, not what it says.
_LOOKS = {"\ufe0e", "\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))}


def leaning(emoji: str) -> int:
    """1 for praise, -1 for blame, 0 for an emoji that may mean anything."""
    name = emoji.strip().strip(":").partition("::")[0]
    if name in _NAMED:
        return _NAMED[name]
    signs = {sign for sign in emoji if sign not in _LOOKS}
    up, down = signs & _UP, signs & _DOWN
    return 0 if bool(up) == bool(down) else 1 if up else -1


def react(store: Store, turn_id: str, emoji: str, *, added: bool, by: str = "") -> bool:
    """Note that someone put an emoji on an answer, or took it off again.

    False when the emoji says nothing, or nothing changes. Raises NotFound where there is no such
    turn.
    """
    side = leaning(emoji)
    if not side:
        return False
    found = Feedback(
        turn_id=turn_id,
        kind="reaction",
        polarity="positive" if side > 0 else "negative",
        category="praise" if side > 0 else "none",
        confidence=0.9,
        text=emoji,
        detector=REACTION,
        evidence=f"reaction {emoji}" + (f" by {by}" if by else ""),
        id=_id("reaction", turn_id, emoji, by),
    )
    known = any(earlier.id == found.id for earlier in store.feedback.for_turn(turn_id))
    if known:
        store.feedback.dismiss(found.id, not added)
    elif added:
        store.feedback.add(found)
    return known or added


def asked_anew(store: Store, turn_id: str) -> bool:
    """Note that a whole answer was thrown away and asked for again; False when it is known."""
    return store.feedback.add(
        Feedback(
            turn_id=turn_id,
            kind="retry",
            polarity="negative",
            category="repeat",
            confidence=0.7,
            text="",
            detector=ANEW,
            evidence="the answer was asked for again",
            strength=0.5,
            id=_id("anew", turn_id),
        )
    )


def _id(*parts: str) -> str:
    return f"fb-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:20]}"
