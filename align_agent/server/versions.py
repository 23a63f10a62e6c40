"""From a model's name in a request to the version that answers it.

`align` is the champion; `align@v3`, `align@base`, `align@candidate` and `align@previous` ask for
that version. Each request is resolved anew, so a promotion or a rollback holds from the next on.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from align_agent.adapters.files import signature
from align_agent.adapters.registry import Registry
from align_agent.adapters.working import KEY as WORKING
from align_agent.errors import NotFound, StoreError
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


Stamp = tuple[object, ...]


class Versions:
    """The registry, asked in one thread: a store belongs to the thread that opened it.

    `glance` is for the event loop's thread: what was found before, if it still holds. It spares a
    request the way to another thread and back, which is long while that one has much to do.
    """

    def __init__(self, home: Home, base: str, base_hash: str, *, live: bool = False) -> None:
        self._home, self._base, self._hash = home, base, base_hash
        self._live = live  # whether `align` is the working adapter where there is one
        self.desk = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._open: tuple[Store, Registry] | None = None
        self._near: Store | None = None  # of the event loop's thread alone
        self._known: dict[str, tuple[Stamp, Served]] = {}

    def glance(self, name: str) -> Served | None:
        """What `find` returned last, when names and files are as they were; else None."""
        known = self._known.get(name)
        if known is None:
            return None
        try:
            if self._near is None:
                self._near = Store.open(self._home.database, busy_seconds=0.05)
            same = known[0] == (self._names(self._near), *_files(known[1]))
        except StoreError:
            return None
        return known[1] if same else None

    def find(self, name: str) -> Served:
        """`resolve`, remembered for `glance`. Call it in `desk`."""
        store, registry = self._registry()
        before = self._names(store)
        served = self.resolve(name)
        # What stands in for a damaged champion is looked at and counted with every request.
        if name != FAMILY or served.version == registry.champion():
            self._known[name] = (before, *_files(served)), served
        return served

    def resolve(self, name: str, *, ahead: bool = False) -> Served:
        """The version behind a model's name. Call it in `desk`. `ahead`: no request asks for it.

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
            now = registry.answering if self._live else registry.serving
            return Served(*now(self._base, self._hash, ahead=ahead))
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

    def leave(self) -> None:
        """The event loop ends. Call it there."""
        if self._near is not None:
            self._near.close()
            self._near = None

    def close(self) -> None:
        self.desk.submit(self._close).result()
        self.desk.shutdown()

    def _names(self, store: Store) -> object:
        """What the names stand for, as long as no file changes."""
        return store.adapters.aliases(), store.state.get(WORKING) if self._live else ""

    def _close(self) -> None:
        if self._open is not None:
            self._open[0].close()

    def _registry(self) -> tuple[Store, Registry]:
        if self._open is None:
            store = Store.open(self._home.database)
            self._open = store, Registry(store, self._home)
        return self._open


def _files(served: Served) -> Stamp:
    return () if served.adapter is None else signature(served.adapter)
