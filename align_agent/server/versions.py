"""From a model's name in a request to the version that answers it.

`align` is the champion; `align@v3`, `align@base`, `align@candidate` and `align@previous` ask for
that version. Each request is resolved anew, so a promotion or a rollback holds from the next on.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from align_agent.adapters.registry import Registry
from align_agent.errors import NotFound
from align_agent.paths import Home
from align_agent.records import version_label
from align_agent.store import Store

FAMILY = "align"


@dataclass(frozen=True, slots=True)
class Served:
    """A version that can answer, pinned for one request. `adapter` is None for the base."""

    version: int
    adapter: Path | None

    @property
    def name(self) -> str:
        return f"{FAMILY}@{version_label(self.version)}"


class Versions:
    """The registry, asked in one thread: a store belongs to the thread that opened it."""

    def __init__(self, home: Home, base: str, base_hash: str) -> None:
        self._home, self._base, self._hash = home, base, base_hash
        self.desk = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._open: tuple[Store, Registry] | None = None

    def resolve(self, name: str) -> Served:
        """The version behind a model's name. Call it in `desk`.

        Raises NotFound, AdapterDamaged, WrongBase, StoreError.
        """
        family, _, wanted = name.partition("@")
        if family != FAMILY:
            raise NotFound(
                f"there is no model {name!r}",
                hint=f"ask for {FAMILY}, or for a version such as {FAMILY}@v1 or {FAMILY}@base",
            )
        registry = self._registry()[1]
        if not wanted:
            return Served(*registry.serving(self._base, self._hash))
        version = registry.resolve(wanted)
        return Served(version, registry.path(version, base=self._base, base_hash=self._hash))

    def names(self) -> list[str]:
        """Every model that can be asked for. Call it in `desk`."""
        store, registry = self._registry()
        found = [FAMILY, f"{FAMILY}@base"]
        for alias in ("candidate", "previous"):
            try:
                registry.resolve(alias)
            except NotFound:
                continue
            found.append(f"{FAMILY}@{alias}")
        kept = [adapter for adapter in store.adapters.list() if not adapter.deleted]
        return found + [f"{FAMILY}@{adapter.label}" for adapter in kept]

    def close(self) -> None:
        self.desk.submit(self._close).result()
        self.desk.shutdown()

    def _close(self) -> None:
        if self._open is not None:
            self._open[0].close()

    def _registry(self) -> tuple[Store, Registry]:
        if self._open is None:
            store = Store.open(self._home.database)
            self._open = store, Registry(store, self._home)
        return self._open
