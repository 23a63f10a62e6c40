"""Every exchange into the log, beside the answering: understood, joined to its turn, recorded.

One thread does it in the order of arrival. Nothing here can delay an answer or make it fail; what
goes wrong is logged and counted.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from align_agent.capture.recorder import Recorder
from align_agent.capture.wire.conversations import Conversations, Match
from align_agent.capture.wire.turn import Answer, OpenTurns, build_turn
from align_agent.capture.wire.understand import Understood, understand
from align_agent.config import Config
from align_agent.errors import StoreError
from align_agent.feedback.signals import observe
from align_agent.models.generation import Generation
from align_agent.paths import Home
from align_agent.records import Message, Turn
from align_agent.server.versions import Served
from align_agent.store import Store

log = logging.getLogger(__name__)

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
    shown: tuple[Message, ...] = ()  # what the model saw, where not all of it fitted
    began: float = field(default_factory=time.monotonic)
    heard: tuple[Understood, Match] | None = None


class Scribe:
    """The recorder behind the server. Call it from any thread; close it at the end."""

    def __init__(self, home: Home, config: Config, base: str) -> None:
        self._base = base
        self._conversations = Conversations(personal=config.privacy.redact_personal)
        self._open = OpenTurns()
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="scribe")
        self.counts: Counter[str] = Counter()

        def read(store: Store, turn: Turn) -> None:
            observe(store, turn, config)

        self.recorder = Recorder(
            home.database, config.privacy, queue_size=config.capture.queue_size, on_stored=read
        )
        self.later(lambda: self._rebuild(home))

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

    def close(self) -> None:
        """Record what still waits, and stop."""
        self.later(lambda: self._record(self._open.flush()))
        self._desk.shutdown()
        self.recorder.close()

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

    def _rebuild(self, home: Home) -> None:
        try:
            with Store.open(home.database) as store:
                self._conversations.rebuild(store)
        except StoreError as error:
            log.warning("earlier conversations are not known: %s", error)

    def _place(self, exchange: Exchange) -> None:
        request = understand(
            exchange.headers, exchange.body, exchange.messages, tools=bool(exchange.tools)
        )
        if exchange.human and request.user_text not in exchange.human:
            request = replace(request, user_text=exchange.human)  # a prompt was built around it
        exchange.heard = request, self._conversations.match(request, anew=exchange.anew)
        self.counts["main" if request.main else "side"] += 1

    def _write(self, exchange: Exchange, message: Message, reason: str, seconds: float) -> None:
        if exchange.heard is None:  # placing it failed, and was counted
            return
        request, match = exchange.heard
        base = exchange.base or self._base
        answer = Answer(message, reason, exchange.served.version, base, seconds * 1000)
        self._conversations.answered(request, match, message)
        if exchange.shown:
            seen = understand(exchange.headers, exchange.body, exchange.shown)
            request = replace(request, prompt=seen.prompt, since=seen.since)
        turn = build_turn(request, match, answer, tools=exchange.tools)
        self._record((*self._open.settle(turn), *self._open.flush(older_than=OPEN_SECONDS)))

    def _record(self, turns: tuple[Turn, ...]) -> None:
        for turn in turns:
            self.recorder.record(turn)
