"""What every route shares: what answers, the versions, the counters."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from align_agent.config import Config
from align_agent.errors import ContextTooLong
from align_agent.models.generation import Event, Piece
from align_agent.paths import Home
from align_agent.server.answers import Answers, Ask
from align_agent.server.backend import Backend, Local
from align_agent.server.meter import Meter
from align_agent.server.scribe import Exchange, Scribe
from align_agent.server.trimming import trimmed
from align_agent.server.upstream import Upstream
from align_agent.server.versions import FAMILY, Served, Versions

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel


UPSTREAM_FALLBACKS = "upstream_fallbacks"


@dataclass(slots=True)
class Service:
    """One running server. Make it with `open`, close it at the end."""

    home: Home
    config: Config
    backend: Backend
    versions: Versions
    scribe: Scribe
    counts: Counter[str] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)
    weighing: asyncio.Lock = field(default_factory=asyncio.Lock)  # credit of one answer at a time

    @staticmethod
    def open(home: Home, config: Config, model: LocalModel | None = None) -> Service:
        """Answer with this model, or, without one, with the server that `upstream` names.

        Raises ConfigError, MissingDependency.
        """
        backend = Local(model, config.server) if model is not None else Upstream(config.upstream)
        base_hash = model.base_hash if model is not None else ""
        # Another server knows the versions that were taken to it, and no step in between.
        live = config.learn.live and model is not None
        versions = Versions(home, config.model.base, base_hash, live=live)
        scribe = Scribe(home, config, config.model.base)
        return Service(home, config, backend, versions, scribe)

    @property
    def remote(self) -> bool:
        """Whether another server answers."""
        return isinstance(self.backend, Upstream)

    async def begin(
        self, ask: Ask, headers: Mapping[str, str], body: Mapping[str, Any], response: str = ""
    ) -> Answers:
        """Start to answer a request, and to log it. Raises what `answers.begin` raises.

        `response` is the id that the client will know the answer by.
        """
        exchange = Exchange(headers, body, ask.messages, ask.tools, ask.served, response=response)
        watch = self.meter.watch()
        events, over = 0, False

        def listen(event: Event) -> None:
            nonlocal events, over
            if over:
                return
            events += 1
            over = not isinstance(event, Piece)
            # Not with the first: reading a request for the log takes time that its answer could
            # use, and the first token is not with the client yet.
            if events == 2 or (over and events == 1):
                self.scribe.hear(exchange)
            watch(event)
            if over:
                assert not isinstance(event, Piece)
                self.scribe.note(exchange, event)

        seconds = self.config.server.timeout_seconds
        try:
            try:
                return await self.backend.begin(ask, body, seconds, listen)
            except ContextTooLong:
                shorter = await asyncio.to_thread(self._shorter, ask, headers, body)
                if shorter is None:
                    raise
                # Before the answer begins: the scribe asks for it when the answer is over.
                exchange.shown, exchange.tools = shorter.messages, shorter.tools
                self.counts["trimmed"] += 1
                return await self.backend.begin(shorter, body, seconds, listen)
        except Exception as error:
            listen(error)
            raise

    def _shorter(self, ask: Ask, headers: Mapping[str, str], body: Mapping[str, Any]) -> Ask | None:
        """The request without what the context cannot hold; None when it is the client's affair."""
        if not isinstance(self.backend, Local):
            return None
        model = self.backend.model
        room = model.context - min(ask.sampling.max_new_tokens, model.context // 2)
        shown = trimmed(model.chat, room, headers, body, ask.messages, ask.tools, self.config)
        if shown is None:
            return None
        return replace(ask, messages=shown.messages, tools=shown.tools)

    async def resolve(self, name: str) -> Served:
        """The version that answers to a model's name now.

        Raises NotFound, AdapterDamaged, WrongBase, UpstreamError.
        """
        loop = asyncio.get_running_loop()
        meant = self.versions.glance(name)
        if meant is None:
            meant = await loop.run_in_executor(self.versions.desk, self.versions.find, name)
        served = await self.backend.settle(meant, name != FAMILY)
        if served.version != meant.version:
            self.scribe.count(UPSTREAM_FALLBACKS)
        return served

    async def ahead(self, name: str) -> Served:
        """The version that a name will stand for, while nobody waits. Raises as `resolve` does."""
        loop = asyncio.get_running_loop()
        look = partial(self.versions.resolve, name, ahead=True)
        return await loop.run_in_executor(self.versions.desk, look)

    async def names(self) -> list[str]:
        """Every model that can be asked for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.versions.desk, self.versions.names)

    def close(self) -> None:
        self.backend.close()
        self.scribe.close()
        self.versions.close()
