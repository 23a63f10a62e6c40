"""A file of chats into the store: redacted, and each chat whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from align_agent.capture.ignore import Ignore
from align_agent.capture.importers.chats import ImportedChat, read_chats
from align_agent.capture.importers.openclaw import read_sessions
from align_agent.capture.importers.turns import to_turns
from align_agent.capture.redact import redact_turn
from align_agent.config import PrivacyConfig
from align_agent.errors import InputError
from align_agent.records import Turn
from align_agent.store import Store


@dataclass(slots=True)
class ImportReport:
    """What an import did. `known` turns were there already; `redacted` counts by kind."""

    chats: int = 0
    added: int = 0
    known: int = 0
    left_out: int = 0  # sessions that were recorded as they happened
    ignored: int = 0  # turns that `privacy.ignore` keeps out
    redacted: dict[str, int] = field(default_factory=dict)
    problems: list[InputError] = field(default_factory=list)


def import_file(
    store: Store,
    path: Path,
    privacy: PrivacyConfig,
    *,
    on_stored: Callable[[Store, Turn], None] | None = None,
) -> ImportReport:
    """Import every chat of a file that can be read; the others are in `problems`.

    `on_stored` is called for each new turn, within the transaction of its chat. Raises InputError
    when the file as a whole cannot be read, and what the store raises.
    """
    report = ImportReport()
    chats = read_chats(path, problems=report.problems)
    return _load(store, chats, report, privacy, on_stored)


def import_openclaw(
    store: Store,
    path: Path,
    privacy: PrivacyConfig,
    *,
    on_stored: Callable[[Store, Turn], None] | None = None,
) -> ImportReport:
    """The same for the sessions of OpenClaw, in a file or a folder.

    A session that went through our server is left out: it was recorded as it happened.
    """
    report = ImportReport()

    def known(response: str) -> bool:
        return bool(response) and bool(store.links.find("response", response))

    chats, report.left_out = read_sessions(path, known, problems=report.problems)
    return _load(store, chats, report, privacy, on_stored)


def _load(
    store: Store,
    chats: Iterable[ImportedChat],
    report: ImportReport,
    privacy: PrivacyConfig,
    on_stored: Callable[[Store, Turn], None] | None,
) -> ImportReport:
    ignore = Ignore(privacy.ignore)
    for chat in chats:
        try:
            turns = to_turns(chat)
        except InputError as error:
            report.problems.append(error)
            continue
        report.chats += 1
        with store.transaction():
            for turn in turns:
                clean, found = redact_turn(turn, privacy.redact_personal)
                if ignore.matches(turn):
                    store.forgotten.never(clean.user_text, clean.answer)
                    report.ignored += 1
                else:
                    _add(store, clean, found, report, on_stored)
    return report


def _add(
    store: Store,
    clean: Turn,
    found: Mapping[str, int],
    report: ImportReport,
    on_stored: Callable[[Store, Turn], None] | None,
) -> None:
    if not store.turns.add(clean):
        report.known += 1
        return
    report.added += 1
    for kind, number in found.items():
        report.redacted[kind] = report.redacted.get(kind, 0) + number
        store.counters.bump(f"redacted.{kind}", number)
    if on_stored is not None:
        on_stored(store, store.turns.get(clean.id))
