"""Which follow-ups a night still measures, and that it finds them without asking turn by turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nights import COMPLAINT, conversation

from align_agent.config import Config
from align_agent.feedback.structure import ABANDONED
from align_agent.night.detect import unjudged
from align_agent.records import Feedback
from align_agent.store import Store

LONG_AGO = "2026-01-01T00:00:00.000000+00:00"


def doubtful(store: Store, conversations: int) -> None:
    """Conversations of three turns, whose follow-ups a reader heard and was not sure about."""
    with store.transaction():
        for number in range(conversations):
            first, second, third = conversation(number)
            for turn in (first, second, third):
                store.turns.add(turn)
            for turn, after in ((first, second), (second, third)):
                store.feedback.add(
                    Feedback(
                        turn.id, "follow_up", "negative", "format", 0.1, COMPLAINT, "test",
                        source_turn_id=after.id,
                    )
                )  # fmt: skip


def statements(store: Store, ask: Callable[[], object]) -> int:
    """How many statements the database is given meanwhile."""
    given: list[str] = []
    raw = store.turns.connection.raw
    raw.set_trace_callback(given.append)
    try:
        ask()
    finally:
        raw.set_trace_callback(None)
    return len(given)


def test_a_log_five_times_as_long_is_looked_through_with_as_many_queries(tmp_path: Path):
    counts = []
    for conversations in (6, 30):
        with Store.open(tmp_path / f"{conversations}.db") as store:
            doubtful(store, conversations)
            found: list = []
            asked = statements(store, lambda s=store, f=found: f.extend(unjudged(s, Config())))
            counts.append(asked)
            assert len(found) == 2 * conversations
    assert counts[0] == counts[1] > 0


def test_each_turn_comes_with_its_own_follow_up_and_the_newest_first(tmp_path: Path):
    with Store.open(tmp_path / "align.db") as store:
        doubtful(store, 2)
        found = unjudged(store, Config())
    assert [(turn.id, after.id) for turn, after in found] == [
        ("turn-1-1", "turn-1-2"),
        ("turn-1-0", "turn-1-1"),
        ("turn-0-1", "turn-0-2"),
        ("turn-0-0", "turn-0-1"),
    ]
    assert all(turn.prompt and turn.response and after.prompt for turn, after in found)


def test_a_complaint_that_was_never_read_is_read_and_where_the_user_left_after_it_is_noted(
    tmp_path: Path,
):
    with Store.open(tmp_path / "align.db") as store:
        first, second, _ = conversation(0)
        store.turns.add(replace(first, created_at=LONG_AGO))
        store.turns.add(replace(second, user_text=COMPLAINT, created_at=LONG_AGO))
        assert unjudged(store, Config()) == []
        (read,) = store.feedback.for_turn(first.id)
        assert (read.polarity, read.source_turn_id) == ("negative", second.id)
        (noted,) = store.feedback.for_turn(second.id)
        assert noted.kind == ABANDONED


def test_what_was_said_after_a_forgotten_turn_is_no_follow_up_of_the_one_before_it(tmp_path: Path):
    from align_agent.store.scrub import scrub

    with Store.open(tmp_path / "align.db") as store:
        doubtful(store, 1)
        with store.transaction():
            scrub(store.turns.connection, ["turn-0-1"])
        assert unjudged(store, Config()) == []
        (row, _) = store.turns.with_follow_ups()
        assert (row["id"], row["after"]) == ("turn-0-0", None)
