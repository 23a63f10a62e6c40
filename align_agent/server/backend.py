"""What answers behind the door: the engine of this process, or a server elsewhere (`upstream`).

Every route asks a `Backend` and gets the same `Answers`, so that each of them works on both.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from align_agent.errors import ModelError, Unsupported
from align_agent.models.chat import Tools
from align_agent.records import Message
from align_agent.server.answers import Answers, Ask, Listen, begin
from align_agent.server.versions import Served

if TYPE_CHECKING:
    from align_agent.config import ServerConfig
    from align_agent.models.local import LocalModel


class Backend(Protocol):
    """Use it from the server's event loop. `context` is the longest answer that can be asked for.

    `counts` are requests, answered, aborted, failed, and prompt_, reused_, answer_tokens.
    """

    context: int
    counts: Counter[str]

    async def begin(
        self, ask: Ask, body: Mapping[str, Any], timeout: float, listen: Listen
    ) -> Answers:
        """Start to answer; `body` is the request as it came. See `answers.begin`."""

    async def settle(self, served: Served, named: bool) -> Served:
        """The version that answers, given the one that should. `named`: no other will do."""

    async def warm(self, served: Served) -> None:
        """Have the version loaded. Raises what a request for it would."""

    def token(self, number: int) -> tuple[str, list[int]]:
        """The text and the bytes of a token of an answer."""

    async def count(self, messages: tuple[Message, ...], tools: Tools) -> int:
        """How many tokens a prompt has."""

    async def embed(self, body: dict[str, Any]) -> Any:
        """The answer to a request for embeddings. Raises Unsupported."""

    async def ready(self) -> None:
        """Raises ModelError when no answer is to be had now."""

    def load(self) -> tuple[int, int]:
        """Answers under way, and requests that wait."""

    async def aclose(self) -> None:
        """The event loop ends."""

    def close(self) -> None:
        """The server has ended."""


class Local:
    """The engine of this process."""

    def __init__(self, model: LocalModel, settings: ServerConfig) -> None:
        from align_agent.models.engine import Engine

        self.model = model
        self.engine = Engine(
            model, max_rows=settings.max_batch, prefix_bytes=settings.prefix_cache_mb * 2**20
        )
        self.context = model.context
        self.counts = self.engine.counts

    async def begin(
        self, ask: Ask, body: Mapping[str, Any], timeout: float, listen: Listen
    ) -> Answers:
        _refuse_formats(body)
        return await begin(self.engine, ask, timeout, listen)

    async def settle(self, served: Served, named: bool) -> Served:
        return served

    async def warm(self, served: Served) -> None:
        await asyncio.to_thread(self.model.network, served.adapter)

    def token(self, number: int) -> tuple[str, list[int]]:
        text = self.model.chat.decode([number])
        return text, list(text.encode())

    async def count(self, messages: tuple[Message, ...], tools: Tools) -> int:
        return len(await asyncio.to_thread(self.model.encode, messages, tools))

    async def embed(self, body: dict[str, Any]) -> Any:
        # A chat model's hidden states are no embeddings.
        raise Unsupported(
            "this model makes no embeddings", hint="ask the server of an embedding model"
        )

    async def ready(self) -> None:
        if not self.engine.alive:
            raise ModelError(
                "the engine has stopped", hint="start the server again; its log says why"
            )

    def load(self) -> tuple[int, int]:
        return self.engine.load()

    async def aclose(self) -> None:
        pass

    def close(self) -> None:
        self.engine.close()


def _refuse_formats(body: Mapping[str, Any]) -> None:
    """Raises Unsupported where a client wants JSON for sure: prose would be no answer to it."""
    wanted = [body.get("response_format")]
    text = body.get("text")
    if isinstance(text, Mapping):
        wanted.append(text.get("format"))
    for form in wanted:
        if isinstance(form, Mapping) and form.get("type", "text") != "text":
            raise Unsupported(
                f"this engine cannot hold an answer to the format {str(form['type'])[:40]!r}",
                hint="ask for it in words, or let an upstream server answer that can",
            )
