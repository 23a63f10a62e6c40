"""Every exchange into the log, beside the answering: understood, joined to its turn, recorded.

One thread does it in the order of arrival. Nothing here can delay an answer or make it fail; what
goes wrong is logged and counted.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from align_agent.capture.arrivals import FEW, LATEST, SIDE_NOTE, arrivals
from align_agent.capture.ignore import Ignore
from align_agent.capture.recorder import Recorder
from align_agent.capture.wire.conversations import Conversations, Match
from align_agent.capture.wire.openclaw import is_shared
from align_agent.capture.wire.turn import Answer, OpenTurns, build_turn
from align_agent.capture.wire.understand import Understood, understand
from align_agent.config import Config
from align_agent.errors import StoreError
from align_agent.feedback.owner import is_own, note_speaker
from align_agent.feedback.reactions import asked_anew
from align_agent.feedback.signals import observe
from align_agent.feedback.structure import note_edit
from align_agent.models.generation import Generation
from align_agent.paths import Home
from align_agent.records import Message, Turn
from align_agent.server.recent import Recent
from align_agent.server.told import take_reactions, told_aside
from align_agent.server.versions import Served
from align_agent.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")
EVENT_DAYS = 90  # a client that was off for longer may tell something twice
CLOSE_SECONDS = 60.0  # a busy machine may be long in storing what many clients said at once
_ASIDE = 1_000
OPEN_SECONDS = 900.0  # how long a turn may wait for a tool's result or a second try


@dataclass(slots=True)
class Exchange:
    """One request and, later, its answer."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    served: Served
    base: str = ""  # the model that answered, where it is not the server's
    anew: bool = False  # the human certainly said this now: it is no second try
    human: str = ""  # the human's own words, where they are known
    response: str = ""  # the id that the client knows the answer by
    shown: tuple[Message, ...] = ()  # what the model saw, where not all of it fitted
    began: float = field(default_factory=time.monotonic)
    heard: tuple[Understood, Match] | None = None


class Alarm:
    """Says loudly in the log when turns come and none can be learned from."""

    def __init__(self) -> None:
        self._useless = 0
        self._silent = False

    def hear(self, store: Store) -> None:
        """A turn was stored. Once one could teach, there is nothing to say any more."""
        if self._silent:
            return
        self._useless += 1
        found = arrivals(store, min(self._useless, LATEST))
        self._silent = found.usable > 0
        # The 3rd, 6th, 12th, 24th ...: a flood fills no log.
        doubled, odd = divmod(self._useless, FEW)
        if found.alarming and not odd and doubled & (doubled - 1) == 0:
            log.error("%s (see `align-agent turns`)", found.told())


class Scribe:
    """The recorder behind the server. Call it from any thread; close it at the end."""

    def __init__(self, home: Home, config: Config, base: str) -> None:
        self._base = base
        self._conversations = Conversations(personal=config.privacy.redact_personal)
        self._open = OpenTurns()
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="scribe")
        self._home, self._personal = home, config.privacy.redact_personal
        self._owners = config.feedback.owners
        self._ignore = Ignore(config.privacy.ignore)
        self._store: Store | None = None  # of the desk's thread alone
        self._answers = Recent()
        self._aside: dict[str, str] = {}  # turn -> why it is no human's, until it is stored
        self._alarm = Alarm()
        self._config = config
        self.counts: Counter[str] = Counter()
        self.recorder = Recorder(
            home.database,
            config.privacy,
            queue_size=config.capture.queue_size,
            on_stored=self._stored,
        )
        self.later(self._rebuild)

    def hear(self, exchange: Exchange) -> None:
        """A request came in; its place among the conversations is found in the background."""
        self.later(lambda: self._place(exchange))

    def note(self, exchange: Exchange, ended: Generation | BaseException) -> None:
        """Its answer is over, in whichever way."""
        seconds = time.monotonic() - exchange.began
        message, reason = Message("assistant", ""), "error"
        if isinstance(ended, Generation):
            message, reason = ended.message(), ended.finish_reason
        self.later(lambda: self._write(exchange, message, reason, seconds))

    def take(self, exchange: Exchange, message: Message, reason: str, seconds: float) -> None:
        """An exchange that is over, all at once, or more of it. Call it in `later`."""
        if exchange.heard is None:
            self._place(exchange)
        self._write(exchange, message, reason, seconds)

    def flush(self) -> None:
        """Wait until all that was noted lies in the store, unfinished turns aside."""
        self._desk.submit(lambda: None).result()
        self.recorder.flush()

    def consult(self, work: Callable[[Store], T]) -> Future[T]:
        """Do some work on the store in the scribe's thread, once all that came before is stored.

        The future raises what the work raises, and StoreError.
        """

        def done() -> T:
            self.recorder.flush()
            return work(self._opened())

        return self._desk.submit(done)

    def count(self, name: str) -> None:
        """One more of what `align-agent status` shows, kept in the store."""
        self.later(lambda: self._opened().counters.bump(name))

    def turn_of(self, response: str) -> str:
        """The turn that an answer of this process belongs to; empty when it is none of them."""
        return self._answers.turn(response)

    def name_session(self, session_id: str, session: str) -> None:
        """Learn which lasting key a session's id belongs to."""
        self._conversations.name(session_id, session)

    def close(self) -> None:
        """Record what still waits, and stop."""
        self.later(lambda: self._record(self._open.flush()))
        self.later(self._put_away)
        self._desk.shutdown()
        if not self.recorder.close(CLOSE_SECONDS):
            left = self.recorder.stats["pending"]
            log.error("%d turns could not be stored in time, and are lost", left)

    def later(self, work: Callable[[], None]) -> None:
        """Do some work in the scribe's thread, in its turn. A failure is counted and logged."""

        def guarded() -> None:
            try:
                work()
            except Exception:
                self.counts["failed"] += 1
                log.exception("an exchange could not be recorded")

        try:
            self._desk.submit(guarded)
        except RuntimeError:  # closed, or the program is ending: no thread is left to do it
            guarded()

    def _stored(self, store: Store, turn: Turn) -> None:
        """In the recorder's thread: what is known besides, what the human's words say, an alarm."""
        for response in self._answers.of(turn.id):
            store.links.put("response", response, turn.id)
        if reason := self._aside.get(turn.id, ""):
            store.links.note(turn.id, SIDE_NOTE, reason)
        if not told_aside(store, turn):
            observe(store, turn, self._config)
        self._alarm.hear(store)

    def _opened(self) -> Store:
        if self._store is None:
            self._store = Store.open(self._home.database)
        return self._store

    def _put_away(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _rebuild(self) -> None:
        try:
            self._conversations.rebuild(self._opened())
            kept_from = datetime.now(UTC) - timedelta(days=EVENT_DAYS)
            self._opened().links.forget_events(kept_from.isoformat(timespec="microseconds"))
        except StoreError as error:
            log.warning("earlier conversations are not known: %s", error)

    def _place(self, exchange: Exchange) -> None:
        request = understand(
            exchange.headers, exchange.body, exchange.messages, tools=bool(exchange.tools)
        )
        if exchange.human and request.user_text not in exchange.human:
            request = replace(request, user_text=exchange.human)  # a prompt was built around it
        match = self._conversations.match(request, anew=exchange.anew)
        exchange.heard = request, match
        self._answers.put(exchange.response, match.turn_id)
        self.counts["main" if request.main else "side"] += 1
        if match.known and _is_anew(request) and self._answers.is_whole(match.turn_id):
            self.later(lambda: self._asked_anew(request, match))
        if match.branched_at and request.main:
            self.later(lambda: self._edited(request, match))
        if request.reactions:
            self.later(lambda: self._react(request, match))

    def _asked_anew(self, request: Understood, match: Match) -> None:
        self.recorder.flush()
        store = self._opened()
        if store.turns.has(match.turn_id) and self._is_own(request, match):
            self.counts["asked_anew"] += asked_anew(store, match.turn_id)

    def _edited(self, request: Understood, match: Match) -> None:
        self.recorder.flush()
        if self._is_own(request, match):
            text = request.user_text
            self.counts["edited"] += note_edit(self._opened(), match.branched_at, text)

    def _react(self, request: Understood, match: Match) -> None:
        self.recorder.flush()
        self.counts["reactions"] += take_reactions(
            self._opened(),
            match.conversation_id,
            request.reactions,
            self._personal,
            shared=is_shared(request.session),
        )

    def _is_own(self, request: Understood, match: Match) -> bool:
        """Whether the owner did this; a request without a sender comes from the owner's own app.

        In a branch counts who spoke in the conversation that it left.
        """
        sender, surface = request.sender, request.surface
        conversation = match.branched_from or match.conversation_id
        return not sender or is_own(self._opened(), conversation, sender, surface, self._owners)

    def _write(self, exchange: Exchange, message: Message, reason: str, seconds: float) -> None:
        if exchange.heard is None:  # placing it failed, and was counted
            return
        request, match = exchange.heard
        base = exchange.base or self._base
        answer = Answer(message, reason, exchange.served.version, base, seconds * 1000)
        self._conversations.answered(request, match, message)
        if reason in ("stop", "length"):
            self._answers.whole(match.turn_id)
        if exchange.shown:
            seen = understand(exchange.headers, exchange.body, exchange.shown)
            request = replace(request, prompt=seen.prompt, since=seen.since)
        turn = build_turn(request, match, answer, tools=exchange.tools)
        if request.side_reason:
            self._aside[turn.id] = request.side_reason
            if len(self._aside) > _ASIDE:  # some are never stored
                self._aside.pop(next(iter(self._aside)), None)
        if self._ignore.matches_sender(request.sender, request.surface):
            self.recorder.record(turn, keep_out=True)
            return
        if request.sender:
            self._note_speaker(turn, request, match)
        self._record((*self._open.settle(turn), *self._open.flush(older_than=OPEN_SECONDS)))

    def _note_speaker(self, turn: Turn, request: Understood, match: Match) -> None:
        """Before the turn is stored: whoever reads it must know whose words it holds."""
        self.recorder.flush()
        note_speaker(
            self._opened(),
            turn.id,
            turn.conversation_id,
            request.sender,
            request.surface,
            self._owners,
            origin=match.branched_from,
        )

    def _record(self, turns: tuple[Turn, ...]) -> None:
        for turn in turns:
            self.recorder.record(turn)


def _is_anew(request: Understood) -> bool:
    """Whether a message that was answered before is a talking human's, who wants another answer.

    A script that asks the same single question again does not mean it as blame.
    """
    talk = bool(request.session) or any(m.role == "assistant" for m in request.prompt)
    return talk and request.main and not request.continuation
