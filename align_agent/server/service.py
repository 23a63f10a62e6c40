"""What every route shares: the model and its engine, the versions, the counters."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from align_agent.config import Config
from align_agent.models.engine import Engine
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.server.versions import Served, Versions


@dataclass(slots=True)
class Service:
    """One running server. Make it with `open`, close it at the end."""

    home: Home
    config: Config
    model: LocalModel
    engine: Engine
    versions: Versions
    counts: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def open(home: Home, config: Config, model: LocalModel) -> Service:
        settings = config.server
        engine = Engine(
            model, max_rows=settings.max_batch, prefix_bytes=settings.prefix_cache_mb * 2**20
        )
        versions = Versions(home, config.model.base, model.base_hash)
        return Service(home, config, model, engine, versions)

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
        self.versions.close()
