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
from dataclasses import dataclass, field
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
    """One request and, later, its answer. Make it with `Scribe.hear`."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    served: Served
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
        self._later(lambda: self._rebuild(home))

    def hear(self, exchange: Exchange) -> None:
        """A request came in; its place among the conversations is found in the background."""
        self._later(lambda: self._place(exchange))

    def note(self, exchange: Exchange, ended: Generation | BaseException) -> None:
        """Its answer is over, in whichever way."""
        seconds = time.monotonic() - exchange.began
        self._later(lambda: self._write(exchange, ended, seconds))

    def flush(self) -> None:
        """Wait until all that was noted lies in the store, unfinished turns aside."""
        self._desk.submit(lambda: None).result()
        self.recorder.flush()

    def close(self) -> None:
        """Record what still waits, and stop."""
        self._later(lambda: self._record(self._open.flush()))
        self._desk.shutdown()
        self.recorder.close()

    def _later(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception:
                self.counts["failed"] += 1
                log.exception("an exchange could not be recorded")

        self._desk.submit(guarded)

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
        exchange.heard = request, self._conversations.match(request)
        self.counts["main" if request.main else "side"] += 1

    def _write(self, exchange: Exchange, ended: Generation | BaseException, seconds: float) -> None:
        if exchange.heard is None:  # placing it failed, and was counted
            return
        request, match = exchange.heard
        message, reason = Message("assistant", ""), "error"
        if isinstance(ended, Generation):
            message, reason = ended.message(), ended.finish_reason
        answer = Answer(
            message,
            reason,
            exchange.served.version,
            self._base,
            seconds * 1000,
        )
        self._conversations.answered(request, match, message)
        turn = build_turn(request, match, answer, tools=exchange.tools)
        self._record((*self._open.settle(turn), *self._open.flush(older_than=OPEN_SECONDS)))

    def _record(self, turns: tuple[Turn, ...]) -> None:
        for turn in turns:
            self.recorder.record(turn)
