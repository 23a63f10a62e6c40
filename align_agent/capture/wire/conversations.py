"""Which conversation and which turn a request belongs to. Stores nothing; can be rebuilt.

A session key decides where there is one. Otherwise the history that comes with the request does:
it is looked up by the digests of its prefixes (`fingerprint`). A history that ends where a
recorded conversation ends extends it. One that leaves it earlier, because a message was edited or
answered anew, is a branch: a conversation of its own that knows where it came from. One whose
beginning a client has cut off is joined by its last exchange.

The same messages within `same_seconds` are the same turn (a retry after a lost connection); later
they begin something new, since a script may well ask the same every day. With a session key they
are the same turn for ever, for the prompt that a person sees then is the same place of one chat.

Ids hold no session key in plain: those of OpenClaw can contain a telephone number.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from align_agent.capture.redact import clean as cleaned
from align_agent.capture.wire.fingerprint import digest, fingerprint, normalised, prefixes
from align_agent.capture.wire.understand import Understood
from align_agent.records import Message, Turn, new_id
from align_agent.store import Store

_BY_HISTORY = re.compile(r"\Aconv-([0-9a-f]{12})-[0-9a-f]+\Z")
_COUNTER = re.compile(r":\d+\Z")
_MIN_TAIL = 40  # "thanks" and "you're welcome" end many conversations

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request belongs. `known`: its human message was seen before (retry, tool result)."""

    conversation_id: str
    turn_id: str
    known: bool = False
    branched_from: str = ""  # the conversation
    branched_at: str = ""  # the last turn that both share


@dataclass(frozen=True, slots=True)
class _State:
    """What a prefix of a history led to. `depth` counts messages from the conversation's start."""

    conversation_id: str
    turn_id: str
    at: float
    depth: int


class Conversations:
    """The index of what was said where, bounded and in memory. Safe to share between threads.

    `personal` must be the recorder's setting: stored texts are redacted, so texts are compared
    redacted.
    """

    def __init__(
        self,
        *,
        personal: bool = True,
        max_states: int = 20_000,
        same_seconds: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._personal = personal
        self._size = max_states
        self._same_seconds = same_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._states: OrderedDict[str, _State] = OrderedDict()  # by digest of a prefix
        self._tails: OrderedDict[str, _State] = OrderedDict()  # by digest of the last exchange
        self._heads: OrderedDict[str, str] = OrderedDict()  # conversation -> its newest turn
        self._humans: OrderedDict[str, tuple[str, str]] = (
            OrderedDict()
        )  # -> (turn, its human message)
        self._turns: OrderedDict[str, None] = OrderedDict()  # ids of turns with a session
        self._keys: OrderedDict[str, str] = OrderedDict()  # a session's id -> its lasting key

    def match(self, request: Understood, *, anew: bool = False) -> Match:
        """The conversation and the turn of a request, which is remembered.

        `anew`: the human certainly said it just now, so that it goes on with no earlier turn,
        even where every word is the same.
        """
        with self._lock:
            if request.session:
                return self._by_session(request, anew)
            return self._by_history(request, anew)

    def name(self, session_id: str, session: str) -> None:
        """Learn from elsewhere which lasting key a session's id belongs to.

        Once OpenClaw has compacted a history, its requests do not tell.
        """
        bare = _COUNTER.sub("", session_id)
        if bare and session and bare != session:
            with self._lock:
                self._put(self._keys, bare, session)

    def answered(self, request: Understood, match: Match, answer: Message) -> None:
        """Remember how a turn went on, so that the next request is found to extend it."""
        if request.session:
            return
        with self._lock:
            self._remember(
                request.prompt,
                (*request.since, answer),
                scope_of(request),
                _State(match.conversation_id, match.turn_id, self._clock(), 0),
            )

    def rebuild(self, store: Store, limit: int = 2_000) -> int:
        """Learn the newest turns of a store; returns how many were of use. Raises StoreError."""
        used = 0
        for turn in reversed(store.turns.list(limit=limit)):
            with self._lock:
                used += self._learn(turn)
        return used

    def __len__(self) -> int:
        return len(self._states)

    def _by_session(self, request: Understood, anew: bool) -> Match:
        bare = _COUNTER.sub("", request.session_id)
        session = request.session
        if bare and session != bare:
            self._put(self._keys, bare, session)
        else:
            session = self._keys.get(bare, session)
        conversation = of_session(session, request.channel, request.person)
        human = digest(*(fingerprint(m) for m in request.prompt[-1:]), request.stamp)
        last = self._humans.get(conversation)
        if request.continuation and not anew and last is not None and last[1] == human:
            # The history before it may have been compacted since: the turn goes on all the same.
            return Match(conversation, last[0], known=True)
        place = prefixes(request.prompt, conversation)[-1:]
        turn = f"turn-{digest(conversation, request.session_id, human, *place)[:20]}"
        known = turn in self._turns
        if known and anew:
            turn, known = new_id("turn"), False
        self._put(self._turns, turn, None)
        if request.main:  # a compaction in the middle of a turn does not end it
            self._put(self._humans, conversation, (turn, human))
        return Match(conversation, turn, known)

    def _by_history(self, request: Understood, anew: bool) -> Match:
        scope, moment = scope_of(request), self._clock()
        chain = prefixes(request.prompt, scope, self._clean)
        here = chain[-1] if chain else scope
        same = self._states.get(here)
        going_on = request.continuation and not anew
        if same is not None and (going_on or moment - same.at <= self._same_seconds):
            return Match(same.conversation_id, same.turn_id, known=True)
        found, branched = self._origin(request.prompt, chain, scope)
        conversation = f"conv-{scope}-{new_id('x')[2:]}"
        match = Match(conversation, new_id("turn"))
        depth = len(set(chain))
        if found is not None and branched:
            match = Match(conversation, match.turn_id, False, found.conversation_id, found.turn_id)
        elif found is not None:
            match = Match(found.conversation_id, match.turn_id)
            depth = max(depth, found.depth + 1)
        self._put(self._states, here, _State(match.conversation_id, match.turn_id, moment, depth))
        self._put(self._heads, match.conversation_id, match.turn_id)
        return match

    def _origin(
        self, prompt: Sequence[Message], chain: Sequence[str], scope: str
    ) -> tuple[_State | None, bool]:
        """The longest known beginning of a history, and whether the history leaves it there."""
        for place in range(len(chain) - 2, -1, -1):
            state = self._states.get(chain[place])
            if state is not None:
                # Nothing but an answer in between: the client replays it in other words.
                edited = any(message.role == "user" for message in prompt[place + 1 : -1])
                return state, edited or self._heads.get(state.conversation_id) != state.turn_id
        tail = self._tail(prompt[:-1], scope)
        state = self._tails.get(tail) if tail else None
        if state is None:
            return None, False
        # A window that slides is shorter than what was recorded; a history of the same length
        # had an early message edited.
        edited = len(set(chain[:-1])) >= state.depth
        return state, edited or self._heads.get(state.conversation_id) != state.turn_id

    def _remember(
        self,
        prompt: Sequence[Message],
        response: Sequence[Message],
        scope: str,
        state: _State,
    ) -> None:
        chain = prefixes((*prompt, *response), scope, self._clean)
        asked = self._states.get(chain[len(prompt) - 1]) if prompt else None
        ours = asked is not None and asked.turn_id == state.turn_id
        start = asked.depth if asked is not None and ours else len(set(chain[: len(prompt)]))
        depth = start + len(set(chain[len(prompt) :]))
        end = _State(state.conversation_id, state.turn_id, state.at, depth)
        if chain and (not prompt or chain[-1] != chain[len(prompt) - 1]):
            self._put(self._states, chain[-1], end)
            if tail := self._tail((*prompt, *response), scope):
                self._put(self._tails, tail, end)

    def _tail(self, messages: Sequence[Message], scope: str) -> str:
        """The digest of the last exchange; empty when it is too short to tell conversations apart.

        It is the last message of a user and the last message of the assistant after it.
        """
        human = max((n for n, m in enumerate(messages) if m.role == "user"), default=-1)
        if human < 0 or messages[-1].role != "assistant" or messages[-1].tool_calls:
            return ""
        asked = normalised(messages[human], self._clean)
        answer = normalised(messages[-1], self._clean)
        if len(asked) + len(answer) < _MIN_TAIL or not answer:
            return ""
        return digest("tail", scope, asked, answer)

    def _learn(self, turn: Turn) -> bool:
        found = _BY_HISTORY.match(turn.conversation_id)
        if found is None:
            # By their sessions, if they came this way at all: their ids say the rest.
            if turn.conversation_id.startswith("conv-"):
                self._put(self._turns, turn.id, None)
                return True
            return False
        scope, at = found[1], _seconds(turn.created_at)
        chain = prefixes(turn.prompt, scope, self._clean)
        if not chain:
            return False
        state = _State(turn.conversation_id, turn.id, at, len(set(chain)))
        self._put(self._states, chain[-1], state)
        self._remember(turn.prompt, turn.response, scope, state)
        self._put(self._heads, turn.conversation_id, turn.id)
        return True

    def _clean(self, text: str) -> str:
        return cleaned(text, self._personal).text

    def _put(self, index: OrderedDict[str, V], key: str, value: V) -> None:
        index[key] = value
        index.move_to_end(key)
        if len(index) > self._size:
            index.popitem(last=False)


def of_session(session: str, channel: str = "openclaw", person: str = "") -> str:
    """The id of the conversation that a session's lasting key names."""
    return f"conv-{digest(channel, person, session)[:20]}"


def scope_of(request: Understood) -> str:
    """Who and what a history is compared with: the same person's, of the same kind of client."""
    return digest(request.channel, request.person)[:12]


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return 0.0
