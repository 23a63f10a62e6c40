"""How long texts are kept: by age, and by the size of the database. Rules and versions stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from align_agent.config import PrivacyConfig
from align_agent.paths import Home
from align_agent.privacy.forget import let_expire
from align_agent.store import Store


def expired(store: Store, privacy: PrivacyConfig, moment: datetime | None = None) -> list[str]:
    """The ids of the turns that have been kept long enough, the oldest first.

    For the size the share of the turns goes that the database is too large by, so that some nights
    may be needed; the newest turn always stays.
    """
    doomed: Sequence[dict[str, str]] = []
    if privacy.keep_days:
        limit = (moment or datetime.now(UTC)) - timedelta(days=privacy.keep_days)
        doomed = store.connection.rows(
            "select id from turns where created_at < ? order by created_at, number",
            [limit.isoformat(timespec="microseconds")],
        )
    ids = [row["id"] for row in doomed]
    size = int(store.connection.value("pragma page_count")) * int(
        store.connection.value("pragma page_size")
    )
    allowed = privacy.keep_mb * 1_000_000
    if allowed and size > allowed:
        turns = store.turns.count()
        number = min(turns - 1, math.ceil(turns * (1 - allowed / size)))
        rows = store.connection.rows(
            "select id from turns order by created_at, number limit ?", [max(number, 0)]
        )
        ids = list(dict.fromkeys([*ids, *(row["id"] for row in rows)]))
    return ids


def apply_retention(home: Home, privacy: PrivacyConfig) -> int:
    """Drop what has been kept long enough. Returns the number of turns. Raises StoreError."""
    if not (privacy.keep_days or privacy.keep_mb) or not home.database.exists():
        return 0
    with Store.open(home.database) as store:
        ids = expired(store, privacy)
    return len(let_expire(home, ids).turns) if ids else 0
