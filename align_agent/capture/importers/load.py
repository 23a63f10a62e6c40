"""A file of chats into the store: redacted, and each chat whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from align_agent.capture.importers.chats import read_chats
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
    for chat in read_chats(path, problems=report.problems):
        try:
            turns = to_turns(chat)
        except InputError as error:
            report.problems.append(error)
            continue
        report.chats += 1
        with store.transaction():
            for turn in turns:
                _add(store, turn, privacy, report, on_stored)
    return report


def _add(
    store: Store,
    turn: Turn,
    privacy: PrivacyConfig,
    report: ImportReport,
    on_stored: Callable[[Store, Turn], None] | None,
) -> None:
    clean, found = redact_turn(turn, privacy.redact_personal)
    if not store.turns.add(clean):
        report.known += 1
        return
    report.added += 1
    for kind, number in found.items():
        report.redacted[kind] = report.redacted.get(kind, 0) + number
        store.counters.bump(f"redacted.{kind}", number)
    if on_stored is not None:
        on_stored(store, store.turns.get(clean.id))
