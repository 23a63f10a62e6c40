"""What a page is made from: the store, the configuration, the registry, and what its URL asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from align_agent.adapters.registry import Registry
from align_agent.config import Config
from align_agent.errors import InputError
from align_agent.paths import Home
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

MAX_QUERY = 400


@dataclass(frozen=True, slots=True)
class Desk:
    """One look, by one thread. `model` is None where another server answers."""

    home: Home
    config: Config
    store: Store
    registry: Registry
    query: Mapping[str, str]
    model: LocalModel | None = None

    def text(self, name: str) -> str:
        """What the URL says under a name, empty when nothing. Raises InputError when far too
        long."""
        value = self.query.get(name, "")
        if len(value) > MAX_QUERY:
            raise InputError(
                f"`{name}` has {len(value):,} characters", hint=f"use at most {MAX_QUERY}"
            )
        return value

    def number(self, name: str) -> int | None:
        """A whole number of the URL, None when there is none. Raises InputError."""
        value = self.text(name)
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 12):
            raise InputError(f"`{name}` is no number: {value[:40]!r}", hint="go back, and choose")
        return int(value)


Data = Callable[[Desk], dict[str, Any]]


@contextmanager
def seated(
    home: Home, config: Config, query: Mapping[str, str], model: LocalModel | None = None
) -> Iterator[Desk]:
    """A desk for this thread. Raises StoreError."""
    with Store.open(home.database) as store:
        yield Desk(home, config, store, Registry(store, home), query, model)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: where it is, what it is called, what it shows. `tab`: where it belongs."""

    path: str
    title: str
    template: str
    data: Data
    tab: str
