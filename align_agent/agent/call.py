"""The model calls of one turn of the agent: what they are shown, how answers are drawn.

Knows the session it belongs to; stores nothing.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.agent.pump import Stopped
from align_agent.agent.redraw import REDRAWS, until_read
from align_agent.models.generation import Generation, Sampling
from align_agent.records import Message, Turn, new_id

if TYPE_CHECKING:
    from align_agent.agent.session import AgentSession

log = logging.getLogger(__name__)


class Call:
    """The model calls of one turn: what answers them, what the first call and the last were shown,
    and the calls of tools that a person denied, with the reasons."""

    def __init__(
        self, session: AgentSession, adapter: Path | None, said: str, version: int
    ) -> None:
        self._session = session
        self.adapter, self.version = adapter, version
        self.said = said
        self.turn_id = new_id("turn")
        self.prompt: tuple[Message, ...] = ()
        self.shown: tuple[Message, ...] = ()
        self.denied: list[tuple[Turn, str]] = []
        self.redrawn = 0
        self.stop = threading.Event()

    def __call__(
        self, messages: Sequence[Message], step: int, may_call: bool
    ) -> Iterator[str | Generation]:
        session = self._session
        settings = session.config.model
        offered = session.tools if may_call else ()
        head = (Message("system", session.system),) if session.system else ()
        reserve = min(settings.max_new_tokens, session.model.context // 2)
        shown = session.model.fit([*head, *messages], reserve=reserve, tools=offered)
        self.shown = shown
        if step == 0:
            self.prompt = shown
        # Greedy draws are all the same.
        redraws = REDRAWS if settings.temperature > 0 and offered else 0

        def draw(attempt: int) -> Iterator[str | Generation]:
            if self.stop.is_set():  # nothing of the draws thrown away came by below
                raise Stopped
            sampling = Sampling(
                max_new_tokens=settings.max_new_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
                seed=_seed(settings.seed, session.conversation_id, len(messages), attempt),
            )
            return session.model.stream(
                shown, tools=offered, sampling=sampling, adapter=self.adapter
            )

        for piece in until_read(draw, redraws, self._thrown):
            if self.stop.is_set():
                raise Stopped
            yield piece

    def _thrown(self) -> None:
        self.redrawn += 1
        log.info("a tool call could not be read: the answer is drawn again")


def _seed(seed: int, conversation: str, position: int, attempt: int = 0) -> int:
    """The same conversation replays the same way; different turns draw different noise."""
    again = f"\n{attempt}" if attempt else ""
    digest = hashlib.sha256(f"{seed}\n{conversation}\n{position}{again}".encode()).digest()
    return int.from_bytes(digest[:5], "big")
