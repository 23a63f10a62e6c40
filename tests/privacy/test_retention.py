"""Texts go by age and by size; what was learned from them stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from homes import KEPT, SECRET, files_holding, fill, turn

from align_agent.config import PrivacyConfig
from align_agent.privacy.forget import forget
from align_agent.privacy.retention import apply_retention, expired
from align_agent.privacy.wanted import Wanted
from align_agent.store import Store

OLD = "2020-01-01T10:00:00.000000+00:00"


def aged(home) -> None:
    """The secret conversation and the secret turn of the mixed one are old."""
    with Store.open(home.database) as store:
        store.connection.execute(
            "update turns set created_at = ? where instr(user_text, ?) > 0", [OLD, SECRET]
        )


def test_old_texts_go_and_their_rules_and_versions_stay(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    aged(home)
    assert apply_retention(home, PrivacyConfig(keep_days=30)) == 4
    with Store.open(home.database) as store:
        assert {t.conversation_id for t in store.turns.list()} == {"kept", "mixed"}
        assert len(store.rules.list()) == 2
        assert not any(adapter.tainted for adapter in store.adapters.list())
        store.rules.update("rule-secret", text="Never mention it again.")
    forget(home, Wanted("turn", "turn-kept-2"))  # the pages are written anew
    assert files_holding(home, SECRET) == [
        name for name in files_holding(home, SECRET) if name.startswith("backups/")
    ]


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    aged(home)
    assert apply_retention(home, PrivacyConfig()) == 0


def test_a_database_that_is_too_large_loses_its_oldest_turns(tmp_path: Path) -> None:
    with Store.open(tmp_path / "align.db") as store:
        for number in range(40):
            moment = f"2026-01-01T10:00:{number:02d}.000000+00:00"
            long = turn(number, KEPT * 5_000, f"c-{number}", created_at=moment)
            store.turns.add(long)
        doomed = expired(store, PrivacyConfig(keep_mb=1), datetime.now(UTC))
        assert doomed == [f"turn-c-{n}-{n}" for n in range(len(doomed))]
        assert 0 < len(doomed) < 40
