"""What the dashboard counts: moods beside the turns, facets, days."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.records import BASE_VERSION, IMPORTED, Feedback, Message, Turn
from align_agent.store import Store


def add(store: Store, **more) -> Turn:
    words = {"user_text": "hi", "answer": "hello", "conversation_id": "c", **more}
    turn = Turn(prompt=(Message("user", "hi"),), response=(Message("assistant", "hello"),), **words)
    store.turns.add(turn)
    return turn


def say(store: Store, turn: Turn, polarity: str) -> Feedback:
    found = Feedback(turn.id, "rating", polarity, "none", 1.0, "", "test")
    store.feedback.add(found)
    return found


def mood(store: Store) -> str:
    return str(store.looks.turns()[0]["mood"])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["negative", "positive", "neutral"]), st.booleans())))
def test_the_mood_beside_a_turn_is_that_of_its_feedback(tmp_path_factory, opinions) -> None:
    with Store.open(tmp_path_factory.mktemp("m") / "align.db") as store:
        turn = add(store)
        for polarity, dismissed in opinions:
            found = say(store, turn, polarity)
            if dismissed:
                store.feedback.dismiss(found.id)
        counted = {polarity for polarity, dismissed in opinions if not dismissed}
        expected = next((m for m in ("negative", "positive") if m in counted), "")
        assert mood(store) == expected
        store.connection.execute("delete from feedback")
        assert mood(store) == ""


def test_facets_count_the_humans_turns(tmp_path) -> None:
    with Store.open(tmp_path / "align.db") as store:
        say(store, add(store, version=1), "negative")
        add(store, version=2, channel="x")
        add(store, version=2, main=False)
        rows = store.looks.counts()
        assert {(r["mood"], r["version"], r["channel"], r["number"]) for r in rows} == {
            ("negative", 1, "chat", 1),
            ("", 2, "x", 1),
        }


def test_pages_of_turns_leave_none_out_and_show_none_twice(tmp_path) -> None:
    with Store.open(tmp_path / "align.db") as store:
        for number in range(25):
            add(store, created_at=f"2026-01-{1 + number % 3:02d}", conversation_id=str(number))
        seen, before = [], None
        while rows := store.looks.turns(limit=4, before=before):
            seen += [row["number"] for row in rows]
            before = rows[-1]["created_at"], rows[-1]["number"]
        assert len(seen) == len(set(seen)) == 25


def test_a_search_and_a_facet_narrow_together(tmp_path) -> None:
    with Store.open(tmp_path / "align.db") as store:
        add(store, user_text="red apples", version=1)
        add(store, user_text="red pears", version=2)
        add(store, user_text="green pears", version=2)
        found = store.looks.turns("red", filters={"version": 2})
        assert [row["user_text"] for row in found] == ["red pears"]


def test_imported_turns_are_counted_apart_from_those_of_the_base(tmp_path) -> None:
    with Store.open(tmp_path / "align.db") as store:
        add(store, user_text="ours")
        add(store, user_text="theirs", channel="import:openai")
        assert {(r["version"], r["number"]) for r in store.looks.counts()} == {
            (BASE_VERSION, 1),
            (IMPORTED, 1),
        }
        for version, text in ((BASE_VERSION, "ours"), (IMPORTED, "theirs")):
            found = store.looks.turns(filters={"version": version})
            assert [(row["user_text"], row["version"]) for row in found] == [(text, version)]


def test_days_count_conversations_where_they_began_and_faults_where_they_were(tmp_path) -> None:
    with Store.open(tmp_path / "align.db") as store:
        add(store, created_at="2026-01-01T10", conversation_id="a")
        say(store, add(store, created_at="2026-01-02T10", conversation_id="a"), "negative")
        add(store, created_at="2026-01-02T11", conversation_id="b")
        begun, faulted = store.looks.days()
        assert begun == {"2026-01-01": 1, "2026-01-02": 1}
        assert faulted == {"2026-01-02": 1}
