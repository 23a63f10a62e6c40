"""What is known of a run under way, and which of its model calls is the answer. Stores nothing.

A run is one call of a graph, a chain or a model: from the human's message to the answer. It may
hold calls that are not the answer (a router, a grader, a sub-agent), which are left out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from align_agent.langgraph.reading import human_of, messages_of, said_by, spoken_in
from align_agent.records import Message

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage


@dataclass(slots=True, eq=False)
class Call:
    """One call of a model. `message` is None until it has answered; `pieces` came until then."""

    messages: Sequence[BaseMessage]
    parameters: dict[str, Any]
    node: str
    message: AIMessage | None = None
    pieces: list[str] = field(default_factory=list)

    def said(self) -> Message:
        """The answer, or as much of it as came."""
        if self.message is not None:
            return said_by(self.message)
        return Message("assistant", "".join(self.pieces))


@dataclass(slots=True, eq=False)
class Run:
    """One run, from its beginning to its end. `given` is what it was called with."""

    id: UUID
    given: Any
    thread: str
    person: str
    anew: bool  # the human said something; False for a run that is resumed
    began: float = field(default_factory=time.monotonic)
    calls: dict[UUID, Call] = field(default_factory=dict)
    parts: list[UUID] = field(default_factory=list)
    results: dict[str, Message] = field(default_factory=dict)  # by the tool call's id
    paused: bool = False

    def human(self) -> str:
        """The human's own words; empty when the input does not tell them."""
        return human_of(self.given) if self.anew else ""

    def answer(self, outputs: Any, nodes: Sequence[str] = ()) -> Call | None:
        """The call whose answer the human got; None when no model was asked.

        It is the one whose message or text is in the output; where none is, the last one that was
        shown the human's words; else the last one.
        """
        calls = [call for call in self.calls.values() if not nodes or call.node in nodes]
        ids, texts = set(), set()
        for name, text in spoken_in(outputs):
            ids.add(name)
            texts.add(text.strip())
        ids.discard("")
        texts.discard("")
        answered = [call for call in reversed(calls) if call.message is not None]
        for call in answered:
            if call.message is not None and call.message.id in ids:
                return call
        for call in answered:
            if call.message is not None and str(call.message.text).strip() in texts:
                return call
        human = self.human()
        for call in reversed(calls):
            if human and any(human in message.content for message in messages_of(call.messages)):
                return call
        return calls[-1] if calls else None
