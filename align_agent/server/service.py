"""What every route shares: the model and its engine, the versions, the counters."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from align_agent.config import Config
from align_agent.models.engine import Engine
from align_agent.models.generation import Event, Piece
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.server.answers import Answers, Ask, begin
from align_agent.server.meter import Meter
from align_agent.server.scribe import Exchange, Scribe
from align_agent.server.versions import Served, Versions


@dataclass(slots=True)
class Service:
    """One running server. Make it with `open`, close it at the end."""

    home: Home
    config: Config
    model: LocalModel
    engine: Engine
    versions: Versions
    scribe: Scribe
    counts: Counter[str] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)

    @staticmethod
    def open(home: Home, config: Config, model: LocalModel) -> Service:
        settings = config.server
        engine = Engine(
            model, max_rows=settings.max_batch, prefix_bytes=settings.prefix_cache_mb * 2**20
        )
        versions = Versions(home, config.model.base, model.base_hash)
        scribe = Scribe(home, config, config.model.base)
        return Service(home, config, model, engine, versions, scribe)

    async def begin(self, ask: Ask, headers: Mapping[str, str], body: Mapping[str, Any]) -> Answers:
        """Start to answer a request, and to log it. Raises what `answers.begin` raises."""
        exchange = Exchange(headers, body, ask.messages, ask.tools, ask.served)
        self.scribe.hear(exchange)
        watch = self.meter.watch()

        def listen(event: Event) -> None:
            watch(event)
            if not isinstance(event, Piece):
                self.scribe.note(exchange, event)

        try:
            return await begin(self.engine, ask, self.config.server.timeout_seconds, listen)
        except Exception as error:
            listen(error)
            raise

    async def resolve(self, name: str) -> Served:
        """The version that a model's name means now. Raises NotFound, AdapterDamaged, WrongBase."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.versions.desk, self.versions.resolve, name)

    async def names(self) -> list[str]:
        """Every model that can be asked for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.versions.desk, self.versions.names)

    def close(self) -> None:
        self.engine.close()
        self.scribe.close()
        self.versions.close()
